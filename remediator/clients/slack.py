"""Slack's web API, with its errors made ours. The Slack chat calls it.

Each call is one request: no retries and no pacing here, the outbox does both. The token is in no error and no
log. Slack's library is imported when the first call is made, because it is slow to import.
"""

import logging
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from remediator.errors import Failed, OutcomeUnknown, RemediatorError, Transient, Unavailable
from remediator.kit.redaction import Redactor, shorten

if TYPE_CHECKING:
    import aiohttp
    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

_PAGE = 200
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_LONGEST_WAIT = timedelta(hours=1)
_CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{4,}\Z")

_BUSY = frozenset({"ratelimited", "rate_limited", "service_unavailable", "request_timeout", "team_added_to_org"})
"""Slack did nothing, and will take the same request later."""
_BROKE = frozenset({"internal_error", "fatal_error"})
"""Slack says of these that some of the work may be done."""

_TOKEN = "check slack.token; it must be the bot token (xoxb-…) of an app that is installed in the workspace"  # noqa: S105 - advice
_BOT = "check slack.channel, and invite the bot to the channel"
_GONE = "it was deleted or may no longer be edited; the story goes on in new messages"
_NOT_SLACK = "the answer is not Slack's; check slack.base_url"
_OURS = "this is a mistake of remediator; please report it with this text"
_ADVICE = {
    "invalid_auth": _TOKEN,
    "not_authed": _TOKEN,
    "account_inactive": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
    "not_allowed_token_type": _TOKEN,
    "channel_not_found": f"{_BOT} (a private channel is not seen without)",
    "not_in_channel": f"{_BOT}, or give its app the scope chat:write.public",
    "is_archived": "unarchive the channel, or name another one in slack.channel",
    "restricted_action": "the workspace does not let the bot post here; allow it, or change slack.channel",
    "message_not_found": _GONE,
    "cant_update_message": _GONE,
    "edit_window_closed": _GONE,
    "thread_not_found": "the thread's first message was deleted",
    "unknown_method": "check slack.base_url",
    "msg_too_long": _OURS,
    "msg_blocks_too_long": _OURS,
    "invalid_blocks": _OURS,
    "invalid_blocks_format": _OURS,
    "no_text": _OURS,
    "expired_trigger_id": "Slack gives three seconds for it; press again",
    "user_not_in_channel": "they have left the channel, or are not in it",
}


@dataclass(frozen=True, slots=True)
class MessageRef:
    """Where a message stands: the channel's id (editing takes no name) and its time stamp, unique there."""

    channel: str
    ts: str

    def __str__(self) -> str:
        return f"{self.channel}:{self.ts}"

    @classmethod
    def parse(cls, ref: str) -> "MessageRef":
        """From the text of one. Raises Failed where it is not one."""
        channel, _, ts = ref.partition(":")
        if not channel or not ts:
            raise Failed(f"{ref!r} does not name a Slack message; was it sent through another chat?")
        return cls(channel, ts)


@dataclass(frozen=True, slots=True)
class Listed:
    """One message of a channel or thread, as far as we ask."""

    ts: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages, and the cursor of the next page; an empty one ends the list."""

    messages: tuple[Listed, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token belongs to, and what it may do; None where Slack does not say."""

    name: str
    scopes: frozenset[str] | None
    team: str | None = None
    """The id of the workspace."""


def is_channel_id(channel: str) -> bool:
    """Whether this is a channel's id (`C0123ABCD`) and not its name (`#alerts`)."""
    return _CHANNEL_ID.match(channel) is not None


class SlackClient:
    """A bot in one workspace."""

    def __init__(
        self,
        *,
        token: str,
        base_url: str = "https://slack.com/api/",
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self._token = token
        self._base_url = base_url
        self._timeout = timeout
        self._redactor = Redactor([token])
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self,
        channel: str,
        *,
        text: str,
        blocks: Sequence[Mapping[str, Any]],
        thread_ts: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> MessageRef:
        """Post a new message; nothing in `text` pings, links or unfurls by itself.

        Raises Transient where nothing was posted and it is worth another try, OutcomeUnknown where it may
        have landed, Failed where Slack refuses it for good.
        """
        answer = await self._call(
            "chat.postMessage",
            f"to {channel}",
            self._web().chat_postMessage(
                channel=channel,
                text=text,
                blocks=[dict(block) for block in blocks],
                thread_ts=thread_ts,
                metadata=dict(metadata) if metadata else None,
                parse="none",
                link_names=False,
                mrkdwn=False,
                unfurl_links=False,
                unfurl_media=False,
            ),
            repeatable=False,
        )
        where, ts = answer.get("channel"), answer.get("ts")
        if not isinstance(where, str) or not isinstance(ts, str):
            raise OutcomeUnknown(f"Slack took the message to {channel}, but did not say where it stands")
        return MessageRef(where, ts)

    async def update(
        self,
        ref: MessageRef,
        *,
        text: str,
        blocks: Sequence[Mapping[str, Any]],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Put a message in the place of an earlier one of ours. Raises Transient, or Failed for a refusal."""
        await self._call(
            "chat.update",
            f"of {ref}",
            self._web().chat_update(
                channel=ref.channel,
                ts=ref.ts,
                text=text,
                blocks=[dict(block) for block in blocks],
                metadata=dict(metadata) if metadata else None,
                parse="none",
                link_names=False,
            ),
            repeatable=True,
        )

    async def history(self, channel: str, *, oldest: datetime, cursor: str = "") -> Page:
        """A page of the channel's messages since `oldest`, newest first, without replies; `channel` is an id.

        Raises Transient, or Failed where Slack refuses it.
        """
        answer = await self._call(
            "conversations.history",
            f"of {channel}",
            self._web().conversations_history(
                channel=channel,
                oldest=_seconds(oldest),
                include_all_metadata=True,
                limit=_PAGE,
                cursor=cursor or None,
            ),
            repeatable=True,
        )
        return _page(answer)

    async def replies(self, parent: MessageRef, *, oldest: datetime, cursor: str = "") -> Page:
        """A page of a thread, its parent first, then the replies since `oldest`.

        Raises Transient, or Failed where Slack refuses it.
        """
        answer = await self._call(
            "conversations.replies",
            f"of {parent}",
            self._web().conversations_replies(
                channel=parent.channel,
                ts=parent.ts,
                oldest=_seconds(oldest),
                include_all_metadata=True,
                limit=_PAGE,
                cursor=cursor or None,
            ),
            repeatable=True,
        )
        return _page(answer)

    async def auth_test(self) -> str:
        """Who the token says we are. Raises Transient where Slack does not answer, Failed for a refusal."""
        return (await self.identity()).name

    async def identity(self) -> "Identity":
        """Who the token says we are, and its scopes, as Slack tells them with every answer (`X-OAuth-Scopes`).

        Raises Transient where Slack does not answer, Failed for a refusal.
        """
        headers: dict[str, str] = {}

        async def ask() -> "AsyncSlackResponse":
            answer = await self._web().auth_test()
            headers.update({name.lower(): str(value) for name, value in answer.headers.items()})
            return answer

        answer = await self._call("auth.test", "", ask(), repeatable=True)
        told = headers.get("x-oauth-scopes")
        scopes = None if told is None else frozenset(scope.strip() for scope in told.split(",") if scope.strip())
        team = answer.get("team_id")
        name = f"{answer.get('user', '?')} in {answer.get('team', '?')}"
        return Identity(name, scopes, team if isinstance(team, str) and team else None)

    async def post_ephemeral(self, channel: str, user: str, *, text: str, thread_ts: str | None = None) -> None:
        """Tell one person something, whom alone Slack shows it; `text` is escaped for Slack.

        Slack does not promise that it is seen. Raises Transient, OutcomeUnknown, or Failed for a refusal.
        """
        await self._call(
            "chat.postEphemeral",
            f"to {user} in {channel}",
            self._web().chat_postEphemeral(
                channel=channel, user=user, text=text, thread_ts=thread_ts, parse="none", link_names=False, mrkdwn=False
            ),
            repeatable=False,
        )

    async def open_view(self, trigger: str, view: Mapping[str, Any]) -> None:
        """Open a dialog for whoever has just pressed something; `trigger` is good for three seconds.

        Raises Transient, OutcomeUnknown, or Failed for a refusal.
        """
        await self._call(
            "views.open", "", self._web().views_open(trigger_id=trigger, view=dict(view)), repeatable=False
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _web(self) -> "AsyncWebClient":
        import aiohttp
        from slack_sdk.web.async_client import AsyncWebClient

        if self._session is None:
            seconds = self._timeout.total_seconds()
            # Connecting has a limit of its own: a time-out before anything was sent can be told apart.
            timeout = aiohttp.ClientTimeout(total=seconds, connect=seconds / 2)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        logger = logging.getLogger("slack_sdk.remediator")
        logger.setLevel(logging.WARNING)  # at DEBUG the library logs whole messages
        web = AsyncWebClient(
            token=self._token,
            base_url=self._base_url,
            session=self._session,
            retry_handlers=[],
            logger=logger,
        )
        web.proxy = None  # it has read the environment; only the settings may
        return web

    async def _call(
        self, method: str, about: str, call: "Awaitable[AsyncSlackResponse]", *, repeatable: bool
    ) -> Mapping[str, Any]:
        """Await one call. A broken one that is not `repeatable` is OutcomeUnknown: Slack may have done it."""
        import aiohttp
        from slack_sdk.errors import SlackClientError

        what = f"{method} {about}".strip()
        try:
            answer = await call
            return answer.data if isinstance(answer.data, dict) else {}
        except SlackClientError as error:
            raise self._refusal(what, getattr(error, "response", None), repeatable=repeatable) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable(
                f"Slack cannot be reached at {self._base_url} ({self._said(error)}), nothing was sent; "
                "check the network and slack.base_url"
            ) from error
        except aiohttp.InvalidURL as error:
            raise Failed(f"slack.base_url {self._base_url!r} is not an address that can be called") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = f"the connection broke: {self._said(error)}"
            raise _broken(what, why, repeatable=repeatable) from error
        except (ValueError, TypeError, AttributeError) as error:  # the library stumbles over other JSON
            raise _broken(what, _NOT_SLACK, repeatable=repeatable) from error

    def _said(self, error: BaseException) -> str:
        return shorten(self._redactor.text(str(error) or type(error).__name__), 200)

    def _refusal(self, what: str, response: Any, *, repeatable: bool) -> RemediatorError:
        """What an answer that is not `ok` means to us."""
        status = getattr(response, "status_code", None) or getattr(response, "status", None) or 0
        answer = getattr(response, "data", None)
        answer = answer if isinstance(answer, dict) else {}
        code = shorten(self._redactor.text(str(answer.get("error", ""))), 80)
        if status == _TOO_MANY_REQUESTS or code in _BUSY:
            wait = _retry_after(getattr(response, "headers", None))
            return Transient(f"Slack has no time for {what} now ({code or status})", retry_after=wait)
        if status >= _SERVER_ERROR or code in _BROKE:
            return _broken(what, f"Slack answered {code or status}", repeatable=repeatable)
        if code:
            return Failed(f"Slack refused {what}: {code}{self._details(answer)}; {_advice(code, answer)}")
        if status in (0, 200):
            return _broken(what, _NOT_SLACK, repeatable=repeatable)
        return Failed(f"{what} was answered with HTTP {status}, not by Slack; check slack.base_url")

    def _details(self, answer: Mapping[str, Any]) -> str:
        metadata = answer.get("response_metadata")
        messages = metadata.get("messages") if isinstance(metadata, dict) else None
        if not isinstance(messages, list) or not messages:
            return ""
        return " (" + shorten(self._redactor.text("; ".join(map(str, messages))), 300) + ")"


def _advice(code: str, answer: Mapping[str, Any]) -> str:
    if code == "missing_scope":
        needed = re.sub(r"[^a-z:.,_]", "", str(answer.get("needed", "chat:write")))[:80]
        return f"give the app the scope {needed}, install it again, and put its new token into slack.token"
    return _ADVICE.get(code, "look this error up in Slack's documentation of the method")


def _broken(what: str, why: str, *, repeatable: bool) -> RemediatorError:
    if repeatable:
        return Unavailable(f"{what} failed: {why}; it will do no harm to try again")
    return OutcomeUnknown(f"{what} may or may not have been carried out: {why}")


def _retry_after(headers: Any) -> timedelta:
    """What Slack asks for, within reason; 5 s where it does not say."""
    values = {str(name).lower(): value for name, value in headers.items()} if headers else {}
    text = str(values.get("retry-after", ""))
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 5  # noqa: PLR2004 - digits
    return min(max(timedelta(seconds=seconds), timedelta(seconds=1)), _LONGEST_WAIT)


def _seconds(at: datetime) -> str:
    return f"{at.timestamp():.6f}"


def _page(answer: Mapping[str, Any]) -> Page:
    messages = answer.get("messages")
    metadata = answer.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else ""
    listed = (_listed(message) for message in messages) if isinstance(messages, list) else ()
    return Page(tuple(listed), cursor if isinstance(cursor, str) else "")


def _listed(message: Any) -> Listed:
    if not isinstance(message, dict):
        return Listed("", {})
    metadata = message.get("metadata")
    return Listed(str(message.get("ts", "")), metadata if isinstance(metadata, dict) else {})
