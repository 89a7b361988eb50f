"""The API over escalation: problems that somebody else is told of, and taking one on.

Called by the server, which has checked who calls. Whoever takes a problem on is told in its thread, by name.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from aiohttp import web

from remediator.kit.redaction import Redactor
from remediator.model.ids import RunId
from remediator.model.person import Person
from remediator.model.run import Acknowledge
from remediator.pipeline.escalation.deliveries import LevelState, Place
from remediator.pipeline.escalation.listing import NoProblem, OpenProblem, TakenAlready
from remediator.web.auth import CALLER, Caller, SaidBy
from remediator.web.body import Bodies
from remediator.web.given import is_id, only, read_given, refuse_other_parameters, words

_MAX_BODY = 64 * 1024
_REDACTOR = Redactor()


class EscalationKeeper(Protocol):
    """What the API needs of escalation."""

    async def list_open(self) -> Sequence[OpenProblem]:
        """The open problems, the newest first."""
        ...

    async def acknowledge(
        self, run_id: RunId, by: str, reason: str, *, take_over: bool = False, person: Person | None, origin: str
    ) -> Acknowledge | None:
        """The word that was stored; None where there is no such run. Raises NoProblem and TakenAlready."""
        ...


class EscalationPages:
    """Answers `/api/v1/escalations`, and `/api/v1/runs/{id}/acknowledge`."""

    def __init__(self, escalations: EscalationKeeper, bodies: Bodies) -> None:
        self._escalations = escalations
        self._bodies = bodies

    async def list(self, request: web.Request) -> web.Response:
        """The open problems, the newest first, each with who was reached, and who is next."""
        refuse_other_parameters(request.query)
        return web.json_response({"escalations": [_show(one) for one in await self._escalations.list_open()]})

    async def acknowledge(self, request: web.Request) -> web.Response:
        """Store that a person has taken a problem on; 409 where it is over, and where somebody else has it."""
        given = await read_given(request, self._bodies, _MAX_BODY)
        who, reason, take_over = _said(given, request[CALLER])
        said_by: SaidBy = {"person": who, "origin": request[CALLER].origin}
        name = request.match_info["id"]
        fit = is_id(name)
        try:
            take_on = partial(self._escalations.acknowledge, take_over=take_over, **said_by)
            word = await take_on(RunId(name), who.shown, reason) if fit else None
        except (NoProblem, TakenAlready) as error:
            raise web.HTTPConflict(text=_REDACTOR.text(str(error))) from error
        if word is None:
            raise web.HTTPNotFound(text=f"there is no run {name}" if fit else "there is no such run")
        return web.json_response(_show_word(word), status=202)


def _said(given: Any, caller: Caller) -> tuple[Person, str, bool]:
    """Who takes it on, what they say, and whether they take it from whoever has it."""
    given = only(given, "an acknowledgement is", "by", "reason", "take_over")
    who = caller.named(words(given, "by"), "by is needed: who takes it on")
    reason, take_over = words(given, "reason"), given.get("take_over", False)
    if type(take_over) is not bool:
        raise web.HTTPBadRequest(text="take_over is neither true nor false")
    return who, reason, take_over


def _show(one: OpenProblem) -> dict[str, Any]:
    return {
        "run": one.run.id,
        "rule": one.run.rule,
        "summary": _REDACTOR.text(one.run.summary),
        "since": one.run.created_at.isoformat(),
        "levels": [_show_level(level) for level in one.levels],
        "next": None if one.next_at is None else {"level": one.next_level, "at": one.next_at.isoformat()},
        "taken_on": None if one.taken_on is None else _show_word(one.taken_on),
    }


def _show_level(level: LevelState) -> dict[str, Any]:
    return {
        "level": level.to,
        "number": level.number,
        "state": level.told.value,
        "due": level.due.isoformat(),
        "places": [_show_place(place) for place in level.places],
    }


def _show_place(place: Place) -> dict[str, Any]:
    at = place.at.isoformat() if place.at is not None else None
    return {
        "channel": place.channel,
        "delivered": place.delivered,
        "delivered_at": at if place.delivered else None,
        "waiting_since": None if place.delivered else at,
        "tries": place.tries.count if place.tries is not None else None,
        "error": _REDACTOR.text(place.tries.error) if place.tries is not None else None,
    }


def _show_word(word: Acknowledge) -> dict[str, str]:
    return {"by": word.by, "at": word.at.isoformat(), "reason": _REDACTOR.text(word.reason)}
