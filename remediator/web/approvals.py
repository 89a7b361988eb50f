"""The API over what waits for people: list it, and decide on several runs in one call.

Called by the server, which has checked the token. Each run is decided by itself, on the digest and the question that
the caller was shown: one that has changed, or that somebody was faster with, keeps no other from being decided.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from aiohttp import web

from remediator.model.ids import Digest, OwnerId, RunId
from remediator.model.run import Run, RunSummary
from remediator.model.stage import by_hand
from remediator.pipeline.approvals import Answer, Said, Verdict
from remediator.web.auth import CALLER
from remediator.web.body import Bodies
from remediator.web.given import bad, is_id, known, read_given, refuse_other_parameters, words
from remediator.web.shown import show_question, waiting_plan

_MOST = 500
"""Runs that are looked through, the newest of those that have not ended, and that one call decides on."""
_MAX_BODY = 256 * 1024
_MAX_ID = 64
_MAX_RULE = 200
_FIELDS = ("runs", "approved", "reason", "by")

_One = tuple[RunId, Digest, datetime | None]


class RunsThatWait(Protocol):
    """What the API needs of the runs."""

    async def list_runs(
        self, *, limit: int, outcome: str | None, active: bool, unsettled: bool
    ) -> Sequence[RunSummary]:
        """See `RunReader`."""
        ...

    async def read_run(self, run: RunId, /) -> Run | None:
        """See `RunReader`."""
        ...

    async def decide(self, run: RunId, said: Said, /) -> Verdict | None:
        """See `RunReader`."""
        ...

    def processes(self) -> Mapping[OwnerId, str]:
        """See `RunReader`."""
        ...


class ApprovalPages:
    """Answers `/api/v1/approvals` and what is below it."""

    def __init__(self, runs: RunsThatWait, bodies: Bodies) -> None:
        self._runs = runs
        self._bodies = bodies

    async def list(self, request: web.Request) -> web.Response:
        """What waits for people, the oldest first; `?rule=` of one rule. Looked for among the newest 500 active runs.

        `more`: whether there are more active runs than those.
        """
        refuse_other_parameters(request.query, "rule")
        rule = request.query.get("rule")
        if rule is not None and not 0 < len(rule) <= _MAX_RULE:
            raise bad(f"rule is a text of at most {_MAX_RULE} characters")
        found = await self._runs.list_runs(limit=_MOST, outcome=None, active=True, unsettled=False)
        shown: list[dict[str, Any]] = []
        for summary in reversed(found):
            run = await self._runs.read_run(summary.id) if rule in (None, summary.rule) else None
            waiting = waiting_plan(run) if run is not None else None
            if run is None or waiting is None:
                continue
            word = by_hand(run)
            alert = {"alertname": run.alert.name, "labels": dict(run.alert.labels)}
            who = {"summary": run.summary, "started_by": "" if word is None else word.by}
            shown.append({"id": run.id, "rule": run.rule, **alert, **who, **show_question(waiting)})
        return web.json_response({"approvals": shown, "more": len(found) == _MOST})

    async def decide(self, request: web.Request) -> web.Response:
        """Take a person's word on several plans; what became of each, in the order in which they were given."""
        caller = request[CALLER]
        runs, approved, reason, by = _read(await read_given(request, self._bodies, _MAX_BODY))
        person = caller.named(by, "by is needed: who decides")
        shown: list[dict[str, Any]] = []
        for run, digest, asked_at in runs:
            said = Said(person, approved, digest, reason, origin=caller.origin, asked_at=asked_at)
            verdict = await self._runs.decide(run, said)
            shown.append({"id": run, **_show(verdict)})
        return web.json_response({"runs": shown})


def _show(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"taken": False, "answer": "no_such_run", "says": "there is no such run", "missing": 0}
    taken = verdict.answer is Answer.TAKEN
    return {"taken": taken, "answer": verdict.answer.value, "says": verdict.says, "missing": verdict.missing}


def _read(given: Any) -> tuple[list[_One], bool, str, str]:
    """The runs with their plans and questions, whether they are approved, why, and who says so."""
    given = known(given, "decisions are", _FIELDS)
    if type(given.get("approved")) is not bool:
        raise bad("approved is not true or false")
    runs = given.get("runs")
    if type(runs) is not list or not 1 <= len(runs) <= _MOST:
        raise bad(f"runs is not a list of 1 to {_MOST} objects with id and digest")
    named = [_one(item) for item in runs]
    if len({run for run, *_ in named}) < len(named):
        raise bad("a run stands in runs twice")
    return named, given["approved"], words(given, "reason"), words(given, "by")


def _one(item: Any) -> _One:
    is_right = type(item) is dict and {"id", "digest"} <= set(item) <= {"id", "digest", "asked_at"}
    if not is_right or any(type(one) is not str for one in item.values()):
        raise bad("each of runs is an object with id and digest, whole as the list shows them, and may have asked_at")
    if not 0 < len(item["digest"]) <= _MAX_ID:
        raise bad("each of runs is an object with id and digest, whole as the list shows them")
    name: str = item["id"]
    if not is_id(name):
        raise bad("an id in runs is none")
    return RunId(name), Digest(item["digest"]), asked_at_of(item)


def asked_at_of(given: Mapping[str, Any]) -> datetime | None:
    """When the question was asked that is decided on, as it was shown; None where it is not said."""
    if "asked_at" not in given:
        return None
    text = given["asked_at"]
    try:
        found = datetime.fromisoformat(text) if type(text) is str and text.isascii() else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise bad("asked_at is a time, as the run and the list of approvals show it")
    return found
