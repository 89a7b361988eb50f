"""The product's gate, as far as the start: whether a gated plan may be begun now, and what people are asked before.

Used by the replicas of `replicas_at_work.py`, which start things themselves, so that a test can have several starts
happen at once, or fail. What looks, plans and acts is played here; what decides and asks is the product's.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.facts import Ended, Examined, Planned
from remediator.model.ids import Digest
from remediator.model.limits import Limits
from remediator.model.plan import Mode, Plan
from remediator.model.run import Run
from remediator.model.stage import Diagnosed, Drafted, stage_of
from remediator.pipeline.acting import Acting
from remediator.pipeline.approval import Terms
from remediator.pipeline.approvals import Approvals
from remediator.pipeline.cases import Cases
from remediator.pipeline.concluding import Concluding
from remediator.pipeline.deciding import Deciding
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.dispatch import Dispatcher
from remediator.pipeline.drafting import Drafting
from remediator.pipeline.execution import Execution
from remediator.pipeline.guards import Case, Guards
from remediator.pipeline.holding import Holding
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.people import People
from remediator.pipeline.planning import Planner
from remediator.pipeline.silencing.silencing import Silencing
from remediator.pipeline.turn import Parked
from remediator.rules.compiling import compile_rule
from remediator.settings import Settings
from remediator.storage.store import Store
from tests.contract.words import SETTINGS, AtOnce
from tests.unit.rules.sample_actions import ACTIONS

GATES: dict[str, Mapping[str, Any]] = {
    "web/asked": {"approvers": ["dba"]},
    "db/two": {"approvers": ["dba"], "quorum": 2},
}
"""The rules that are gated, and how."""
_DO = [{"thing.kick": {"name": "web"}}, {"thing.push": {"name": "web"}}]
_OFTEN = 20  # a run that goes in circles is wrong


def _compiled(name: str) -> Any:
    pack, _, rule = name.partition("/")
    rung = {"do": _DO, "gate": GATES[name]}
    named = {"name": rule, "match": ['alertname="Down"'], "mode": "auto", "remediate": [rung]}
    return compile_rule({"pack": pack, "vars": {}, "rule": named}, ACTIONS)


_RULES = {name: _compiled(name) for name in GATES}


class _LetThrough(Exception):  # noqa: N818 - it is how the flow's way is left where a step would act
    def __init__(self, case: Case) -> None:
        super().__init__("it may be begun")
        self.case = case


class _Played:
    """What looks, plans and acts: nothing has changed, and what would act leaves instead."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def examine(self, _run: Run, _rule: object, round_: int) -> Examined:
        return Examined(self._clock.now(), round_, {})

    async def count(self, _rule: object, _plan: Plan) -> tuple[()]:
        return ()

    async def draft(self, run: Run, *_: object) -> Plan:
        return next(fact.plan for fact in reversed(run.facts) if isinstance(fact, Planned))

    async def before(self, _rule: object, _plan: Plan) -> Mapping[str, str]:
        return {}

    async def begin(self, *_: object) -> tuple[()]:
        return ()

    async def perform(self, _ledger: Ledger, case: Case, *_: object, **__: object) -> None:
        raise _LetThrough(case)


class Asking:
    """One replica's gate, and where people's words come in there."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        guards: Guards,
        lessons: Lessons,
        limits: Limits,
        rule_now: Digest,
        pause_file: Callable[[], str],
    ) -> None:
        settings, metrics, played = Settings.model_validate(SETTINGS), Metrics(), _Played(clock)
        timeout = settings.pipeline.hold_timeout
        self.people = People(settings.people, settings.approval)
        self.cases = Cases(clock, Mode.AUTO, lambda _rule, _plan: limits)
        holding = Holding(clock, metrics, timeout)
        self._drafting = Drafting(
            cases=self.cases,
            planner=cast(Planner, played),
            guards=guards,
            clock=clock,
            metrics=metrics,
            hold_timeout=timeout,
        )
        acting = Acting(
            cases=self.cases,
            concluding=Concluding(lessons, self.cases),
            holding=holding,
            guards=guards,
            execution=cast(Execution, played),
            silencing=cast(Silencing, played),
            clock=clock,
            metrics=metrics,
            hold_timeout=timeout,
        )
        self._deciding = Deciding(
            cases=self.cases,
            drafting=self._drafting,
            acting=acting,
            holding=holding,
            diagnosis=cast(Diagnosis, played),
            guards=guards,
            lessons=lessons,
            store=store,
            clock=clock,
            metrics=metrics,
            settings=settings.pipeline,
            terms=Terms(settings.approval),
            people=self.people,
            rule_now=lambda _rule: rule_now,
        )
        self.approvals = Approvals(
            store,
            self.people,
            cast(Dispatcher, SimpleNamespace(wake=_wake)),
            clock,
            Redactor(),
            metrics,
            rule_now=lambda _rule: rule_now,
            pause_file=pause_file,
        )
        self._turn = AtOnce(clock)

    def case(self, ledger: Ledger, planned: Planned) -> Case:
        """A gated plan as it is brought before the guards now."""
        return self.cases.of(ledger, _RULES[ledger.run.rule], planned)

    async def leave(self, ledger: Ledger) -> Case | Ended | None:
        """Whether a plan may be begun now: its case; its end; None where it waits, for people or for a guard."""
        rule = _RULES[ledger.run.rule]
        for _ in range(_OFTEN):
            stage = stage_of(ledger.run)
            left: Parked | Ended | None
            try:
                if isinstance(stage, Diagnosed):
                    left = await self._drafting.plan(ledger, rule, stage)
                else:
                    assert isinstance(stage, Drafted)
                    left = await self._deciding.decide(ledger, rule, stage, self._turn)
            except _LetThrough as way:
                return way.case
            if isinstance(left, Ended):
                return left
            if isinstance(left, Parked):
                if await ledger.park(left.until):
                    return None
                await ledger.read_signals()
        raise AssertionError(f"it goes in circles: {ledger.run.facts[-_OFTEN:]}")


def _wake(*_: object) -> datetime | None:
    """All is looked at when the test says so."""
    return None
