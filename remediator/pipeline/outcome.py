"""How a run ends, in the product's words. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from remediator.kit.wording import say_time
from remediator.model.duration import say_duration
from remediator.model.facts import Ended, LateFinished, Proof, Settled, StepStatus
from remediator.model.ids import RunId
from remediator.model.outcome import Outcome, Reason
from remediator.model.run import Cancel, Resolved, Undo
from remediator.model.stage import NotHelped, Proven
from remediator.pipeline.approval import Denied


def told(at: datetime, why: str) -> Ended:
    """Nothing was to be done."""
    return Ended(at, Outcome.TOLD, why)


def ladder_over(at: datetime, why: str, *, tried: bool) -> Ended:
    """There is nothing, or nothing more, to be done."""
    return Ended(at, Outcome.NOT_HEALED, why) if tried else told(at, why)


def refused(at: datetime, reason: Reason, detail: str) -> Ended:
    """A guard, or the planning itself, refused the plan; that its alert is over is no refusal."""
    if reason is Reason.NOT_FIRING:
        return Ended(at, Outcome.RESOLVED_BY_ITSELF, f"nothing was done: {detail}")
    return Ended(at, Outcome.REFUSED, f"{reason}: {detail}" if detail else str(reason))


def rest_refused(at: datetime, reason: Reason, detail: str) -> Ended:
    """A guard refused what is left of a plan that was begun."""
    return Ended(at, Outcome.REFUSED, f"the rest of the plan was not done: {reason}: {detail}")


def void(ended: Ended) -> Ended:
    """The end of a run whose plan was approved, and cannot be made any more by what was found out since."""
    return replace(ended, brief=f"what was approved was not done, as it was looked at anew: {ended.brief}")


def denied(at: datetime, denial: Denied) -> Ended:
    """A person said no."""
    decision = denial.decision
    return Ended(at, Outcome.DENIED, f"{decision.by} said no" + (f": {decision.reason}" if decision.reason else ""))


def expired(at: datetime, why: str) -> Ended:
    """It waited too long."""
    return Ended(at, Outcome.EXPIRED, why)


def unanswered(at: datetime, untold: datetime | None, *, why_not: str = "") -> Ended:
    """People were asked, and have not decided in time; `untold`: since when chat was not told, if that is so.

    `why_not`: why it does not go on all the same, as its rule says.
    """
    why = "nobody has approved the plan in time" + (f", and {why_not}" if why_not else "")
    if untold is None:
        return expired(at, why)
    since = f"chat was not told of what waits for it since {say_time(untold)}"
    return expired(at, f"{why}, and nobody may have been asked: {since}. So it was only observed")


def too_late(at: datetime, run: RunId, waited: timedelta, limit: timedelta) -> Ended:
    """Its turn came so late that it should not act by itself any more."""
    return expired(
        at,
        f"{_waited(waited, limit)}, so nothing was done. The evidence is new: if the alert still fires, carry the plan"
        f" out by hand; `remediator runs show {run}` has both",
    )


def too_late_for_rest(at: datetime, run: RunId, waited: timedelta, limit: timedelta) -> Ended:
    """Some steps are done, and the turn for the next one came so late that it should not be done any more."""
    return expired(
        at,
        f"{_waited(waited, limit)}, so the rest of the plan was not done. Look whether the rest is still needed;"
        f" `remediator runs show {run}` tells which steps are done",
    )


def _waited(waited: timedelta, limit: timedelta) -> str:
    seconds = timedelta(seconds=round(waited.total_seconds()))
    return (
        f"it has waited {say_duration(seconds)} for its turn, more than {say_duration(limit)} (pipeline.hold_timeout)"
    )


def called_off(at: datetime, cancel: Cancel | Undo | None, resolved: Resolved | None) -> Ended | None:
    """The end of a run that nothing was done in, when there is no more reason to do anything."""
    if cancel is not None:
        how = "cancelled it" if isinstance(cancel, Cancel) else "wants its changes to be put back"
        return Ended(at, Outcome.CANCELLED, f"{cancel.by} {how}" + (f": {cancel.reason}" if cancel.reason else ""))
    if resolved is not None:
        why = "the alert went stale" if resolved.missed else "the alert has resolved before anything was done"
        if resolved.anew:
            why = f"{resolved.anew} has had another run begun"
        return Ended(at, Outcome.RESOLVED_BY_ITSELF, why)
    return None


Word = Settled | LateFinished | None
"""What became known, before the end, of a step that was unknown."""


def proven(at: datetime, stage: Proven, word: Word = None) -> Ended:
    """Verification has spoken."""
    known = _said(word) if stage.unknown else ""
    told = f"{stage.verified.brief}; {known}" if known else stage.verified.brief
    if stage.verified.proof is Proof.HEALED:
        doubt = "; whether our own step was done is not known" if stage.unknown and not known else ""
        return Ended(at, Outcome.HEALED, told + doubt)
    outcome = Outcome.UNKNOWN if stage.unknown and not known else Outcome.INCONCLUSIVE
    return Ended(at, outcome, told)


def _said(word: Word) -> str:
    """The step's end in words, where it is known by now."""
    match word:
        case Settled():
            return f"our own step {'was done' if word.done else 'was not done'}, says {word.by}"
        case LateFinished() if word.status is not StepStatus.UNKNOWN:
            return f"our own step ended late: {word.status}"
    return ""


def gave_up(at: datetime, stage: NotHelped, why: str, word: Word = None) -> Ended:
    """The ladder is at its end."""
    if stage.unknown and (known := _said(word)):
        proof = f"{stage.verified.brief}; " if stage.verified else ""
        return Ended(at, Outcome.NOT_HEALED, f"{proof}{known}; {why}")
    if stage.unknown:
        return Ended(at, Outcome.UNKNOWN, f"a step may or may not have been done, and it did not help: {why}")
    if stage.verified is None and stage.failed is not None:
        return Ended(at, Outcome.FAILED, f"{stage.failed.brief}; {why}")
    return Ended(at, Outcome.NOT_HEALED, f"{stage.verified.brief if stage.verified else ''}; {why}")
