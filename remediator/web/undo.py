"""What a run has changed, as the API shows it: what can be put back, what was, and what stays and why. Pure.

Called by the API's pages. Whether somebody has changed a thing since is not known here: whoever has looked hands it in,
and it is looked at again right before it is put back. Texts that people read are worded here, so that every client says
the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, assert_never

from remediator.kit.redaction import Redactor, shorten
from remediator.kit.wording import say_time
from remediator.model.facts import Held, Started
from remediator.model.run import Run, Undo
from remediator.model.stage import Over, stage_of
from remediator.model.undo import Cause, Undoing
from remediator.pipeline.undo.looking import Found
from remediator.pipeline.undo.timing import times_over, under_way
from remediator.pipeline.undo.verdicts import (
    Asks,
    Back,
    Key,
    LeftTo,
    PutBack,
    Stays,
    Verdict,
    Why,
    next_of,
    verdicts_on,
)
from remediator.pipeline.undo.younger import goes_back

_REDACTOR = Redactor()
_SHOWN = 60  # characters of a step's sentence in a refusal


class Stands(StrEnum):
    """How it stands with a change."""

    CAN = "can be put back"
    ACTING = "is acting"
    UNDERWAY = "is being put back"
    BACK = "was put back"
    STAYS = "stays"
    ASKS = "needs a person"
    LEFT = "is left to a later run"


@dataclass(frozen=True, slots=True)
class _Standing:
    stands: Stands
    why: str = ""


def show_changes(run: Run, found: Mapping[Key, Found] | None = None) -> list[dict[str, Any]]:
    """Every step of a run that may have changed something, the last one first: the order in which they are put back.

    With what was `found` out about how it is now, each has `now` as well.
    """
    going_on, times = under_way(run), times_over(run)
    held = _held_by(run, going_on)
    shown = []
    for one in verdicts_on(run.facts):
        change = _show(run, one, _standing(run, one, going_on, held), times.get(one.round))
        shown.append(change if found is None else {**change, "now": _now(found.get((one.round, one.step.id)))})
    return shown


def _now(found: Found | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"is": None if found.now is None else found.now.value, "says": _REDACTOR.text(found.says)}


def is_under_way(run: Run) -> bool:
    """Whether something is being put back, or is to be, as people have asked for it."""
    asked = sum(isinstance(signal, Undo) for signal in run.signals)
    answered = sum(fact.answers for fact in run.facts if isinstance(fact, Undoing))
    return asked > answered or under_way(run) is not None


def refusal_of(run: Run, at: datetime) -> str:
    """Why nothing would come of putting the run's changes back now; empty where something would."""
    going_on = under_way(run)
    if going_on is not None and going_on.round is None:
        return "it is being put back already"
    anew = Undoing(at, _count(run) + 1, Cause.ASKED)  # who asks has everything tried again
    verdicts = verdicts_on((*run.facts, anew))
    match next_of(verdicts):
        case PutBack():
            return ""
        case Asks(why=Why.UNDERWAY) if not isinstance(stage_of(run), Over):
            return ""
        case Asks() as asks:
            return f"“{_short(asks)}” needs a person first: {_standing(run, asks).why}"
        case None:
            return _nothing_left(run, verdicts)
        case other:
            assert_never(other)


def _nothing_left(run: Run, verdicts: tuple[Verdict, ...]) -> str:
    """Why there is nothing to put back."""
    if staying := next((one for one in verdicts if isinstance(one, Stays)), None):
        others = " (and others)" if sum(isinstance(one, Stays) for one in verdicts) > 1 else ""
        return f"nothing is left to put back: “{_short(staying)}”{others} stays, because {_standing(run, staying).why}"
    if left := next((one for one in verdicts if isinstance(one, LeftTo)), None):
        return f"nothing is left to put back: “{_short(left)}” is left to a later run: {_standing(run, left).why}"
    if verdicts:
        return "everything that this run has changed is put back already"
    stop = "" if isinstance(stage_of(run), Over) else f"; to stop it, say: remediator cancel {run.id}"
    return f"this run has changed nothing, so there is nothing to put back{stop}"


def _show(run: Run, verdict: Verdict, found: _Standing, until: datetime | None) -> dict[str, Any]:
    step, is_left = verdict.step, isinstance(verdict, PutBack | Asks)
    before = goes_back(run, verdict).before if isinstance(verdict, PutBack | Asks) else None
    until = until if is_left else None
    return {
        "round": verdict.round,
        "step": step.id,
        "action": step.action,
        "sentence": step.sentence,
        "targets": [str(target) for target in step.targets],
        "stands": found.stands.value,
        "why": _REDACTOR.text(found.why),
        "before": None if before is None else _REDACTOR.value(dict(before)),
        "until": None if until is None else until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


def _standing(run: Run, verdict: Verdict, going_on: Undoing | None = None, held: str = "") -> _Standing:
    match verdict:
        case PutBack():
            is_under_way = going_on is not None and going_on.round in (None, verdict.round)
            return _Standing(Stands.UNDERWAY, held) if is_under_way else _Standing(Stands.CAN)
        case Back():
            return _Standing(Stands.BACK)
        case LeftTo(run=other, until=until):
            lasts = f"until {say_time(until)}" if until is not None else "for good"
            how = f"run {other} has changed the same {lasts}; to put it back now: remediator undo {other}"
            return _Standing(Stands.LEFT, how)
        case Stays(why=Why.NOT_CAPTURED, detail=""):
            return _Standing(Stands.STAYS, f"{verdict.step.action} keeps nothing that it could be put back with")
        case Stays(why=why, detail=detail):
            return _Standing(Stands.STAYS, f"{why}: {detail}" if detail else str(why))
        case Asks(why=Why.UNDERWAY) if not isinstance(stage_of(run), Over):
            return _Standing(Stands.ACTING, _say_acting(run, verdict))
        case Asks(why=Why.UNKNOWN | Why.UNDO_UNKNOWN as why):
            how = f"remediator runs settle {run.id} done, or: remediator runs settle {run.id} not-done"
            return _Standing(Stands.ASKS, f"{why}; look, and say so with: {how}")
        case Asks(why=why, detail=detail):
            return _Standing(Stands.ASKS, f"{why}: {detail}" if detail else str(why))
        case other:
            assert_never(other)


def _say_acting(run: Run, asks: Asks) -> str:
    """What comes of a step that has not ended."""
    if not any(isinstance(signal, Undo) for signal in run.signals):
        return "it has not ended yet; an undo lets it to its end first"
    return "it is let to its end" + (", and then put back" if asks.before is not None else "")


def _count(run: Run) -> int:
    return max((fact.count for fact in run.facts if isinstance(fact, Undoing)), default=0)


def _held_by(run: Run, going_on: Undoing | None) -> str:
    """What keeps an undoing from going on for now; empty where nothing does."""
    if going_on is None:
        return ""
    since = run.facts[run.facts.index(going_on) :]
    newest = next((fact for fact in reversed(since) if isinstance(fact, Held | Started)), None)
    if not isinstance(newest, Held):
        return ""
    return f"held, {newest.reason}: {newest.detail}" if newest.detail else f"held, {newest.reason}"


def _short(verdict: Verdict) -> str:
    return shorten(verdict.step.sentence, _SHOWN)
