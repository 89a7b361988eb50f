"""Guards: reasons to hold or refuse a plan. One small module each; `Guards` asks them all, and fails closed."""

from remediator.pipeline.guards.conflicts import Conflicts
from remediator.pipeline.guards.guard import Allow, Guard, Guards, Hold, Refuse, Review
from remediator.pipeline.guards.targets import Targets
from remediator.pipeline.guards.unbuilt import Unbuilt

__all__ = ["Allow", "Conflicts", "Guard", "Guards", "Hold", "Refuse", "Review", "Targets", "Unbuilt"]
