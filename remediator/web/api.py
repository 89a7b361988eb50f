"""The API over runs and alerts, for the command line and scripts: list, show, decide.

Called by the server, which has checked who calls. A decision is stored as a signal and nothing else: the
run's owner checks everything again before it starts a step. Nothing here writes to a run.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from aiohttp import web

from remediator.errors import RemediatorError, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.model.duration import parse_duration
from remediator.model.facts import LateFinished
from remediator.model.ids import Digest, Fingerprint, OwnerId, RunId
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Outcome, Reason
from remediator.model.person import Person
from remediator.model.run import Cancel, Run, RunSummary, Settle, Undo
from remediator.model.stage import Over, stage_of, unsettled
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline.approvals import Answer, Said, Verdict
from remediator.pipeline.undo.looking import Found
from remediator.pipeline.undo.verdicts import Key
from remediator.storage.reading import PostState
from remediator.web.approvals import asked_at_of
from remediator.web.auth import CALLER, Caller
from remediator.web.body import Bodies
from remediator.web.cancelling import say_asked, what_comes
from remediator.web.given import bad, is_id, known, only, read_given, refuse_other_parameters, words
from remediator.web.shown import (
    held_plan,
    show_hold,
    show_message,
    show_occurrence,
    show_owner,
    show_run,
    show_summary,
    stage_name,
    waiting_plan,
)
from remediator.web.undo import is_under_way, refusal_of, show_changes

T = TypeVar("T")

_LONGEST_WAIT = timedelta(seconds=30)
_LOOK_EVERY = timedelta(seconds=0.25)
_MAX_LISTED = 500
_MAX_DIGITS = 64
_MAX_FINGERPRINT = 2 * 64 + 1  # a sender's own and ours
_MAX_BODY = 64 * 1024
_DECISION = ("approved", "digest", "asked_at", "by", "reason")


class RunReader(Protocol):
    """What the API needs of the runs."""

    async def list_runs(
        self, *, limit: int, outcome: str | None, active: bool, unsettled: bool
    ) -> Sequence[RunSummary]:
        """The newest first; those of one outcome, that have not ended, or with a step that nobody knows the end of.

        Raises StoreUnavailable.
        """
        ...

    def processes(self) -> Mapping[OwnerId, str]:
        """Who works on runs now: the name of each process's host."""
        ...

    async def read_run(self, run: RunId, /) -> Run | None:
        """One run with its facts and signals. Raises StoreUnavailable."""
        ...

    async def decide(self, run: RunId, said: Said, /) -> Verdict | None:
        """Take a person's word on a plan; None where there is no such run. Raises StoreUnavailable."""
        ...

    async def cancel(self, run: RunId, wish: Cancel, /) -> bool:
        """Store the wish to stop for the run's owner; False where there is no such run. Raises StoreUnavailable."""
        ...

    async def settle(self, run: RunId, word: Settle, /) -> bool:
        """Store what a person knows of an unknown step; False where there is no such run. Raises StoreUnavailable."""
        ...

    async def look_at_changes(self, run: Run, /) -> Mapping[Key, Found]:
        """How it is now with what a run has changed; only reads. Raises RemediatorError where that cannot be told."""
        ...

    async def undo(self, run: RunId, wish: Undo, /) -> bool:
        """Store the wish to put the run's changes back; False where there is no such run. Raises StoreUnavailable."""
        ...


class AlertReader(Protocol):
    """What the API needs of the alerts."""

    async def list_occurrences(self, *, limit: int, only_open: bool) -> Sequence[Occurrence]:
        """The newest first; or only those that are open. Raises StoreUnavailable."""
        ...

    async def newest_occurrence(self, fingerprint: str, /) -> Occurrence | None:
        """The newest one of an alert, open or closed. Raises StoreUnavailable."""
        ...


class AlertPages:
    """Answers `GET /api/v1/alerts` and what is below it."""

    def __init__(self, alerts: AlertReader) -> None:
        self._alerts = alerts

    async def list(self, request: web.Request) -> web.Response:
        """`?limit=` at most 500, `?open=true` what has not resolved."""
        refuse_other_parameters(request.query, "limit", "open")
        found = await self._alerts.list_occurrences(
            limit=_one_of(request.query, "limit", "50", _limit, _LIMIT),
            only_open=_one_of(request.query, "open", "false", _YES_NO.__getitem__, "true or false"),
        )
        return web.json_response({"alerts": [show_occurrence(occurrence) for occurrence in found]})

    async def show(self, request: web.Request) -> web.Response:
        """The newest occurrence of one alert."""
        name = request.match_info["fingerprint"]
        fit = len(name) <= _MAX_FINGERPRINT and name.isprintable()
        found = await self._alerts.newest_occurrence(Fingerprint(name)) if fit else None
        if found is None:
            raise web.HTTPNotFound(text=f"there is no alert {name}" if fit else "there is no such alert")
        return web.json_response(show_occurrence(found))


class RunPages:
    """Answers `/api/v1/runs` and what is below it."""

    def __init__(
        self,
        runs: RunReader,
        clock: Clock,
        bodies: Bodies,
        *,
        hold_timeout: timedelta,
        standing: Callable[[], Awaitable[Sequence[Stop]]] | None = None,
        told: Callable[[RunId], Awaitable[Sequence[PostState]]] | None = None,
    ) -> None:
        """`standing`: all stops that stand now. `told`: the messages of a run. They raise StoreUnavailable."""
        self._runs = runs
        self._clock = clock
        self._bodies = bodies
        self._hold_timeout = hold_timeout
        self._standing = standing
        self._told = told
        self._stops = False

    async def stop(self, app: web.Application) -> None:
        """Answer who waits for something to be over: the service must not wait for them."""
        del app
        self._stops = True

    async def list(self, request: web.Request) -> web.Response:
        """`?limit=` at most 500, `?outcome=` one of the outcomes, `?active=true` what has not ended.

        `?waiting=true`: what waits for a person, among the newest 500 that have not ended. `?unsettled=true`: what has
        a step that nobody knows the end of, to be looked at and settled.
        """
        refuse_other_parameters(request.query, "limit", "outcome", "active", "waiting", "unsettled")
        limit = _one_of(request.query, "limit", "50", _limit, _LIMIT)
        waiting = _one_of(request.query, "waiting", "false", _YES_NO.__getitem__, "true or false")
        active = _one_of(request.query, "active", "false", _YES_NO.__getitem__, "true or false")
        outcome = None
        if "outcome" in request.query:
            outcome = _one_of(request.query, "outcome", "", _outcome, "one of " + ", ".join(Outcome))
        found = await self._runs.list_runs(
            limit=_MAX_LISTED if waiting else limit,
            outcome=outcome,
            active=active or waiting,
            unsettled=_one_of(request.query, "unsettled", "false", _YES_NO.__getitem__, "true or false"),
        )
        shown: list[dict[str, Any]] = []
        for summary in found:
            line = await self._summarise(summary)
            shown += [line] if line["stage"] == "needs_a_person" or not waiting else []
            if len(shown) == limit:
                break
        return web.json_response({"runs": shown})

    async def _summarise(self, summary: RunSummary) -> dict[str, Any]:
        """A line of the list; where a run stands is folded from all of it, and only while it is under way."""
        run = await self._runs.read_run(summary.id) if summary.ended_at is None else None
        if run is None:
            stage = "over" if summary.ended_at is not None else "unknown"
        else:
            held = "held" if held_plan(run) is not None else stage_name(run)
            stage = "needs_a_person" if waiting_plan(run) is not None else held
        owner = show_owner(summary.owner, self._runs.processes()) if summary.ended_at is None else None
        return {**show_summary(summary), "stage": stage, "owner": owner}

    async def show(self, request: web.Request) -> web.Response:
        """Everything known of one run."""
        run = await self._find(request)
        held = held_plan(run)
        shown = None
        if held is not None:
            storms = await self._storms(run) if held[1].reason is Reason.STORM else ()
            shown = show_hold(*held, at=self._clock.now(), timeout=self._hold_timeout, storms=storms)
        is_over = isinstance(stage_of(run), Over)
        owner = None if is_over else show_owner(run.owner, self._runs.processes())
        told = await self._told(run.id) if self._told is not None else ()
        messages = [show_message(post) for post in told]
        return web.json_response({**show_run(run), "held": shown, "owner": owner, "messages": messages})

    async def _storms(self, run: Run) -> Sequence[Stop]:
        """Those that a run is in now."""
        scopes = (EVERYTHING, f"rule:{run.rule}")
        standing = await self._standing() if self._standing is not None else ()
        return [one for one in standing if one.kind is StopKind.STORM and one.scope in scopes]

    async def decide(self, request: web.Request) -> web.Response:
        """Take a person's word on the plan that waits: 403 where they may not, 409 where it decides nothing."""
        given = await read_given(request, self._bodies, _MAX_BODY)
        said = _said(given, request[CALLER])
        run = await self._find(request)
        verdict = await self._runs.decide(run.id, said)
        if verdict is None:
            raise web.HTTPNotFound(text="the run is gone")
        if verdict.answer is Answer.TAKEN:
            return web.json_response({"says": verdict.says, "missing": verdict.missing}, status=202)
        status = {Answer.NOT_ALLOWED: web.HTTPForbidden, Answer.NEEDS_REASON: web.HTTPBadRequest}
        raise status.get(verdict.answer, web.HTTPConflict)(text=verdict.says)

    async def cancel(self, request: web.Request) -> web.Response:
        """Store a person's wish that a run stops, and say what will come of it; 409 when it has ended.

        A step that is acting is let to its end. Where somebody has asked for it before, nothing new is stored.
        """
        given = await read_given(request, self._bodies, _MAX_BODY)
        wish = _cancel(given, request[CALLER], self._clock.now())
        run = await self._find(request)
        before = say_asked(run)
        if isinstance(stage_of(run), Over) or not (before or await self._runs.cancel(run.id, wish)):
            raise _conflict("the run has ended already")
        coming = what_comes(run)
        says = "; ".join(filter(None, (before, coming.says)))
        return web.json_response({"says": says, "at_once": coming.at_once}, status=202)

    async def settle(self, request: web.Request) -> web.Response:
        """Store whether a step that nobody saw the end of was done; 409 where none is unknown, or not any more."""
        given = await read_given(request, self._bodies, _MAX_BODY)
        caller = request[CALLER]
        done, who, reason = _settlement(given, caller)
        run = await self._find(request)
        unknown = unsettled(run)
        if unknown is None:
            is_settled = any(isinstance(word, LateFinished | Settle) for word in (*run.facts, *run.signals))
            raise _conflict("it was settled already" if is_settled else "nothing of this run is unknown")
        said_by = (who.name, who.via.value, caller.origin)
        word = Settle(self._clock.now(), unknown.step, unknown.attempt, done, who.shown, reason, *said_by)
        if not await self._runs.settle(run.id, word):
            raise web.HTTPNotFound(text="the run is gone")
        return web.json_response({}, status=202)

    async def show_undo(self, request: web.Request) -> web.Response:
        """What would come of an undo: each change with how it stands, and why an undo would be refused, if so.

        `?look=true`: how it is now is looked at as well, without changing anything. `?wait=10s`: answered when nothing
        is being put back any more, or after that time, which is 30s at the most; at once where the service stops.
        """
        refuse_other_parameters(request.query, "look", "wait")
        look = _one_of(request.query, "look", "false", _YES_NO.__getitem__, "true or false")
        end = self._clock.monotonic() + _one_of(request.query, "wait", "0s", _wait, "a duration of 30s at the most")
        run = await self._find(request)
        while is_under_way(run) and not self._stops and (left := end - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(_LOOK_EVERY, timedelta(seconds=left)))
            run = await self._find(request)
        return web.json_response(self._undo_of(run, await self._look(run) if look else None))

    async def _look(self, run: Run) -> Mapping[Key, Found]:
        try:
            return await self._runs.look_at_changes(run)
        except StoreUnavailable:
            raise
        except RemediatorError as error:
            raise _conflict(f"how it is now cannot be looked at: {error}") from error

    async def undo(self, request: web.Request) -> web.Response:
        """Store a person's wish that a run's changes are put back; 409 where nothing would come of it."""
        given = await read_given(request, self._bodies, _MAX_BODY)
        wish = _undo(given, request[CALLER], self._clock.now())
        run = await self._find(request)
        if refusal := refusal_of(run, wish.at):
            raise _conflict(refusal)
        if not await self._runs.undo(run.id, wish):
            raise web.HTTPNotFound(text="the run is gone")
        return web.json_response(self._undo_of(run), status=202)

    def _undo_of(self, run: Run, found: Mapping[Key, Found] | None = None) -> dict[str, Any]:
        refusal = refusal_of(run, self._clock.now())
        return {
            "id": run.id,
            "changes": show_changes(run, found),
            "refused": refusal or None,
            "under_way": is_under_way(run),
            "ends_run": not isinstance(stage_of(run), Over),
        }

    async def _find(self, request: web.Request) -> Run:
        name = request.match_info["id"]
        fit = is_id(name)
        run = await self._runs.read_run(RunId(name)) if fit else None
        if run is None:
            raise web.HTTPNotFound(text=f"there is no run {name}" if fit else "there is no such run")
        return run


_LIMIT = f"a number from 1 to {_MAX_LISTED}"
_YES_NO = {"true": True, "false": False}


def _one_of(query: Mapping[str, str], name: str, default: str, read: Callable[[str], T], wanted: str) -> T:
    try:
        return read(query.get(name, default))
    except (ValueError, KeyError):
        raise bad(f"{name} is not {wanted}") from None


def _limit(text: str) -> int:
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < _MAX_DIGITS else 0
    if not 1 <= limit <= _MAX_LISTED:
        raise ValueError(text)
    return limit


def _wait(text: str) -> float:
    wait = parse_duration(text)
    if wait > _LONGEST_WAIT:
        raise ValueError(text)
    return wait.total_seconds()


def _outcome(text: str) -> str:
    """An outcome as it is told, or with `_` or `-` for the blanks."""
    return Outcome(text.replace("_", " ").replace("-", " ")).value


def _said(given: Any, caller: Caller) -> Said:
    """What they say to which plan."""
    given = known(given, "a decision is", _DECISION)
    if type(given.get("approved")) is not bool:
        raise bad("approved is not true or false")
    digest, by, reason = (words(given, name) for name in ("digest", "by", "reason"))
    if not digest:
        raise bad("digest is needed: which plan; the run, and the list of approvals, have it")
    return Said(
        caller.named(by, "by is needed: who decides"),
        given["approved"],
        Digest(digest),
        reason,
        origin=caller.origin,
        asked_at=asked_at_of(given),
    )


def _cancel(given: Any, caller: Caller, at: datetime) -> Cancel:
    given = only(given, "a cancellation is", "by", "reason")
    reason, who = words(given, "reason"), caller.named(words(given, "by"), "by is needed: who cancels")
    return Cancel(at, who.shown, reason, who.name, who.via.value, caller.origin)


def _undo(given: Any, caller: Caller, at: datetime) -> Undo:
    given = only(given, "an undo is", "by", "reason")
    reason, who = words(given, "reason"), caller.named(words(given, "by"), "by is needed: who has it put back")
    return Undo(at, who.shown, reason, who.name, who.via.value, caller.origin)


def _settlement(given: Any, caller: Caller) -> tuple[bool, Person, str]:
    """Whether it was done, who says so, and why."""
    given = only(given, "a settlement is", "done", "by", "reason")
    if type(given.get("done")) is not bool:
        raise bad("done is not true or false")
    reason, who = words(given, "reason"), caller.named(words(given, "by"), "by is needed: who settles it")
    return given["done"], who, reason


def _conflict(what: str) -> web.HTTPConflict:
    return web.HTTPConflict(text=what)
