"""The API that has another run begun for an alert that fires still.

Called by the server, which has checked who calls. Who asks is told in the new run's thread and in the old one's, by
name.
"""

from typing import Protocol

from aiohttp import web

from remediator.model.ids import RunId
from remediator.model.person import Person
from remediator.pipeline.intake import NothingAnew
from remediator.pipeline.rerun import Begun
from remediator.web.auth import CALLER, SaidBy
from remediator.web.body import Bodies
from remediator.web.given import is_id, only, read_given, words

_MAX_BODY = 64 * 1024
_MAX_FINGERPRINT = 2 * 64 + 1


class Rerunner(Protocol):
    """What the API needs to have runs begun anew."""

    async def of_run(self, run_id: RunId, by: str, reason: str, *, person: Person | None, origin: str) -> Begun | None:
        """For a run's alerts; None where there is no such run. Raises NothingAnew."""
        ...

    async def of_alert(
        self, fingerprint: str, by: str, reason: str, *, person: Person | None, origin: str
    ) -> Begun | None:
        """For one alert; None where it was never heard of. Raises NothingAnew."""
        ...


class RerunPages:
    """Answers `/api/v1/runs/{id}/rerun` and `/api/v1/alerts/{fingerprint}/rerun`."""

    def __init__(self, reruns: Rerunner, bodies: Bodies) -> None:
        self._reruns = reruns
        self._bodies = bodies

    async def of_run(self, request: web.Request) -> web.Response:
        """Begin another run for the alerts of a run; 409 where one is under way, or none fires still."""
        who, reason = await self._read(request)
        said_by: SaidBy = {"person": who, "origin": request[CALLER].origin}
        name = request.match_info["id"]
        fit = is_id(name)
        try:
            begun = await self._reruns.of_run(RunId(name), who.shown, reason, **said_by) if fit else None
        except NothingAnew as error:
            raise web.HTTPConflict(text=str(error)) from error
        if begun is None:
            raise web.HTTPNotFound(text=f"there is no run {name}" if fit else "there is no such run")
        return web.json_response(_show(begun), status=201)

    async def of_alert(self, request: web.Request) -> web.Response:
        """Begin another run for one alert; 409 where one is under way, or where it does not fire."""
        who, reason = await self._read(request)
        said_by: SaidBy = {"person": who, "origin": request[CALLER].origin}
        name = request.match_info["fingerprint"]
        fit = len(name) <= _MAX_FINGERPRINT and name.isprintable()
        try:
            begun = await self._reruns.of_alert(name, who.shown, reason, **said_by) if fit else None
        except NothingAnew as error:
            raise web.HTTPConflict(text=str(error)) from error
        if begun is None:
            raise web.HTTPNotFound(text=f"there is no alert {name}" if fit else "there is no such alert")
        return web.json_response(_show(begun), status=201)

    async def _read(self, request: web.Request) -> tuple[Person, str]:
        """Who asks, and why."""
        given = await read_given(request, self._bodies, _MAX_BODY)
        given = only(given, "to have a run begun anew takes", "by", "reason")
        reason = words(given, "reason")
        return request[CALLER].named(words(given, "by"), "by is needed: who has it begun"), reason


def _show(begun: Begun) -> dict[str, list[dict[str, str]]]:
    return {
        "runs": [{"id": run, "rule": rule} for run, rule in begun.runs],
        "joined": [{"id": run, "rule": rule} for run, rule in begun.joined],
    }
