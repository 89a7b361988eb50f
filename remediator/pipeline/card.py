"""The card of a question: all that a person has to see who decides on a plan, in one message of the run's thread. Pure.

Called by `story`, which edits the card in place. It is open as long as a word on it would be heard, and only then it
puts a choice to people; after that it says who has decided, when and why, or why there is nothing to decide any more.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from remediator.kit.redaction import Redactor, shorten
from remediator.kit.wording import counted
from remediator.model.approval import OnTimeout, approved_by, settling
from remediator.model.duration import say_duration
from remediator.model.facts import Asked, Ended, Examined, Fact, Planned, Prolonged, Reminded, Started, Voided
from remediator.model.message import CARD, Choice, Excerpt, Message, Tone
from remediator.model.outcome import Outcome
from remediator.model.person import Via
from remediator.model.plan import Effect, Plan, PlannedStep
from remediator.model.run import Decision, Run
from remediator.model.stage import Drafted, again, cancelled, decisions_on, joined, resolved, stage_of
from remediator.model.undo import undone_by
from remediator.pipeline.pieces import clock_time, fields, texts

_REDACTOR = Redactor()  # what a parameter's name gives away; all texts are redacted by who calls this
_NEWEST = 2  # of the run's questions: an earlier one was closed when the next one was asked
_BRIEF, _EVIDENCE, _VALUE, _STEPS = 160, 480, 300, 2500
_CHANGES_CARDS = (Examined, Planned, Asked, Prolonged, Voided, Started, Ended)
_ENDS = {
    Outcome.EXPIRED: "Nobody has decided in time",
    Outcome.CANCELLED: "Called off: there is nothing to decide any more",
    Outcome.RESOLVED_BY_ITSELF: "The alert is over: there is nothing to decide any more",
}


@dataclass(frozen=True, slots=True)
class _Question:
    """What people were asked, as it stands now."""

    asked: Asked
    planned: Planned
    decisions: tuple[Decision, ...]

    @property
    def place(self) -> tuple[int, int]:
        """The round and the revision that decisions on it name."""
        return self.planned.renews or (self.planned.round, self.planned.revision)


def key_of(asked: Asked) -> str:
    """The key of a question's card: every version of it is one message."""
    step, attempt = asked.key
    return f"{CARD}{step}.{attempt}"


def card(run: Run, asked: Asked) -> Message:
    """The card of one of the run's questions, as things stand now. It is not redacted."""
    question = _question(run, asked)
    return _open(run, question) if is_open(run, asked) else _closed(run, question)


def is_open(run: Run, asked: Asked) -> bool:
    """Whether a person's word on this very question would be heard."""
    stage = stage_of(run)
    if not isinstance(stage, Drafted) or stage.asked is None or stage.asked.key != asked.key:
        return False
    return stage.decision is None and cancelled(run) is None and resolved(run) is None


def changed_by(run: Run, noted: Sequence[Fact]) -> Iterator[Asked]:
    """The questions whose cards may say something else now. Those that were noted just now are told anyway.

    With an open question that some have approved, always: whoever has written its card last may not have known of them.
    """
    questions = [fact for fact in run.facts if isinstance(fact, Asked)][-_NEWEST:]
    if questions and (any(isinstance(fact, _CHANGES_CARDS) for fact in noted) or waits_for_more(run)):
        keys = {fact.key for fact in noted if isinstance(fact, Asked)}
        yield from (asked for asked in questions if asked.key not in keys)


def waits_for_more(run: Run) -> bool:
    """Whether some have approved what more have to approve."""
    if not any(isinstance(signal, Decision) for signal in run.signals):
        return False  # as nearly always: to fold the stage takes a while
    stage = stage_of(run)
    return isinstance(stage, Drafted) and stage.decision is None and bool(stage.approvals)


def reminder(run: Run, fact: Reminded) -> Iterator[Message]:
    """What reminds people of a question, unless it is none any more."""
    asked = next((one for one in reversed(run.facts) if isinstance(one, Asked)), None)
    if asked is None or asked.key != (f"round.{fact.round}", fact.revision) or not is_open(run, asked):
        return
    question = _question(run, asked)
    plan = question.planned.plan
    said = f"“{plan.name}”, plan {plan.digest[:12]}. Nobody has decided yet."
    if approvals := approved_by(question.asked, question.decisions):
        said = f"“{plan.name}”, plan {plan.digest[:12]}. Only {_names(approvals)} so far."
    pairs = fields(("Who may approve", _who(run, question.asked)), ("Until", _until(question.asked)))
    yield Message(Tone.WAITING, "A plan waits for a person", (*texts(said), *pairs, how_to_decide(run)))


def _question(run: Run, asked: Asked) -> _Question:
    for fact in run.facts:
        if isinstance(fact, Prolonged) and (fact.round, fact.revision) == (asked.round, asked.revision):
            asked = replace(asked, until=fact.until, reminders=fact.reminders)
    planned = next(f for f in reversed(run.facts) if isinstance(f, Planned) and f.key == asked.key)
    return _Question(asked, planned, decisions_on(run, planned))


def _open(run: Run, question: _Question) -> Message:
    asked, planned = question.asked, question.planned
    number = "a person approves" if asked.quorum == 1 else f"{counted(asked.quorum, 'person', 'people')} approve"
    text = f"Nothing is done until {number} plan {planned.plan.digest[:12]}, until {clock_time(asked.until)}."
    title = "This plan needs a person" if asked.quorum == 1 else f"This plan needs {asked.quorum} people"
    if is_same_plan(run, planned):
        title = f"{title} once more"
        text = f"That was not known when it was asked for, so an approval of before does not count. {text}"
    elif planned.differs:
        title, text = f"{title} once more", f"An approval of before does not count. {text}"
    longer = "Nobody has decided in time, so there is as much time again." if _is_prolonged(run, asked) else ""
    approvals = approved_by(asked, question.decisions)
    so_far = f"{len(approvals)} of {asked.quorum}: {_say_each(approvals)}" if approvals else ""
    parts = (
        *texts(asked.why, text, longer),
        *fields(
            ("Approved so far", so_far),
            *_about(run, question),
            ("Who may approve", _who(run, asked)),
            ("Until", _until(asked)),
        ),
        _steps(planned.plan),
        how_to_decide(run),
    )
    choice = Choice(run.id, *question.place, planned.plan.digest, _confirm(planned.plan))
    return Message(Tone.WAITING, title, parts, choice=choice)


def _closed(run: Run, question: _Question) -> Message:
    tone, title, said = _why_closed(run, question)
    given = question.decisions
    approvals = approved_by(question.asked, given)
    denials = tuple(one for one in given if not one.approved and one == settling(question.asked, given))
    parts = (
        *texts(*said),
        *fields(
            ("Approved", _say_each(approvals)),
            ("Denied", _say_each(denials)),
            ("Was asked for", question.asked.why),
            *_about(run, question),
        ),
        _steps(question.planned.plan),
    )
    return Message(tone, title, parts)


def _why_closed(run: Run, question: _Question) -> tuple[Tone, str, tuple[str, ...]]:
    """Why nobody is asked any more: how that looks, in a line, and in sentences."""
    asked, planned = question.asked, question.planned
    place = asked.round, asked.revision
    voided = next((f for f in run.facts if isinstance(f, Voided) and (f.round, f.revision) == place), None)
    if voided is not None:
        return Tone.NEUTRAL, "Void: this cannot be approved any more", (voided.why,)
    since = run.facts[run.facts.index(planned) + 1 :]
    later = next((one for fact in since if (one := _replaces(fact, question)) is not None), None)
    decision, approvals = settling(asked, question.decisions), approved_by(asked, question.decisions)
    if decision is not None and not decision.approved:
        return Tone.NEUTRAL, f"Denied by {decision.by}", ()
    if decision is not None and later is not None and not _has_begun(since, later):
        why = later.differs or "It is asked for once more, as not all was known then."
        return Tone.NEUTRAL, f"Void: approved by {_names(approvals)}, and not done so", (why,)
    if decision is not None and decision.via == Via.SERVICE:
        return Tone.WORKING, "Nobody has decided in time: it goes by itself", (decision.reason,)
    if decision is not None:
        return Tone.WORKING, f"Approved by {_names(approvals)}", ()
    if later is not None:
        return Tone.NEUTRAL, "Nobody has to decide on this any more: the plan was made anew", (later.differs,)
    ended = next((fact for fact in run.facts if isinstance(fact, Ended)), None)
    if ended is not None:
        title = _ENDS.get(ended.outcome, "There is nothing to decide any more")
        return Tone.NEUTRAL, title, (ended.brief,)
    if (wish := cancelled(run)) is not None:
        why = f"{wish.by} wants it to stop" + (f": {wish.reason}" if wish.reason else "")
        return Tone.NEUTRAL, _ENDS[Outcome.CANCELLED], (why,)
    if resolved(run) is not None:
        return Tone.NEUTRAL, _ENDS[Outcome.RESOLVED_BY_ITSELF], ()
    return Tone.WORKING, "It is looked at anew", ("If it still makes sense then, it is asked for again.",)


def _replaces(fact: Fact, question: _Question) -> Planned | None:
    """The fact, where it is a plan in the place of the one that was asked about."""
    if not isinstance(fact, Planned) or fact.renews == question.place:
        return None
    return fact


def _has_begun(since: Sequence[Fact], later: Planned) -> bool:
    """Whether something of a plan was begun before the next one was made."""
    before = since[: since.index(later)]
    return any(isinstance(fact, Started) and undone_by(fact.step) is None for fact in before)


def is_same_plan(run: Run, planned: Planned) -> bool:
    """Whether it is the plan before it, for which a person is only asked once more."""
    plans = (one for one in run.facts if isinstance(one, Planned))
    place = planned.round, planned.revision - 1
    before = next((one for one in plans if (one.round, one.revision) == place), None)
    return before is not None and before.plan == planned.plan


def _is_prolonged(run: Run, asked: Asked) -> bool:
    place = asked.round, asked.revision
    return any(isinstance(fact, Prolonged) and (fact.round, fact.revision) == place for fact in run.facts)


def _about(run: Run, question: _Question) -> tuple[tuple[str, str], ...]:
    """What is wrong, what was seen of it, and what the plan touches."""
    asked, plan = question.asked, question.planned.plan
    stays = next((step.stays for step in plan.steps if step.stays), "")
    return (
        ("What is wrong", shorten(_problem(run), _VALUE)),
        ("Evidence", shorten(_evidence(run, question.planned), _EVIDENCE)),
        ("Plan", plan.name),
        ("Targets", shorten(", ".join(map(str, plan.targets)), _VALUE)),
        ("Touches", asked.touches),
        ("Lasts", f"{say_duration(plan.lasts)}, then it is put back" if plan.lasts else ""),
        ("Cannot be put back", stays),
        ("This rule so far", asked.record),
    )


def _problem(run: Run) -> str:
    severity = run.alert.labels.get("severity", "")
    since = f"since {clock_time(run.alert.starts_at)}"
    others = sum(word.count for word in joined(run))
    more = f", of {counted(others + 1, 'alert')}" if others else ""
    return f"{run.summary}, {since}{f' ({severity})' if severity else ''}{more}"


def _evidence(run: Run, planned: Planned) -> str:
    """What the plan was made by, in a line for each."""
    found = (fact for fact in reversed(run.facts) if isinstance(fact, Examined) and fact.round <= planned.round)
    examined = next(found, None)
    if examined is None:
        return ""
    briefs = (
        f"{name}: {shorten(item.brief or '(nothing)', _BRIEF)}{'' if item.ok else ' (could not be found out)'}"
        for name, item in examined.evidence.items()
    )
    return "; ".join(briefs)


def _steps(plan: Plan) -> Excerpt:
    """What would be done, exactly: each step in a sentence, and its action with all that it is given."""
    lines = (line for number, step in enumerate(plan.steps, 1) for line in _lines(number, step))
    return Excerpt("What would be done", shorten("\n".join(lines), _STEPS))


def _lines(number: int, step: PlannedStep) -> Iterator[str]:
    verb = f" ({step.effect.value})" if step.effect is not Effect.CHANGE else ""
    yield f"{number}. {step.sentence}{verb}"
    given = _REDACTOR.value(dict(step.params))
    params = ", ".join(f"{name}: {_brief(value)}" for name, value in given.items())
    within = f"within {say_duration(step.timeout)}"
    yield f"   {step.action}{f' {{{params}}}' if params else ''}, {within}"


def _brief(value: Any) -> str:
    """On one line: a value may be a label's, and must not look like another step."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if not text.isprintable():
        text = json.dumps(value, default=str)
    return shorten(text, _BRIEF)


def _who(run: Run, asked: Asked) -> str:
    """Who may approve, and how many have to."""
    groups = " or ".join(asked.approvers)
    whom = f"somebody in {groups}" if groups else "everybody who is known here"
    if asked.quorum > 1:
        whom = f"{asked.quorum} different people" + (f" in {groups}" if groups else " of all who are known here")
    word = again(run)
    return f"{whom}, but not {word.by}, who has begun it" if word is not None and word.by_hand else whom


def _until(asked: Asked) -> str:
    """When the time to decide is over, and what happens then."""
    return f"{clock_time(asked.until)}; then {_THEN[OnTimeout(asked.on_timeout)]}"


_THEN = {
    OnTimeout.DENY: "the run ends, and nothing is done",
    OnTimeout.ESCALATE: "the next level is told, and there is as much time again; without one the run ends",
    OnTimeout.AUTO: "it goes by itself, as the rule says, if nothing speaks against it",
}


def how_to_decide(run: Run) -> Excerpt:
    """The commands that decide on what a run asks for."""
    return Excerpt("To decide", f"remediator approve {run.id}\nremediator deny {run.id} --reason '…'")


def _confirm(plan: Plan) -> str:
    """What is to be confirmed before an approval; empty where the plan only reads."""
    destroys = [step.sentence for step in plan.steps if step.effect is Effect.DESTROY]
    if destroys:
        return f"This destroys something: {'; '.join(destroys)}"
    changes = [step.sentence for step in plan.steps if step.effect is Effect.CHANGE]
    return f"This changes something: {'; '.join(changes)}" if changes else ""


def _names(decisions: Sequence[Decision]) -> str:
    return " and ".join(decision.by for decision in decisions)


def _say_each(decisions: Sequence[Decision]) -> str:
    return "; ".join(f"{one.by} at {clock_time(one.at)}{f': {one.reason}' if one.reason else ''}" for one in decisions)
