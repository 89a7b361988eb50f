"""What people are told of a run: one thread, its opening message edited in place. Pure: messages are made of facts.

Every text is redacted here; who renders a message escapes it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from remediator.kit.redaction import Redactor, shorten
from remediator.kit.wording import counted
from remediator.model.alert import Alert
from remediator.model.duration import say_duration
from remediator.model.facts import (
    Acknowledged,
    Asked,
    Closed,
    Ended,
    Escalated,
    Evidence,
    Examined,
    Fact,
    Finished,
    Held,
    LateFinished,
    Planned,
    Prolonged,
    Proof,
    Reminded,
    Settled,
    Silenced,
    Started,
    StepStatus,
    Unsilenced,
    Verified,
    Voided,
)
from remediator.model.ids import RuleId, RunId, StepId
from remediator.model.message import PARENT, Excerpt, Fields, Message, Part, Post, Text, Tone
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Plan
from remediator.model.run import Again, Cancel, Decision, Run, told
from remediator.model.stage import (
    Acted,
    Diagnosed,
    Drafted,
    Fresh,
    InDoubt,
    NotHelped,
    Over,
    Proven,
    Underway,
    again,
    by_hand,
    is_repeat,
    joined,
    resolved,
    stage_of,
)
from remediator.model.undo import Captured, Left, Undoing, Undone, undone_by
from remediator.pipeline import asides, card
from remediator.pipeline.pieces import clock_time, redacted, tail, texts
from remediator.pipeline.undo.timing import next_undoing, under_way
from remediator.pipeline.undo.verdicts import PutBack, verdicts_on

_EXCERPT_LIMIT = 2500
_VALUE_LIMIT = 300
_NAMES_SHOWN, _NAME_LIMIT = 5, 45  # of the alerts of a group; together they fit into one value
_NAME_SOURCE = 4000  # a label can be as long as a body; what is cut here would not be shown anyway

_OUTCOME_TONES = {
    Outcome.HEALED: Tone.GOOD,
    Outcome.RESOLVED_BY_ITSELF: Tone.GOOD,
    Outcome.TOLD: Tone.NEUTRAL,
    Outcome.CANCELLED: Tone.NEUTRAL,
    Outcome.DENIED: Tone.NEUTRAL,
}

_WAITS = (Examined, Planned, Held)
_BESIDE = (Escalated, Acknowledged)
_ENDS_OF_WAITING = (Outcome.RESOLVED_BY_ITSELF, Outcome.EXPIRED)


@dataclass(frozen=True, slots=True)
class _Status:
    """How a run stands: in a word for the title, in a sentence, and what it is about."""

    tone: Tone
    word: str
    sentence: str
    targets: tuple[str, ...] = ()


_GATHERING = _Status(Tone.FIRING, "firing", "evidence is being gathered")


def opening(
    run: RunId, rule: RuleId, alert: Alert, summary: str, redactor: Redactor, again: Again | None = None
) -> Message:
    """The message that opens a run's thread, written with the run itself."""
    return redacted(_parent(run, rule, alert, summary, _GATHERING, anew=again), redactor)


def tell(run: Run, noted: Iterable[Fact], redactor: Redactor) -> tuple[Post, ...]:
    """The messages that tell of the facts just noted: one reply each where it is worth one, and the edited opening.

    The cards of questions say how these stand now.
    Alerts that have joined the run are told in the opening alone, whatever else is noted: a storm is no news. Nor is
    what a run is about to do that only waits since there was one; it is told once the run goes on.
    """
    facts = tuple(noted)
    if not facts and not joined(run) and not card.waits_for_more(run):
        return ()
    if only_waits(run):
        replies = [post for fact in facts if not isinstance(fact, _WAITS) for post in _replies(run, fact, minor=True)]
    else:
        replies = [post for fact in (*_held_back(run, facts), *facts) for post in _replies(run, fact)]
    is_minor = only_waits(run) and all(post.is_minor for post in replies)
    cards = [Post(card.key_of(asked), card.card(run, asked)) for asked in card.changed_by(run, facts)]
    posts = [Post(PARENT, _standing(run, redactor), is_minor), *cards, *replies]
    return tuple(Post(post.key, redacted(post.message, redactor), post.is_minor) for post in posts)


def only_waits(run: Run) -> bool:
    """Whether there was a storm when the run was to begin, and it has done and asked nothing since, but maybe ended."""
    return _only_waits(run.facts)


def _only_waits(facts: Sequence[Fact]) -> bool:
    return any(isinstance(fact, Held) and fact.reason is Reason.STORM for fact in facts) and all(
        fact.outcome in _ENDS_OF_WAITING if isinstance(fact, Ended) else isinstance(fact, (*_WAITS, *_BESIDE, Closed))
        for fact in facts
    )


def _held_back(run: Run, noted: Sequence[Fact]) -> Iterator[Fact]:
    """What was not told while the run only waited, now that it goes on."""
    known = {_key(fact) for fact in noted}
    before = [fact for fact in run.facts if _key(fact) not in known]
    if _only_waits(before):
        yield from (fact for fact in before if isinstance(fact, _WAITS))


def _replies(run: Run, fact: Fact, *, minor: bool = False) -> Iterator[Post]:
    """What tells of a person who is called, or has come, is never minor."""
    for message in _reply(run, fact):
        yield Post(_key(fact), message, minor and not isinstance(fact, _BESIDE))


def say_standing(run: Run) -> str:
    """How the run stands, in a line. It is not redacted."""
    status = _status(run)
    return f"{status.word}: {status.sentence}"


def tell_late(run: Run, fact: LateFinished, redactor: Redactor) -> tuple[Post, ...]:
    """The reply for a late end; the opening message is its new owner's to edit."""
    return tuple(Post(_key(fact), redacted(message, redactor)) for message in _reply(run, fact))


def tell_wish(run: Run, redactor: Redactor) -> tuple[Post, ...]:
    """The reply for a person's wish to stop that comes when all steps have ended: it changes no outcome by itself."""
    wish = next((signal for signal in run.signals if isinstance(signal, Cancel)), None)
    if wish is None:
        return ()
    what = "Its steps have ended: whether that has helped is still looked at, and nothing else is begun."
    undo = Excerpt("To put back what was changed", f"remediator undo {run.id}")
    can_be = any(isinstance(verdict, PutBack) for verdict in verdicts_on(run.facts))
    parts: tuple[Part, ...] = (*texts(wish.reason, what), *([undo] if can_be else []))
    return (Post("cancel.1", redacted(Message(Tone.WAITING, f"{wish.by} wants it to stop", parts), redactor)),)


def tell_decision(run: Run, asked: Asked, decisions: Sequence[Decision], redactor: Redactor) -> tuple[Post, ...]:
    """The card of a question as it says what people have decided, in the place of the one that asks."""
    new = tuple(decision for decision in decisions if decision not in run.signals)
    heard = replace(run, signals=(*run.signals, *new))
    return (Post(card.key_of(asked), redacted(card.card(heard, asked), redactor)),)


def _key(fact: Fact) -> str:
    step, attempt = fact.key
    return f"{fact.kind}.{step}.{attempt}" if step else f"{fact.kind}.{attempt}"


def _standing(run: Run, redactor: Redactor) -> Message:
    """The opening message as things stand now."""
    alerts = _alerts(run, redactor)
    anew, word = again(run), resolved(run)
    followed = f"by another run, which {word.anew} has had begun" if word is not None and word.anew else ""
    ended, status = _end_of_alert(run), _status(run)
    return _parent(
        run.id, run.rule, run.alert, run.summary, status, alerts=alerts, ended=ended, anew=anew, followed=followed
    )


def _say_again(word: Again | None) -> str:
    """Who has had the run begun, and why."""
    if word is None:
        return ""
    return f"by {word.by}: {word.reason}" if word.reason else f"by {word.by}"


def _parent(
    run: RunId,
    rule: RuleId,
    alert: Alert,
    summary: str,
    status: _Status,
    *,
    alerts: str = "",
    ended: str = "",
    anew: Again | None = None,
    followed: str = "",
) -> Message:
    pairs = [
        ("Status", f"{status.word}: {status.sentence}"),
        ("Alert", alert.name or "(no name)"),
        ("Alerts", alerts),
        ("Severity", alert.labels.get("severity", "")),
        ("Since", clock_time(alert.starts_at)),
        ("All ended" if alerts else "Alert ended", ended),
        ("Target", ", ".join(status.targets)),
        ("Rule", rule),
        ("Run", run),
        ("Started by hand" if anew is not None and anew.by_hand else "Begun anew", _say_again(anew)),
        ("Followed", followed),
    ]
    fields = Fields(tuple((name, shorten(value, _VALUE_LIMIT)) for name, value in pairs if value))
    return Message(status.tone, f"{summary}: {status.word}", (fields,))


def _alerts(run: Run, redactor: Redactor) -> str:
    """How many alerts the run is for, and the first few by the labels in which they differ; nothing for one alone."""
    words = joined(run)
    if not words:
        return ""
    count = 1 + sum(word.count for word in words)
    known = [told(run.alert.labels), *(labels for word in words for labels in word.labels)]
    differing = sorted(name for name in set().union(*known) if len({labels.get(name) for labels in known}) > 1)
    names = dict.fromkeys(
        ", ".join(f"{name}={labels[name]}" for name in differing if name in labels)[:_NAME_SOURCE] for labels in known
    )
    shown = [shorten(redactor.text(name), _NAME_LIMIT) for name in names if name][:_NAMES_SHOWN]
    if not shown:
        return str(count)
    more = f", and {count - len(shown)} more" if count > len(shown) else ""
    return f"{count}: {'; '.join(shown)}{more}"


def _end_of_alert(run: Run) -> str:
    word = resolved(run)
    if word is None:
        return ""
    if word.missed:
        return "its resolution was never heard"
    if word.anew:
        return ""  # it fires still
    return f"resolved {clock_time(word.ends_at or word.at)}"


def _status(run: Run) -> _Status:
    if (undoing := under_way(run)) is not None:
        return _Status(Tone.WORKING, "putting back", asides.why_undone(undoing), _targets_of(run))
    match stage_of(run):
        case Fresh() | Diagnosed():
            return _GATHERING
        case Drafted() as stage:
            return _status_of_draft(stage)
        case Underway(planned=planned) | InDoubt(planned=planned):
            return _Status(Tone.WORKING, "acting", planned.plan.name, _targets(planned.plan))
        case Proven() if isinstance(held := run.facts[-1], Held) and held.reason is Reason.RECURS:
            return _Status(Tone.WORKING, "done for now", held.detail, _targets_of(run))
        case Acted(planned=planned) | NotHelped(planned=planned) | Proven(planned=planned):
            return _Status(Tone.WORKING, "checking", f"does “{planned.plan.name}” help?", _targets(planned.plan))
        case Over(ended=ended):
            return _status_of_end(run, ended)
        case other:
            assert_never(other)


def _status_of_end(run: Run, ended: Ended) -> _Status:
    tone, brief = _OUTCOME_TONES.get(ended.outcome, Tone.BAD), ended.brief
    since = run.facts[run.facts.index(ended) :]
    undone = next((fact for fact in reversed(since) if isinstance(fact, Undone)), None)
    until = next_undoing(run)
    if undone is not None:
        tone, brief = Tone.BAD if undone.asks else tone, f"{brief}; {undone.brief}"
    elif until is not None and until > ended.at:
        brief = f"{brief}; for a while, until {clock_time(until)}"
    return _Status(tone, ended.outcome, brief, _targets_of(run))


def _targets_of(run: Run) -> tuple[str, ...]:
    plan = next((fact.plan for fact in reversed(run.facts) if isinstance(fact, Planned)), None)
    return _targets(plan) if plan else ()


def _status_of_draft(stage: Drafted) -> _Status:
    plan = stage.planned.plan
    targets = _targets(plan)
    if stage.held is not None and (stage.asked is None or stage.held.at > stage.asked.at):
        return _Status(Tone.WAITING, "held", stage.held.reason, targets)
    if stage.asked is not None and stage.decision is None:
        until = clock_time(stage.asked.until)
        return _Status(Tone.WAITING, "needs a person", f"waits for a decision until {until}", targets)
    return _Status(Tone.WORKING, "about to act", plan.name, targets)


def _targets(plan: Plan) -> tuple[str, ...]:
    return tuple(sorted({target.name for target in plan.targets}))


def _reply(run: Run, fact: Fact) -> Iterator[Message]:  # noqa: C901,PLR0912,PLR0915 - one line for each kind of fact
    match fact:
        case Examined():
            yield _evidence(fact)
        case Planned():
            if fact.renews is not None:
                yield Message(Tone.WORKING, "Looked at anew: what was approved would be done in the same way", ())
            elif not card.is_same_plan(run, fact):
                yield _plan(fact)
        case Asked():
            yield card.card(run, fact)
        case Prolonged():
            title = "Nobody has decided in time: there is as much time again"
            yield Message(Tone.WAITING, title, texts(f"Until {clock_time(fact.until)}. The next level is told."))
        case Voided():
            yield Message(Tone.WAITING, "What was asked for is void", texts(fact.why, "It is asked for anew."))
        case Held():
            until = f"Looked at again {clock_time(fact.until)}."
            if fact.reason is Reason.RECURS:
                yield Message(Tone.WORKING, "Done for now", texts(fact.detail))
                return
            what = "Held" if under_way(run) is None else "Putting back is held"
            yield Message(Tone.WAITING, f"{what}: {fact.reason}", texts(fact.detail, until))
        case Started() | Finished() if undone_by(fact.step) is not None:
            pass  # it is told together with all else that is put back
        case Started():
            if is_repeat(run, fact):
                why = "An earlier try was cut short; doing this step twice is the same as once, so it is repeated."
                yield Message(Tone.WORKING, f"Repeating: {_sentence(run, fact.step)}", (Text(why),))
        case Finished():
            yield _finished(run, fact)
        case LateFinished():
            title = f"Late news of “{_sentence(run, fact.step)}”: {fact.status}"
            yield Message(Tone.NEUTRAL, title, texts(fact.brief))
        case Settled():
            title = f"Settled: “{_sentence(run, fact.step)}” {'was done' if fact.done else 'was not done'}"
            said = f"{fact.by} says so. Nothing is done because of it."
            yield Message(Tone.NEUTRAL, title, texts(said, fact.reason))
        case Verified():
            if fact.proof is Proof.NOT_HEALED:
                yield Message(Tone.BAD, "It did not help", texts(fact.brief, f"{counted(fact.samples, 'sample')}."))
        case Ended():
            yield _ended(run, fact)
        case Closed():
            title, word = "All of its alerts have ended" if joined(run) else "The alert has ended", resolved(run)
            if word is not None and word.anew:
                yield Message(Tone.NEUTRAL, "Another run goes on with it", texts(fact.brief))
                return
            yield Message(Tone.GOOD, title, texts(fact.brief))
        case Reminded() | Captured() | Undoing() | Undone() | Left() | Silenced() | Unsilenced():
            yield from asides.tell(run, fact)
        case Escalated() | Acknowledged():
            yield from asides.tell(run, fact)
        case other:
            assert_never(other)


def _evidence(fact: Examined) -> Message:
    pairs = tuple((name, _brief(item)) for name, item in fact.evidence.items())
    parts: list[Part] = [Fields(pairs)] if pairs else [Text("The rule gathers no evidence.")]
    parts += [
        Excerpt(name, tail(item.detail, _EXCERPT_LIMIT))
        for name, item in fact.evidence.items()
        if item.ok and item.detail
    ]
    return Message(Tone.NEUTRAL, "Evidence" if fact.round == 1 else "Evidence, gathered anew", tuple(parts))


def _brief(item: Evidence) -> str:
    return shorten(item.brief or "(nothing)", _VALUE_LIMIT) if item.ok else f"could not be found out: {item.brief}"


def _plan(fact: Planned) -> Message:
    plan = fact.plan
    steps = "\n".join(f"{number}. {step.sentence}" for number, step in enumerate(plan.steps, 1))
    targets = ", ".join(str(target) for target in plan.targets)
    checks = "; ".join(f"{check.sentence}, expecting {check.expect}" for check in plan.verification.checks)
    proof = checks or "the alert resolves"
    again = "Plan, made anew: the target has changed" if fact.revision > 1 else "Plan"
    pairs = [
        ("Steps", steps),
        ("Targets", targets),
        ("Lasts", f"{say_duration(plan.lasts)}, then it is put back" if plan.lasts else ""),
        ("Recurs", f"each {say_duration(plan.every)}, as long as the alert fires" if plan.every else ""),
        ("Proof", f"{proof}, within {say_duration(plan.verification.within)}"),
        ("Alert", fact.says_alert),
    ]
    return Message(Tone.NEUTRAL, f"{again}: {plan.name}", (Fields(tuple((n, v) for n, v in pairs if v)),))


def _finished(run: Run, fact: Finished) -> Message:
    sentence = _sentence(run, fact.step)
    if not fact.begun:
        return Message(Tone.WAITING, f"Not begun: {sentence}", texts(fact.brief, _after_not_begun(run)))
    took = f"{fact.seconds:.1f} s"
    said: tuple[str, ...]
    match fact.status:
        case StepStatus.DONE:
            tone, title, said = Tone.WORKING, f"Done: {sentence}", (fact.brief, took)
        case StepStatus.FAILED:
            tone, title, said = Tone.BAD, f"Failed: {sentence}", (fact.brief, took, _not_come_to(run, fact))
        case StepStatus.UNKNOWN:
            why = "It is not repeated. What follows looks whether it helped."
            said = (fact.brief, why, _not_come_to(run, fact))
            tone, title = Tone.BAD, f"Not known whether it was done: {sentence}"
    parts: tuple[Part, ...] = texts(*said)
    if fact.status is StepStatus.UNKNOWN:
        how = f"remediator runs settle {run.id} done\nremediator runs settle {run.id} not-done"
        parts = (*parts, Excerpt("Once you know", how))
    if fact.detail:
        parts = (*parts, Excerpt("Output", tail(fact.detail, _EXCERPT_LIMIT)))
    return Message(tone, title, parts)


def _not_come_to(run: Run, fact: Finished) -> str:
    """What the plan would have done next, had it not ended with this step; empty where it was the last one."""
    plan = next((one.plan for one in reversed(run.facts) if isinstance(one, Planned) and one.round == fact.round), None)
    steps = plan.steps if plan is not None else ()
    places = [number for number, step in enumerate(steps) if step.id == fact.step]
    left = "; ".join(step.sentence for step in steps[places[0] + 1 :]) if places else ""
    return f"Not begun, as the plan ends here: {left}" if left else ""


def _after_not_begun(run: Run) -> str:
    match stage_of(run):
        case Fresh():
            return "Evidence is gathered anew, and a plan made of that."
        case Underway():
            return "It is begun once more: the steps before it are done."
        case _:
            return ""


def _ended(run: Run, fact: Ended) -> Message:
    took = say_duration(fact.at.replace(microsecond=0) - run.created_at.replace(microsecond=0))
    title = fact.outcome[0].upper() + fact.outcome[1:]
    return Message(
        _OUTCOME_TONES.get(fact.outcome, Tone.BAD),
        title,
        (
            *texts(fact.brief, _wish(run, fact), _what_now(run, fact), f"{took} after the alert came in."),
            *_left_changed(run, fact),
        ),
    )


def _wish(run: Run, ended: Ended) -> str:
    """Who has wanted the run to stop, where it has ended otherwise; empty where nobody has."""
    wish = next((signal for signal in run.signals if isinstance(signal, Cancel)), None)
    if wish is None or ended.outcome is Outcome.CANCELLED:
        return ""
    why = f": {wish.reason}" if wish.reason else ""
    return f"{wish.by} wanted it to stop{why}. What had begun was let to its end."


def _what_now(run: Run, ended: Ended) -> str:
    """What follows from an end that people may take for a wait."""
    if ended.outcome not in (Outcome.REFUSED, Outcome.EXPIRED):
        return ""
    if by_hand(run) is not None:
        return "This run is over, whatever is lifted now."
    return (
        "This run is over, whatever is lifted now. When its alert comes anew, a new run looks at it; "
        f"while it goes on firing, that takes: remediator rerun {run.id}"
    )


def _left_changed(run: Run, ended: Ended) -> Iterator[Part]:
    """Until when what was changed stays, or how it can be put back."""
    until = next_undoing(run)
    if until is not None and until > ended.at:
        yield Text(f"What was changed is put back {clock_time(until)}, or as soon as its alert has ended.")
        return
    can_be = any(isinstance(verdict, PutBack) for verdict in verdicts_on(run.facts))
    if until is None and can_be and ended.outcome is not Outcome.HEALED:
        yield Excerpt("To put back what was changed", f"remediator undo {run.id}")


def _sentence(run: Run, step: str) -> str:
    """What a step of any plan of this run does."""
    if (of := undone_by(StepId(step))) is not None:
        return f"put back: {_sentence(run, of)}"
    plans = (fact.plan for fact in reversed(run.facts) if isinstance(fact, Planned))
    return next((s.sentence for plan in plans for s in plan.steps if s.id == step), step)
