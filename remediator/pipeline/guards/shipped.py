"""All guards that judge by what is known, in the order in which they are asked: what the first refusal says is told.

Called by the composition root, and by the command that explains. Those that look at the world are made there.
"""

from remediator.pipeline.guards.attempts import Attempts
from remediator.pipeline.guards.breaking import Breaking
from remediator.pipeline.guards.budgets import Budgets
from remediator.pipeline.guards.calendar import Calendar
from remediator.pipeline.guards.cooldown import Cooldown
from remediator.pipeline.guards.demotion import Demotion
from remediator.pipeline.guards.flapping import Flapping
from remediator.pipeline.guards.guard import Guard
from remediator.pipeline.guards.pauses import Pauses
from remediator.pipeline.guards.protected import Protected
from remediator.pipeline.guards.storm import Storm
from remediator.pipeline.guards.targets import Targets
from remediator.settings import CalendarSettings, ProtectedSettings


def shipped(calendar: CalendarSettings, protected: ProtectedSettings) -> tuple[Guard, ...]:
    """Every guard there is."""
    return (
        Targets(),
        Protected(protected),
        Pauses(),
        Storm(),
        Calendar(calendar),
        Attempts(),
        Flapping(),
        Breaking(),
        Budgets(),
        Cooldown(),
        Demotion(),
    )
