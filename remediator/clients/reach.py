"""Which of the configured services answer: asked at start and then from time to time, told from memory.

The composition root calls it, for the log and for readiness. It never raises, never acts, and asks all at once, each
with a short limit, so that one that hangs delays nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import structlog

from remediator.clients import Clients
from remediator.errors import RemediatorError
from remediator.kit.redaction import Redactor, shorten

log = structlog.get_logger(__name__)

_LIMIT = timedelta(seconds=3)
_SPARE = 2.0  # seconds for a client to say in its own words that nobody answered
_SHOWN = 300


class Reach:
    """Remembers for each configured service why it does not answer; the text is empty where it does."""

    def __init__(self, clients: Clients, redactor: Redactor) -> None:
        self._clients = clients
        self._redactor = redactor
        self.troubles: dict[str, str] = {}

    async def look(self) -> None:
        """Ask every configured service once, and log what has changed."""
        questions = self._questions()
        troubles = await asyncio.gather(*(self._trouble(ask) for ask in questions.values()))
        for name, trouble in zip(questions, troubles, strict=True):
            self._note(name, trouble)

    def _questions(self) -> dict[str, Callable[[], Awaitable[None]]]:
        settings = self._clients.settings
        asked: dict[str, Callable[[], Awaitable[None]]] = {
            f"docker {engine}": partial(self._clients.docker(engine).ping, within=_LIMIT)
            for engine in settings.docker.engines
        }
        asked |= {f"redis {name}": partial(self._clients.redis(name).ping, within=_LIMIT) for name in settings.redis}
        asked |= {
            f"postgres {name}": partial(self._clients.postgres(name).ping, within=_LIMIT) for name in settings.postgres
        }
        if settings.prometheus.url is not None:
            asked["prometheus"] = self._clients.prometheus.ping
        alertmanager = self._clients.alertmanager
        if alertmanager is not None:
            asked["alertmanager"] = alertmanager.ping
        return asked

    async def _trouble(self, ask: Callable[[], Awaitable[None]]) -> str:
        try:
            async with asyncio.timeout(_LIMIT.total_seconds() + _SPARE):
                await ask()
        except TimeoutError:
            return f"no answer in {_LIMIT.total_seconds() + _SPARE:g} s"
        except RemediatorError as error:
            return self._told(str(error))
        except Exception as error:
            # A client that fails in a way of its own is news of that service, not the end of ours.
            return self._told(f"{type(error).__name__}: {error}")
        return ""

    def _told(self, text: str) -> str:
        return shorten(" ".join(self._redactor.text(text).split()), _SHOWN)

    def _note(self, name: str, trouble: str) -> None:
        before = self.troubles.get(name, "")
        self.troubles[name] = trouble
        kind, _, which_one = name.partition(" ")
        which = {"engine" if kind == "docker" else "server": which_one} if which_one else {}
        if trouble and not before:
            log.warning(f"{kind}_unreachable", **which, reason=trouble)
        elif before and not trouble:
            log.info(f"{kind}_answers_again", **which)
