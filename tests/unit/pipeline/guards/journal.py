"""A journal of changes in memory that answers as a store does, and cases to be judged by it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from remediator.model.alert import Alert, AlertStatus
from remediator.model.change import Change, Ended, Ending
from remediator.model.history import MOST_CHANGES, Known, Latest, Nth, Question, Recent, Standing, Which
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.limits import Limits
from remediator.model.outcome import Concern, Reason
from remediator.model.plan import Effect, Mode, Plan, PlannedStep, Verification
from remediator.model.run import Run
from remediator.model.stop import Stop, StopKind
from remediator.model.target import Target
from remediator.pipeline.guards import Case, Guard, Guards, Review
from remediator.rules.book import Rule
from remediator.rules.compiling import compile_rule
from remediator.storage.runs import Refusal
from tests.unit.rules.sample_actions import ACTIONS

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
WEB, DB = "thing:web", "thing:db"
KICK, PUSH = "thing.kick", "thing.push"
DOWN, SLOW = "web/down", "web/slow"
UNLIMITED = Limits(per_target=(), per_rule=(), overall=(), cooldown=timedelta(0), storm_quiet=timedelta(0))
"""Only the other guards have something to say."""

_WRITTEN = {"name": "down", "match": ['alertname="Down"'], "remediate": [{"do": [{"thing.kick": {"name": "web"}}]}]}
_RULE: Rule = compile_rule({"pack": "web", "vars": {}, "rule": _WRITTEN}, ACTIONS)
_ALERT = Alert(Fingerprint("f"), AlertStatus.FIRING, {"alertname": "Down"}, {}, T0)


def a_case(
    run: str = "r1",
    *,
    at: datetime = T0,
    came: datetime = T0,
    rule: str = DOWN,
    targets: Sequence[str] = (WEB,),
    actions: Sequence[str] = (KICK,),
    mode: Mode = Mode.AUTO,
    limits: Limits | None = None,
    round_: int = 1,
    begun: bool = False,
    approved: bool = False,
) -> Case:
    """A plan of a run whose alert came at a time, with a step for each action on all of the targets."""
    made = Run(
        RunId(run), RuleId(rule), Digest("d"), OccurrenceId("o"), _ALERT, "down", "", OwnerId("me"), 1, created_at=came
    )
    where = tuple(Target(*_parts(target)) for target in targets)
    steps = [
        PlannedStep(StepId(f"remediate.0.{n}"), action, {}, Effect.CHANGE, False, where, MINUTE, action)
        for n, action in enumerate(actions)
    ]
    plan = Plan(0, "kick", False, tuple(steps), Verification(SECOND, SECOND, MINUTE, SECOND, ()))
    told = frozenset(Concern(reason, subject) for reason in Reason for subject in ("", f"rule:{rule}"))
    told = told if approved else frozenset()
    return Case(made, _RULE, plan, at, mode, limits or Limits(), round_, approved, begun, told=told)


def _parts(name: str) -> tuple[str, tuple[str, ...]]:
    system, _, rest = name.partition(":")
    return system, tuple(rest.split("/"))


def engine(*guards: Guard) -> Guards:
    """The engine with these guards; only its starts are asked."""

    async def look(questions: Sequence[Question]) -> Known:
        raise AssertionError("the journal is asked at the start")

    return Guards(guards, look)


class Journal:
    """Everything that was begun, the stops, and the locks. Starts are judged one after the other, as in a store."""

    def __init__(self) -> None:
        self.changes: list[Change] = []  # in the order in which they were entered
        self.stops: dict[tuple[StopKind, str], Stop] = {}
        self.locks: dict[str, RunId] = {}
        self.runs: list[tuple[str, datetime]] = []  # the rule of each that began, and when

    def known(self, questions: Sequence[Question]) -> Known:
        """The answers. Stops that are over are told as well, for they tell when they were lifted."""
        scopes = {scope for one in questions if isinstance(one, Standing) for scope in one.scopes}
        stops = sorted((stop for stop in self.stops.values() if stop.scope in scopes), key=lambda stop: stop.at)
        return Known(
            times={one: self._nth(one) for one in questions if isinstance(one, Nth)},
            changes={one: self._latest(one, stops) for one in questions if isinstance(one, Latest)},
            stops=stops,
            begun={one: self._recent(one) for one in questions if isinstance(one, Recent)},
        )

    def _recent(self, question: Recent) -> tuple[datetime, ...]:
        counted: Counter[str] = Counter()
        found = []
        for rule, at in sorted(self.runs, key=lambda run: run[1], reverse=True):
            if at <= question.since or question.rule not in (None, rule):
                continue
            counted[rule] += 1
            if question.each is None or counted[rule] <= question.each:
                found.append(at)
        return tuple(found[: question.most])

    def _nth(self, question: Nth) -> datetime | None:
        found = self._newest(question.which, question.since)
        return found[question.n - 1].at if len(found) >= question.n else None

    def _latest(self, question: Latest, stops: Sequence[Stop]) -> tuple[Change, ...]:
        newest = self._newest(question.which, question.since)[: min(question.count, MOST_CHANGES)]
        is_told = not question.if_bad or stops or any(c.ending and c.ending.is_bad for c in newest)
        return tuple(newest) if is_told else ()

    def _newest(self, which: Which, since: datetime) -> list[Change]:
        """What was begun after `since`, the newest first; without an action only entries that count."""
        wanted = [
            change
            for change in reversed(self.changes)
            if change.at > since
            and change.ending is not Ending.NOT_BEGUN
            and which.rule in (None, change.rule)
            and which.target in (None, change.target)
            and (change.action == which.action if which.action is not None else change.counts)
        ]
        return sorted(wanted, key=lambda change: change.at, reverse=True)

    def begin(self, guards: Guards, case: Case) -> Refusal | None:
        """One transaction: the locks, the judge, the entries; a refusal writes nothing."""
        taken = guards.reserve(case)
        if any(self.locks.get(lock, case.run.id) != case.run.id for lock in taken.locks):
            return Refusal(Reason.TARGET_BUSY)
        if (refusal := taken.judge(self.known(taken.questions))) is not None:
            return refusal
        self.changes = [c for c in self.changes if c.run != case.run.id or c.ending is not Ending.NOT_BEGUN]
        there = {(c.run, c.round, c.target, c.action) for c in self.changes}
        self.changes += [c for c in taken.changes if (c.run, c.round, c.target, c.action) not in there]
        self.locks |= dict.fromkeys(taken.locks, case.run.id)
        return None

    def end(self, run: str, ended: Ended) -> None:
        """What came of the changes of one round of a run."""
        for place, change in enumerate(self.changes):
            if (change.run, change.round) == (run, ended.round) and ended.action in (None, change.action):
                self.changes[place] = replace(change, ending=ended.ending, ended_at=ended.at)

    def release(self, run: str) -> None:
        """The run has ended: its locks are free."""
        self.locks = {lock: owner for lock, owner in self.locks.items() if owner != run}

    def put_stop(self, stop: Stop) -> None:
        self.stops[stop.kind, stop.scope] = stop

    def lift_stop(self, kind: StopKind, scope: str, at: datetime) -> bool:
        """Whether there was one that stood; it stays, with its end."""
        stop = self.stops.get((kind, scope))
        if stop is None or stop.is_over(at):
            return False
        self.stops[kind, scope] = replace(stop, until=at)
        return True

    def happened(
        self,
        run: str,
        ending: Ending | None,
        at: datetime,
        *,
        lasts: timedelta = MINUTE,
        came: datetime | None = None,
        rule: str = DOWN,
        targets: Sequence[str] = (WEB,),
        action: str = KICK,
        round_: int = 1,
    ) -> None:
        """Enter a change of each target that was begun at a time, and what became of it so much later."""
        for target in targets:
            change = Change(RunId(run), round_, RuleId(rule), target, action, came or at, at)
            self.changes.append(replace(change, ending=ending, ended_at=at + lasts if ending else None))


def judged(guard: Guard, case: Case, journal: Journal) -> Review:
    """What a guard says by what the journal knows."""
    return guard.judge(case, journal.known(guard.asks(case)))
