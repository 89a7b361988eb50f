"""Where a run stands, folded from its facts and signals. Pure; a restart folds the same stage that a live owner has."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from remediator.model.approval import approved_by, settling
from remediator.model.facts import (
    Aside,
    Asked,
    Closed,
    Ended,
    Examined,
    Fact,
    Finished,
    Held,
    LateFinished,
    Planned,
    Prolonged,
    Proof,
    Settled,
    Started,
    StepStatus,
    Verified,
    Voided,
)
from remediator.model.outcome import Concern, Reason
from remediator.model.run import Acknowledge, Again, Cancel, Decision, Joined, Resolved, Run, Settle, Undo
from remediator.model.undo import undone_by

MOST_NOT_BEGUN = 3
"""How often a run goes on after a step that could not begin; after that such a step has failed like any other."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Evidence is to be gathered for this round; rungs up to `after_rung` were tried."""

    round: int
    after_rung: int


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """Evidence is there; a plan is to be made. `revision` counts the plans of this round."""

    examined: Examined
    after_rung: int
    revision: int


@dataclass(frozen=True, slots=True)
class Drafted:
    """A plan is there; nothing of it was done. It waits for the guards, and for a person where it was asked."""

    planned: Planned
    asked: Asked | None
    decision: Decision | None  # what settles this very question
    held: Held | None  # the newest hold
    approvals: tuple[Decision, ...] = ()  # that count so far, where more are needed


@dataclass(frozen=True, slots=True)
class Underway:
    """Some of the plan's steps are done; `next` is the place of the one to start now."""

    planned: Planned
    next: int
    held: Held | None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A step was started by an earlier owner and its end was never recorded."""

    planned: Planned
    started: Started
    repeats: bool  # it was itself the repeat of one whose end was never recorded


@dataclass(frozen=True, slots=True)
class Acted:
    """Every step has ended, or one is unknown; now it is to be seen whether it helped."""

    planned: Planned
    last: Finished | None
    unknown: bool


@dataclass(frozen=True, slots=True)
class NotHelped:
    """The round's rung has failed or did not help."""

    planned: Planned
    failed: Finished | None
    verified: Verified | None
    unknown: bool


@dataclass(frozen=True, slots=True)
class Proven:
    """Verification has ended with anything but `not healed`."""

    planned: Planned
    verified: Verified
    unknown: bool


@dataclass(frozen=True, slots=True)
class Over:
    """The run has its outcome. `closed` tells whether the alert's own end was told as well."""

    ended: Ended
    closed: bool


Stage = Fresh | Diagnosed | Drafted | Underway | InDoubt | Acted | NotHelped | Proven | Over


@dataclass(slots=True)
class _Round:
    """What the facts of the newest round say."""

    number: int = 1
    after_rung: int = -1
    examined: Examined | None = None
    planned: Planned | None = None
    asked: Asked | None = None
    questions: dict[tuple[int, int], Asked] = field(default_factory=dict)  # of all rounds, by the plan's place
    held: Held | None = None
    started: Started | None = None
    repeats: bool = False
    finished: tuple[Finished, ...] = ()
    not_begun: int = 0  # in all rounds
    in_vain: bool = False  # its plan could not begin: a new one is to be made, of the same rung if that still fits
    verified: Verified | None = None
    ended: Ended | None = None
    closed: bool = False

    def learn(self, fact: Fact) -> None:
        if not _is_aside(fact):
            self._learn(fact)

    def _learn(self, fact: Fact) -> None:
        match fact:
            case Examined():
                if fact.round > self.number and self.planned is not None:
                    self._begin(fact.round, self._tried(self.planned))
                self.examined = fact
            case Planned():
                self.planned, self.asked = fact, self.questions.get(fact.renews) if fact.renews else None
            case Asked():
                self.asked = self.questions[fact.round, fact.revision] = fact
            case Prolonged() | Voided():
                self._change_question(fact)
            case Held():
                self.held = fact
            case Started():
                self.repeats = self.started is not None and self.started.step == fact.step
                self.started = fact
            case Finished():
                self._end_step(fact)
            case Verified():
                self.verified = fact
            case Ended():
                self.ended = fact
            case Closed():
                self.closed = True
            case _:  # what became known later of a step, which `found_out` looks for
                pass

    def _change_question(self, fact: Prolonged | Voided) -> None:
        place = fact.round, fact.revision
        before = self.questions.pop(place, None)
        after = None
        if isinstance(fact, Prolonged) and before is not None:
            after = self.questions[place] = replace(before, until=fact.until, reminders=fact.reminders)
        self.asked = after if self.asked is before else self.asked

    def _tried(self, planned: Planned) -> int:
        """The last rung that was tried, for the round after this one."""
        if self.in_vain or (self.started is None and self.verified is None and not self.finished):
            return self.after_rung
        recurs = planned.plan.every is not None and self.verified is not None
        is_again = recurs and self.verified is not None and self.verified.proof is not Proof.NOT_HEALED
        return planned.plan.rung - 1 if is_again else planned.plan.rung

    def _end_step(self, fact: Finished) -> None:
        if fact.begun or self.not_begun == MOST_NOT_BEGUN:
            self.finished = (*self.finished, fact)
        else:
            self.not_begun += 1
            self.in_vain, self.started = not self.finished, None

    def _begin(self, number: int, after_rung: int) -> None:
        self.number, self.after_rung = number, after_rung
        self.planned = self.asked = self.held = self.started = self.verified = None
        self.finished, self.in_vain = (), False


def _is_aside(fact: Fact) -> bool:
    """Whether it moves the run to no other stage; what puts a step back is no step of the plan."""
    return isinstance(fact, Aside) or (isinstance(fact, Started | Finished) and undone_by(fact.step) is not None)


def stage_of(run: Run) -> Stage:
    """The stage that the run's facts and signals add up to."""
    now = _Round()
    for fact in run.facts:
        now.learn(fact)
    if now.ended is not None:
        return Over(now.ended, closed=now.closed)
    if now.examined is None or now.examined.round < now.number:
        return Fresh(now.number, now.after_rung)
    if now.in_vain:
        return Fresh(now.number + 1, now.after_rung)
    if now.planned is None:
        return Diagnosed(now.examined, now.after_rung, revision=1)
    return _stage_of_plan(run, now, now.planned)


def _stage_of_plan(run: Run, now: _Round, planned: Planned) -> Stage:
    unknown = any(f.status is StepStatus.UNKNOWN for f in now.finished)
    failed = next((f for f in now.finished if f.status is StepStatus.FAILED), None)
    if now.verified is not None and now.verified.proof is not Proof.NOT_HEALED:
        return Proven(planned, now.verified, unknown)
    if now.verified is not None or failed is not None:
        return NotHelped(planned, failed, now.verified, unknown)
    if now.started is not None and now.started.key not in {f.key for f in now.finished}:
        return InDoubt(planned, now.started, now.repeats)
    if unknown or len(now.finished) == len(planned.plan.steps):
        return Acted(planned, now.finished[-1] if now.finished else None, unknown)
    if now.finished:
        return Underway(planned, len(now.finished), now.held)
    if now.asked is None:
        return Drafted(planned, None, None, now.held)
    decisions = decisions_on(run, planned)
    return Drafted(planned, now.asked, settling(now.asked, decisions), now.held, approved_by(now.asked, decisions))


def decisions_on(run: Run, planned: Planned) -> tuple[Decision, ...]:
    """All decisions on this very plan, as it was asked for last, in their order."""
    decisions = [s for s in run.signals if isinstance(s, Decision)]
    if not decisions:
        return ()  # as in most runs: working out a digest takes a while
    wanted = (planned.plan.digest, *(planned.renews or (planned.round, planned.revision)))
    return tuple(s for s in decisions if (s.digest, s.round, s.revision) == wanted)


def question_of(run: Run, planned: Planned) -> Asked | None:
    """What people were asked about this very plan, as it stands now; None where they were not, or it is void."""
    now = _Round()
    for fact in run.facts:
        now.learn(fact)
    return now.questions.get(planned.renews or (planned.round, planned.revision))


def approval_of(run: Run, planned: Planned) -> Decision | None:
    """The approval that a plan was begun with, if people gave one: the last that was needed."""
    decisions = decisions_on(run, planned)
    asked = question_of(run, planned) if decisions else None
    decision = settling(asked, decisions) if asked is not None else None
    return decision if decision is not None and decision.approved else None


def denial_of(run: Run) -> Decision | None:
    """A person's no to anything that the run has asked, also where that was void, or asked anew, before it was read."""
    if not any(isinstance(signal, Decision) and not signal.approved for signal in run.signals):
        return None
    plans = {(fact.round, fact.revision): fact for fact in run.facts if isinstance(fact, Planned)}
    words = (settling(asked, decisions_on(run, plans[place])) for place, asked in questions_of(run).items())
    return next((word for word in words if word is not None and not word.approved), None)


def questions_of(run: Run) -> dict[tuple[int, int], Asked]:
    """All that people were asked, by round and revision, with the time that they had in the end; also what is void."""
    questions: dict[tuple[int, int], Asked] = {}
    for fact in run.facts:
        if isinstance(fact, Asked):
            questions[fact.round, fact.revision] = fact
        elif isinstance(fact, Prolonged):
            place = fact.round, fact.revision
            questions[place] = replace(questions[place], until=fact.until)
    return questions


def told_of(run: Run, planned: Planned) -> frozenset[Concern]:
    """Why guards want a person to decide on this very plan, and about what, as far as people were told."""
    rounds = {planned.round, planned.renews[0]} if planned.renews else {planned.round}
    asked = [fact for fact in run.facts if isinstance(fact, Asked) and fact.round in rounds and fact.reasons]
    if not asked:
        return frozenset()  # as in most runs: working out a digest takes a while
    plans = (fact for fact in run.facts if isinstance(fact, Planned) and fact.round in rounds)
    equal = {fact.key for fact in plans if fact.plan.digest == planned.plan.digest}
    return frozenset(concern for fact in asked if fact.key in equal for concern in fact.concerns)


def approved_before(run: Run, round_: int) -> Planned | None:
    """The plan that a person has approved and that was not begun, as evidence was gathered anew for this round."""
    before = next((fact for fact in reversed(run.facts) if isinstance(fact, Planned)), None)
    if before is None or before.round != round_ - 1 or has_begun(run, before):
        return None
    return before if approval_of(run, before) is not None else None


def has_begun(run: Run, planned: Planned) -> bool:
    """Whether a step of the plan was started."""
    return any(isinstance(fact, Started) and fact.round == planned.round for fact in run.facts)


def recurs_at(run: Run, stage: Proven) -> datetime | None:
    """When what was done is to be done again; None where it is not, or no more."""
    every = stage.planned.plan.every
    if every is None or stage.unknown or resolved(run) is not None or cancelled(run) is not None:
        return None
    round_ = stage.planned.round
    return max(fact.at for fact in run.facts if isinstance(fact, Finished) and fact.round == round_) + every


def wait_before(run: Run) -> timedelta:
    """How long the newest evidence was in coming: since the alert came, or since the last thing before it.

    A round whose plan could not begin has done nothing: who waits after it has waited since before it. What recurs is
    never late: its alert fires still.
    """
    since = before = run.created_at
    waited, recurs = timedelta(0), False
    for fact in run.facts:
        if _is_aside(fact):
            continue
        if isinstance(fact, Examined):
            waited, before = timedelta(0) if recurs else fact.at - since, since
        since = before if isinstance(fact, Finished) and not fact.begun else fact.at
        recurs = isinstance(fact, Held) and fact.reason is Reason.RECURS
    return waited


def was_asked(run: Run) -> bool:
    """Whether people were asked about what was not begun since: they were told that nothing is done without them."""
    for fact in reversed(run.facts):
        if isinstance(fact, Asked):
            return True
        if isinstance(fact, Started) and undone_by(fact.step) is None:
            return False
    return False


def waits_since(run: Run, planned: Planned) -> datetime:
    """Since when there is a plan that could be begun: making it again from newer evidence makes it no younger.

    What people decide on could not be begun before they have.
    """
    approval = approval_of(run, planned)
    return max(_drafted_since(run, planned), approval.at) if approval is not None else _drafted_since(run, planned)


def _drafted_since(run: Run, planned: Planned) -> datetime:
    since = planned.at
    for fact in reversed(run.facts):
        if isinstance(fact, Planned):
            since = fact.at
        elif isinstance(fact, Asked | Finished | Verified) and not _is_aside(fact):
            break
    return since


def last_at(run: Run) -> datetime:
    """When the run last got on: what goes on beside its stages makes it no younger."""
    return next((fact.at for fact in reversed(run.facts) if not _is_aside(fact)), run.created_at)


def is_repeat(run: Run, started: Started) -> bool:
    """Whether a start repeats one whose end was never recorded, which may have been done."""
    ended = {fact.key for fact in run.facts if isinstance(fact, Finished)}
    return started.attempt > 1 and (started.step, started.attempt - 1) not in ended


def resolved(run: Run) -> Resolved | None:
    """The word that all occurrences of the run have closed, if it came."""
    return next((s for s in run.signals if isinstance(s, Resolved)), None)


def cancelled(run: Run) -> Cancel | Undo | None:
    """A person's wish to stop the run, if there is one; who wants its changes to be put back wants that, too."""
    return next((s for s in run.signals if isinstance(s, Cancel | Undo)), None)


def acknowledged(run: Run) -> Acknowledge | None:
    """The word of the person who has taken the problem on, if there is one."""
    return next(reversed(taken_in_turn(run)), None)


def taken_in_turn(run: Run) -> tuple[Acknowledge, ...]:
    """The words of those who had the problem one after the other: the first, and whoever took it over since."""
    words = [s for s in run.signals if isinstance(s, Acknowledge)]
    return tuple(word for place, word in enumerate(words) if place == 0 or word.takes_over)


def again(run: Run) -> Again | None:
    """The word of a person who has had this run begun anew, if one has."""
    return next((s for s in run.signals if isinstance(s, Again)), None)


def by_hand(run: Run) -> Again | None:
    """The word of the person who has started the run by hand; None where an alert has."""
    word = again(run)
    return word if word is not None and word.by_hand else None


def joined(run: Run) -> tuple[Joined, ...]:
    """The words of alerts that have joined the run."""
    return tuple(s for s in run.signals if isinstance(s, Joined))


def settlement(run: Run) -> Settle | None:
    """The first word of a person on an unknown step that is not among the facts yet, if there is one."""
    noted = {fact.key for fact in run.facts if isinstance(fact, Settled)}
    return next((s for s in run.signals if isinstance(s, Settle) and s.key not in noted), None)


def found_out(run: Run) -> Settled | LateFinished | None:
    """What became known later of a step that was unknown: the end that was recorded late, or a person's word."""
    return next((fact for fact in reversed(run.facts) if isinstance(fact, LateFinished | Settled)), None)


def unsettled(run: Run) -> Finished | None:
    """The step that nobody knows the end of: neither was its late end recorded, nor has a person said."""
    known = {fact.key for fact in run.facts if isinstance(fact, LateFinished | Settled)}
    known |= {signal.key for signal in run.signals if isinstance(signal, Settle)}
    unknown = (f for f in run.facts if isinstance(f, Finished) and f.status is StepStatus.UNKNOWN)
    return next((fact for fact in unknown if fact.key not in known and not _was_put_back_since(run, fact)), None)


def _was_put_back_since(run: Run, unknown: Finished) -> bool:
    """Whether it was to put something back, and that was seen to be back later."""
    return undone_by(unknown.step) is not None and any(
        isinstance(fact, Finished)
        and fact.status is StepStatus.DONE
        and (fact.round, undone_by(fact.step)) == (unknown.round, undone_by(unknown.step))
        for fact in run.facts
    )
