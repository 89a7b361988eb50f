"""The API over what stands in the way of changes: what there is, pausing, and lifting.

Called by the server, which has checked who calls. It takes effect in every process on the store, and is told in chat
with the name of whoever has done it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from aiohttp import web

from remediator.model.duration import parse_duration
from remediator.model.person import Person
from remediator.model.stop import EVERYTHING, LIFTED_WITH, Bar, Listed, Stop, StopKind
from remediator.pipeline.stops import how_to_lift
from remediator.web.auth import CALLER, SaidBy
from remediator.web.body import Bodies
from remediator.web.given import only, read_given, refuse_other_parameters

_MAX_BODY = 16 * 1024
_MAX_TEXT = 1000  # of all but a scope: a target's name may be as long as it likes
_SHOWN = 100  # characters of a scope in an error
_MANY = 5  # stops in an error


class StopKeeper(Protocol):
    """What the API needs of the stops."""

    async def standing(self) -> Sequence[Stop]:
        """All that stands in the way now, the oldest first."""
        ...

    async def listed(self) -> Sequence[Listed]:
        """The same, each with what became known since of the runs that are its reason."""
        ...

    def bars(self) -> Sequence[Bar]:
        """What stands in the way besides, and no command lifts."""
        ...

    async def pause(
        self, scope: str, reason: str, by: str, lasts: timedelta | None, *, person: Person | None, origin: str
    ) -> tuple[Stop, str]:
        """Have nothing changed within a scope; the pause, and what is to be said. Raises Mistaken where there is none.

        One that stands is never made shorter.
        """
        ...

    async def lift(self, kind: StopKind, scope: str, by: str, *, person: Person | None, origin: str) -> bool:
        """Whether there was such a stop; it stands no more."""
        ...


class StopPages:
    """Answers `/api/v1/stops` and what is below it."""

    def __init__(self, stops: StopKeeper, bodies: Bodies) -> None:
        self._stops = stops
        self._bodies = bodies

    async def list(self, request: web.Request) -> web.Response:
        """All that stands in the way now: the stops, the oldest first, and then what no command lifts."""
        refuse_other_parameters(request.query)
        stops = [_show_listed(one) for one in await self._stops.listed()]
        return web.json_response({"stops": [*stops, *map(_show_bar, self._stops.bars())]})

    async def pause(self, request: web.Request) -> web.Response:
        """Pause a scope, for a time or until it is resumed."""
        given, said_by = await self._read(request, "scope", "by", "reason", "for")
        lasts = _lasts(given["for"])
        stop, note = await self._stops.pause(given["scope"], given["reason"], given["by"], lasts, **said_by)
        return web.json_response({**_show(stop), "note": note}, status=201)

    async def lift(self, request: web.Request) -> web.Response:
        """Lift one stop; 404 where there is no such one."""
        given, said_by = await self._read(request, "kind", "scope", "by")
        kinds = {kind.value: kind for kind in StopKind}
        if given["kind"] not in kinds:
            raise web.HTTPBadRequest(text=f"kind is one of {', '.join(kinds)}")
        kind = kinds[given["kind"]]
        is_lifted = await self._stops.lift(kind, given["scope"], given["by"], **said_by)
        note = self._say_file() if kind is StopKind.PAUSE else ""
        if not is_lifted:
            raise web.HTTPNotFound(text=await self._say_none(kind, given["scope"], note))
        return web.json_response({"note": note})

    def _say_file(self) -> str:
        """That the file holds everything all the same, where it does."""
        whole = [bar for bar in self._stops.bars() if (bar.kind, bar.scope) == ("pause file", EVERYTHING)]
        return "".join(f"changes are held all the same: {bar.reason}" for bar in whole)

    async def _say_none(self, kind: StopKind, scope: str, note: str) -> str:
        """That there is none of it, and what there is: whoever has misspelt it sees how it is written."""
        kinds = LIFTED_WITH.get(kind, (kind,))
        there = [
            f"the {stop.kind} of {stop.scope}"[:_SHOWN] for stop in await self._stops.standing() if stop.kind in kinds
        ]
        more = f", and {len(there) - _MANY} more" if len(there) > _MANY else ""
        others = f"there is {', '.join(there[:_MANY])}{more}" if there else f"there is no {kind} at all"
        return "; ".join(filter(None, (f"there is no {' or '.join(kinds)} of {scope[:_SHOWN]}", note, others)))

    async def _read(self, request: web.Request, *names: str) -> tuple[dict[str, str], SaidBy]:
        """The body's texts by these names, and who says so; scope and kind must be there, and by with the admin token.

        `by` becomes the name by which they are shown.
        """
        given = only(await read_given(request, self._bodies, _MAX_BODY), "this takes", *names)
        found = {name: given.get(name, "") for name in names}
        if not all(type(text) is str and (len(text) <= _MAX_TEXT or name == "scope") for name, text in found.items()):
            others = ", ".join(name for name in names if name != "scope")
            raise web.HTTPBadRequest(text=f"scope is a text; {others} are texts of at most {_MAX_TEXT} characters")
        found = {name: text.strip() for name, text in found.items()}
        caller = request[CALLER]
        needed = ("kind", "scope", "by") if caller.person.is_admin else ("kind", "scope")
        if missing := [name for name in needed if name in found and not found[name]]:
            raise web.HTTPBadRequest(text=f"{', '.join(missing)} must be given")
        who = caller.named(found["by"], "by must be given")
        return {**found, "by": who.shown}, {"person": who, "origin": caller.origin}


def _lasts(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        lasts = parse_duration(text)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"for: {error}") from None
    if lasts <= timedelta(0):
        raise web.HTTPBadRequest(text="for: it has to last longer than nothing, like 2h")
    return lasts


def _show(stop: Stop) -> Mapping[str, Any]:
    return {
        "kind": stop.kind.value,
        "scope": stop.scope,
        "reason": stop.reason,
        "by": stop.by,
        "at": stop.at.isoformat(),
        "until": stop.until.isoformat() if stop.until is not None else None,
    }


def _show_listed(one: Listed) -> Mapping[str, Any]:
    trial = one.trial_at.isoformat() if one.trial_at is not None else None
    return {**_show(one.stop), "settled": one.settled, "trial_at": trial, "lift": how_to_lift(one.stop)}


def _show_bar(bar: Bar) -> Mapping[str, Any]:
    return {
        "kind": bar.kind,
        "scope": bar.scope,
        "reason": bar.reason,
        "by": "",
        "at": bar.at.isoformat() if bar.at is not None else None,
        "until": bar.until.isoformat() if bar.until is not None else None,
        "settled": "",
        "trial_at": None,
        "lift": "",
    }
