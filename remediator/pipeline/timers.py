"""When a run that rests has something to do by itself. Pure: the earliest time that its facts and its rule name.

Called by the flow before a run rests and when it ends. It is worked out anew each time, so a restart, a takeover or a
jump of the clock needs nothing more.
"""

from datetime import datetime

from remediator.model.run import Run
from remediator.pipeline.escalation.levels import next_level
from remediator.pipeline.silencing.silences import next_try
from remediator.pipeline.undo.timing import next_undoing
from remediator.rules.book import Rule


def next_timer(run: Run, rule: Rule, *, at_most: datetime | None = None) -> datetime | None:
    """The earliest of all, `at_most` included; None where there is none."""
    times = (at_most, next_level(run, rule), next_undoing(run), next_try(run))
    return min((at for at in times if at is not None), default=None)
