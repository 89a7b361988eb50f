"""What does the same work together, so that the rest carries on while one of it is acted on: a service's containers.

What a pool is, only an action knows (`plugins.action`); the health floor counts it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One of a pool."""

    name: str
    """The stable name of the target that it is, or would be."""
    is_healthy: bool
    is_target: bool
    """Whether the step takes it out of service for a while, or for good."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as it is now."""

    name: str
    """For people: `service web of Compose project shop (Docker engine local)`."""
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        return len(self.members)

    @property
    def healthy(self) -> int:
        """How many are healthy now."""
        return sum(member.is_healthy for member in self.members)

    @property
    def targets(self) -> int:
        """How many the step acts on."""
        return sum(member.is_target for member in self.members)

    @property
    def healthy_targets(self) -> int:
        """How many of those are healthy now: what the step costs."""
        return sum(member.is_healthy and member.is_target for member in self.members)

    @property
    def left(self) -> int:
        """How many stay healthy during the step."""
        return self.healthy - self.healthy_targets
