"""What others have done to a target, as far as its system tells: a deploy, a rollout that goes on.

Only an action knows where to look (`plugins.action`); the cooldown after a deploy goes by it.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Deployed:
    """A target that was put there, or changed, by whomever: who asks tells our own changes from it by the journal."""

    target: str
    """The stable name of the target."""
    at: datetime
    """When it was done; since when, where it goes on."""
    what: str
    """For people: `made from image shop:2`."""
    by: str = ""
    """Who has done it; empty where the system does not tell."""
    is_underway: bool = False
    """Whether it goes on still, as a rollout does."""
