"""The API over circuit breakers: which systems do not answer, and closing one by hand.

Called by the server, which has checked who calls. A reset takes effect at once, in the process that is asked and in no
other; it is logged with the name of whoever has done it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from remediator.model.person import Person
from remediator.model.system import SystemState
from remediator.web.auth import CALLER, Caller
from remediator.web.body import Bodies
from remediator.web.given import only, read_given, refuse_other_parameters

_MAX_BODY = 16 * 1024
_MAX_NAME = 1000
_SHOWN_NAME = 100


class Breakers(Protocol):
    """What the API needs of the systems."""

    def states(self) -> Sequence[SystemState]:
        """Every system that was asked lately, those that do not answer first."""
        ...

    async def reset(self, name: str, by: str, *, person: Person | None, origin: str) -> bool:
        """Close the breaker of a system; False where none of that name has one."""
        ...


class BreakerPages:
    """Answers `/api/v1/breakers` and what is below it."""

    def __init__(self, breakers: Breakers, bodies: Bodies) -> None:
        self._breakers = breakers
        self._bodies = bodies

    async def list(self, request: web.Request) -> web.Response:
        """Every system that was asked lately, those that do not answer first."""
        refuse_other_parameters(request.query)
        return web.json_response({"breakers": [_show(state) for state in self._breakers.states()]})

    async def reset(self, request: web.Request) -> web.Response:
        """Close the breaker of one system; 404 where none of that name has one."""
        given = await read_given(request, self._bodies, _MAX_BODY)
        caller = request[CALLER]
        name, who = _wish(given, caller)
        if not await self._breakers.reset(name, who.shown, person=who, origin=caller.origin):
            raise web.HTTPNotFound(text=f"there is no breaker {name[:_SHOWN_NAME]}")
        return web.json_response({})


def _show(state: SystemState) -> Mapping[str, Any]:
    return {
        "system": state.name,
        "family": state.family,
        "state": state.stand.value if state.stand is not None else None,
        "failures": state.failures,
        "opened_at": state.opened_at.isoformat() if state.opened_at is not None else None,
        "asked_in_seconds": state.asked_in,
        "trouble": state.trouble,
        "calls": state.calls,
        "waiting": state.waiting,
    }


def _wish(given: Any, caller: Caller) -> tuple[str, Person]:
    """The system, and who wants its breaker closed."""
    given = only(given, "a reset is", "system", "by")
    name, by = given.get("system", ""), given.get("by", "")
    if not all(type(text) is str and len(text) <= _MAX_NAME for text in (name, by)):
        raise web.HTTPBadRequest(text=f"system and by are texts of at most {_MAX_NAME} characters")
    needed = "system and by are needed: whose breaker, and who closes it"
    if not name:
        raise web.HTTPBadRequest(text=needed)
    return name, caller.named(by.strip(), needed)
