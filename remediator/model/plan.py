"""The exact steps that a run will take next, with a digest that an approval is bound to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from remediator.model.digest import digest_of
from remediator.model.ids import Digest, StepId
from remediator.model.target import Target


class Effect(StrEnum):
    """What an action does to the world."""

    READ = "read"
    CHANGE = "change"
    DESTROY = "destroy"


class Mode(StrEnum):
    """How far a rule may go by itself."""

    OBSERVE = "observe"  # diagnose and tell
    SUGGEST = "suggest"  # post the plan, do nothing
    GATED = "gated"  # do it once a person has approved
    AUTO = "auto"

    def capped(self, ceiling: "Mode") -> "Mode":
        """The lower of the two."""
        order = list(Mode)
        return min(self, ceiling, key=order.index)


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One action with its rendered, typed parameters and the targets that it would touch."""

    id: StepId
    action: str
    params: Mapping[str, Any]
    effect: Effect
    idempotent: bool
    targets: tuple[Target, ...]
    timeout: timedelta
    sentence: str  # what it would do, for people
    stays: str | None = None
    """Why what it changes cannot be put back; empty where it can. None where it only reads, or nobody has asked."""


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A read action with what is expected of its result."""

    id: StepId
    action: str
    params: Mapping[str, Any]
    timeout: timedelta
    expect: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Verification:
    """How it is proven that a rung helped.

    After `settle` the checks are sampled each `every`; they must hold for `sustain`, before `within` has passed since
    the last step. Without checks the proof is the alert's own resolution.
    """

    settle: timedelta
    sustain: timedelta
    within: timedelta
    every: timedelta
    checks: tuple[PlannedCheck, ...]


@dataclass(frozen=True)
class Plan:
    """What one rung will do: the rung's name and place, its steps, its verification."""

    rung: int
    name: str
    gated: bool  # the rung itself asks for a person, whatever the mode
    steps: tuple[PlannedStep, ...]
    verification: Verification
    lasts: timedelta | None = None
    """How long the change is to last before it is put back; None for good."""
    every: timedelta | None = None
    """How often it is carried out again as long as the alert fires; None for once."""
    max_targets: int | None = None
    """How many targets the rule lets it touch; None leaves it to the settings."""
    pools: tuple[str, ...] = ()
    """The names of the pools that its targets are of, as far as its actions know any; each once, sorted."""
    groups: tuple[str, ...] = ()
    """The names of what its targets share with others, as its rule says; each once, sorted."""

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """Every target of every changing step, each once, sorted by name."""
        seen = {t for step in self.steps if step.effect is not Effect.READ for t in step.targets}
        return tuple(sorted(seen, key=str))

    @cached_property
    def locks(self) -> tuple[str, ...]:
        """What nobody else may hold meanwhile: its targets; their pools, so that no two plans empty one; its groups."""
        targets = sorted({target.name for target in self.targets})
        return (*targets, *(f"pool:{name}" for name in self.pools), *(f"lock:{name}" for name in self.groups))

    @property
    def digest(self) -> Digest:
        """Of the rendered steps, their targets and the verification: change one of them and it is another plan."""
        pools = {"pools": list(self.pools)} if self.pools else {}
        groups = {"groups": list(self.groups)} if self.groups else {}
        every = {"every": self.every.total_seconds()} if self.every else {}
        return digest_of(
            {
                **pools,
                **groups,
                **every,
                "rung": [self.rung, self.name],
                "limits": [self.lasts.total_seconds() if self.lasts else None, self.max_targets],
                "steps": [
                    [s.action, dict(s.params), s.effect, sorted(map(str, s.targets)), s.timeout.total_seconds()]
                    for s in self.steps
                ],
                "verification": [
                    *(
                        d.total_seconds()
                        for d in (
                            self.verification.settle,
                            self.verification.sustain,
                            self.verification.within,
                            self.verification.every,
                        )
                    ),
                    [[c.action, dict(c.params), c.expect] for c in self.verification.checks],
                ],
            }
        )
