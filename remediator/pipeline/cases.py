"""A plan as it is brought before the guards: a `Case`, and which mode it has now.

Made anew by the flow and its parts each time that they look at a plan, because what holds for a rule can change while
its run waits. It only reads.
"""

from remediator.kit.clock import Clock
from remediator.model.facts import Ended, Planned
from remediator.model.plan import Mode
from remediator.model.run import Run
from remediator.model.stage import approval_of, cancelled, has_begun, resolved, told_of
from remediator.pipeline import outcome
from remediator.pipeline.guards import Case
from remediator.pipeline.guards.effective import LimitsOf
from remediator.pipeline.ledger import Ledger
from remediator.rules.book import Rule


class Cases:
    """Knows what holds for the plans of a rule now."""

    def __init__(self, clock: Clock, ceiling: Mode, limits: LimitsOf) -> None:
        """`ceiling`: the mode that no rule goes beyond."""
        self._clock = clock
        self._ceiling = ceiling
        self._limits = limits

    @property
    def ceiling(self) -> Mode:
        """The mode that no rule goes beyond."""
        return self._ceiling

    def mode(self, rule: Rule) -> Mode:
        """The mode of a rule under the ceiling for all rules."""
        return rule.mode.capped(self._ceiling)

    def of(self, ledger: Ledger, rule: Rule, planned: Planned) -> Case:
        """A plan as it is brought before the guards, now."""
        run, plan = ledger.run, planned.plan
        return Case(
            run=run,
            rule=rule,
            plan=plan,
            at=self._clock.now(),
            mode=self.mode(rule),
            limits=self._limits(rule, plan),
            round=planned.round,
            approved=approval_of(run, planned) is not None,
            told=told_of(run, planned),
            begun=has_begun(run, planned),
        )

    def called_off(self, run: Run) -> Ended | None:
        """The end of a run that has nothing left to begin: a person has called it off, or the alert has resolved."""
        return outcome.called_off(self._clock.now(), cancelled(run), resolved(run))
