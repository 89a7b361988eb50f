"""Tells the levels of a run that are due, and that a person has taken its problem on.

Called by the flow before each stage, and while it looks for proof, which can take its time. When a level is due, and
what ends them, is worked out in `levels`.
"""

import structlog

from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.pipeline.escalation.levels import Levels, due_levels, taken_on
from remediator.pipeline.ledger import Ledger
from remediator.rules.book import Rule

log = structlog.get_logger(__name__)


class Escalating:
    """Turns to the next people where it is time."""

    def __init__(self, levels: Levels, clock: Clock, metrics: Metrics) -> None:
        self._levels = levels
        self._clock = clock
        self._metrics = metrics

    async def see_to(self, ledger: Ledger, rule: Rule) -> None:
        """Tell the next level where it is time, and that a person has taken the problem on: both at once."""
        now, run = self._clock.now(), ledger.run
        word, due = taken_on(run, now), tuple(due_levels(run, rule, self._levels, now))
        if word is not None:
            ledger.note(word)
        for level in due:
            ledger.note(level)
        if word is not None or due:
            await ledger.save()
        for level in due:
            self._metrics.escalations.labels(level.to).inc()
            log.info("run_escalated", level=level.level, to=level.to, told=list(level.channels))
