"""Guards: reasons to ask, to hold or to refuse. One small module each; `Guards` asks them all, and fails closed."""

from remediator.pipeline.guards.engine import Guards
from remediator.pipeline.guards.guard import Allow, Ask, Case, Guard, Hold, Probe, Refuse, Review

__all__ = ["Allow", "Ask", "Case", "Guard", "Guards", "Hold", "Probe", "Refuse", "Review"]
