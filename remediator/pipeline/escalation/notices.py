"""What the levels of an escalation are told of a run, outside of its own thread. Pure; every text is redacted here.

Called by the ledger, so that what is told is stored together with the fact that it was. Each level has one message,
which is edited once somebody has taken the problem on and once it is over: who was called hears the end of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from remediator.kit.redaction import Redactor, shorten
from remediator.kit.wording import say_time
from remediator.model.duration import say_duration
from remediator.model.facts import (
    Acknowledged,
    Closed,
    Ended,
    Escalated,
    Fact,
    Finished,
    Planned,
    Proof,
    Started,
    StepStatus,
    Verified,
)
from remediator.model.ids import RunId
from remediator.model.message import LEVEL, Excerpt, Fields, Message, Notice, Tone
from remediator.model.run import Run
from remediator.model.stage import Drafted, resolved, stage_of
from remediator.model.undo import undone_by
from remediator.pipeline import card, story
from remediator.pipeline.escalation.levels import is_over, why_stopped

_SUMMARY, _WORD, _SENTENCE = 200, 100, 500
_PROOFS = {
    Proof.HEALED: "it has helped",
    Proof.NOT_HEALED: "it did not help",
    Proof.INCONCLUSIVE: "whether it helped could not be seen",
}


@dataclass(frozen=True, slots=True)
class _Standing:
    """How it is with the problem, for whoever was called."""

    event: str
    tone: Tone
    title: str
    by: str = ""
    by_since: str = ""
    stopped: str = ""
    """Why nobody else is told, where the alert fires still."""


def notices_of(run: Run, noted: Iterable[Fact], redactor: Redactor) -> tuple[Notice, ...]:
    """The messages for levels that follow from facts just noted: new ones, and what became of earlier ones."""
    facts = tuple(noted)
    is_news = any(
        isinstance(fact, Acknowledged | Closed) or (isinstance(fact, Ended) and is_over(run)) for fact in facts
    )
    told = run.facts if is_news else facts
    return tuple(notice for fact in told if isinstance(fact, Escalated) for notice in _notices(run, fact, redactor))


def notice_key(run: RunId, escalated: Escalated) -> str:
    """The key of what a level is told of a run."""
    return f"{LEVEL}{run}.{escalated.level}"


def _notices(run: Run, escalated: Escalated, redactor: Redactor) -> Iterator[Notice]:
    message = _message(run, escalated, redactor) if escalated.channels else None
    for channel in escalated.channels:
        if message is not None:
            yield Notice(channel, notice_key(run.id, escalated), message)


def _message(run: Run, escalated: Escalated, redactor: Redactor) -> Message:
    summary = shorten(redactor.text(run.summary), _SUMMARY)
    now = _standing(run, escalated)
    status = shorten(redactor.text(story.say_standing(run)), _SENTENCE)
    stopped = shorten(redactor.text(now.stopped), _SENTENCE)
    goes_on = (word := resolved(run)) is not None and word.anew
    then = "that run has an escalation of its own" if goes_on else "nobody else is told of it"
    tried = "; ".join(shorten(redactor.text(one), _SENTENCE) for one in _tried(run)) or "nothing was changed"
    alert, severity = (shorten(redactor.text(text), _WORD) for text in (run.alert.name, _severity(run)))
    pairs = (
        ("Taken on by", redactor.text(now.by)),
        ("Stopped", f"{stopped}. The alert still fires, and {then}" if stopped else ""),
        ("Status", status),
        ("Alert", alert),
        ("Severity", severity),
        ("Came in", say_time(run.created_at)),
        ("Tried", tried),
        ("Rule", run.rule),
        ("Run", run.id),
        ("Its thread", run.channel),
    )
    how = Excerpt("To take it on", f"remediator escalation ack {run.id} --reason '…'")
    data = (
        ("event", now.event),
        ("level", escalated.to),
        ("number", str(escalated.level)),
        ("after", say_duration(escalated.after)),
        ("run", run.id),
        ("rule", run.rule),
        ("alert", alert),
        ("severity", severity),
        ("summary", summary),
        ("status", status),
        ("tried", tried),
        ("came_in", run.created_at.isoformat()),
        ("taken_on_by", redactor.text(now.by)),
        ("taken_on_at", now.by_since),
        ("stopped", stopped),
        ("alert_fires", "no" if word is not None and not now.stopped else "yes"),
        ("acknowledge", f"/api/v1/runs/{run.id}/acknowledge"),
    )
    is_open = now.event == "escalated"
    fields = Fields(tuple((name, value) for name, value in pairs if value))
    mention = escalated.mention if is_open else None
    stage = stage_of(run)
    waits = isinstance(stage, Drafted) and stage.asked is not None and stage.decision is None
    hows = (card.how_to_decide(run), how) if waits else (how,)
    return Message(now.tone, f"{now.title}: {summary}", (fields, *hows) if is_open else (fields,), mention, data)


def _severity(run: Run) -> str:
    return run.alert.labels.get("severity", "")


def _standing(run: Run, escalated: Escalated) -> _Standing:
    word = next((fact for fact in reversed(run.facts) if isinstance(fact, Acknowledged)), None)
    by = "" if word is None else shorten(word.by, _WORD) + (f" ({word.reason})" if word.reason else "")
    since = "" if word is None else word.at.isoformat()
    if (stopped := why_stopped(run)) is not None:
        return _Standing("stopped", Tone.NEUTRAL, "Stopped, and it still fires", by, since, stopped or "by a person")
    if is_over(run):
        return _Standing("over", Tone.GOOD, "Over", by, since)
    if word is not None:
        return _Standing("acknowledged", Tone.WAITING, "Taken on", by, since)
    return _Standing("escalated", Tone.FIRING, f"Escalated to {escalated.to}")


def _tried(run: Run) -> Iterator[str]:
    """What was begun to mend it, in its order, and how each went."""
    begun = {fact.round for fact in run.facts if isinstance(fact, Started) and undone_by(fact.step) is None}
    plans = {fact.round: fact.plan for fact in run.facts if isinstance(fact, Planned)}
    for round_ in sorted(begun & plans.keys()):
        yield f"{plans[round_].name} ({_went(run, round_)})"


def _went(run: Run, round_: int) -> str:
    for fact in reversed(run.facts):
        if isinstance(fact, Verified) and fact.round == round_:
            return _PROOFS[fact.proof]
    steps = [f for f in run.facts if isinstance(f, Finished) and f.round == round_ and undone_by(f.step) is None]
    if any(step.status is StepStatus.UNKNOWN for step in steps):
        return "not known whether it was done"
    failed = next((step for step in steps if step.begun and step.status is StepStatus.FAILED), None)
    return f"failed: {failed.brief}" if failed is not None else "not proven yet"
