"""The routes that Slack calls. A request is looked at from the outside in: its time, its signature, then what it says.

Whatever is wrong with a request is 401, for nobody but Slack sends any; what another try may mend is 503, which Slack
shows to the person as an error. Bodies are small, and what is made of them is the inbox's.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiohttp import web

from remediator.errors import BadPayload, NotAllowed, Transient
from remediator.kit.metrics import Metrics
from remediator.web.body import Bodies
from remediator.web.slack.inbox import SlackInbox
from remediator.web.slack.payloads import read_form, read_payload
from remediator.web.slack.signature import Signatures, refused

_MAX_BODY = 1024 * 1024  # a press brings its whole message along, with each character as nine at the worst

log = structlog.get_logger(__name__)


class SlackPages:
    """Answers `POST /slack/interactions` and `POST /slack/commands`."""

    def __init__(self, inbox: SlackInbox, signatures: Signatures, bodies: Bodies, metrics: Metrics) -> None:
        self._inbox = inbox
        self._signatures = signatures
        self._bodies = bodies
        self._metrics = metrics

    async def interactions(self, request: web.Request) -> web.Response:
        """A press of a button, or a modal that was sent off."""
        return await self._answer(request, "interaction", self._interact)

    async def commands(self, request: web.Request) -> web.Response:
        """A slash command."""
        return await self._answer(request, "command", self._command)

    async def _interact(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        return await self._inbox.interact(read_payload(form))

    async def _command(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        if form.get("ssl_check") == "1":  # Slack asks now and then whether we are here
            return None
        return await self._inbox.command(form)

    async def _answer(
        self,
        request: web.Request,
        what: str,
        take: Callable[[Mapping[str, str]], Awaitable[dict[str, Any] | None]],
    ) -> web.Response:
        status = 500
        try:
            answer = await take(await self._signed(request))
            status = 200
            return web.Response() if answer is None else web.json_response(answer)
        except BadPayload as error:
            status = 401
            log.warning("slack_request_odd", what=what, error=str(error))
            raise refused(str(error)) from error
        except NotAllowed as error:
            status = 403
            log.warning("slack_request_refused", what=what, error=str(error))
            raise web.HTTPForbidden(text=str(error)) from error
        except Transient as error:
            status = 503
            log.warning("slack_request_not_taken", what=what, error=str(error))
            raise web.HTTPServiceUnavailable(text="it cannot be taken now; try again") from error
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            self._metrics.slack_requests.labels(what, str(status)).inc()

    async def _signed(self, request: web.Request) -> dict[str, str]:
        """The form that Slack has signed. Raises HTTPUnauthorized for what it has not, and BadPayload."""
        claim = self._signatures.read(request.headers)
        if request.headers.getall("Content-Encoding", []):
            raise refused("Slack sends its forms as they are")
        async with self._bodies.hold() as hold:
            body = await self._bodies.read(request, hold, max_bytes=_MAX_BODY)
            self._signatures.check(claim, body)
            return read_form(body)
