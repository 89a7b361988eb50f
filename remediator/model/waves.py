"""The ramp of a step with several targets: one target first, then two, four, eight, each wave a step of its own.

Planning makes the waves, a guard refuses a plan that has none where it should, and whoever looks up the step of a rule
by a wave's id asks `step_of`. As a plan stops at the first step that fails, so does its ramp. Pure.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from remediator.model.ids import StepId
from remediator.model.plan import Effect, PlannedStep
from remediator.model.target import Target

_MARK = "#"  # in no id that a rule file gives


def wave_step(step: StepId, number: int) -> StepId:
    """The id of a wave of a step; the first is number 1."""
    return StepId(f"{step}{_MARK}{number}")


def step_of(step: StepId) -> StepId:
    """The id that the step has in its rule, of a wave of it or of itself."""
    return StepId(step.partition(_MARK)[0])


def waves_of(targets: Iterable[Target]) -> tuple[tuple[Target, ...], ...]:
    """Each target once, by name, in waves of 1, 2, 4, 8 … and what is left. What shares a name stays together."""
    ordered = sorted(set(targets), key=lambda target: (target.name, target.incarnation))
    by_name = [tuple(same) for _, same in groupby(ordered, key=lambda target: target.name)]
    waves: list[tuple[Target, ...]] = []
    start, size = 0, 1
    while start < len(by_name):
        waves.append(tuple(target for same in by_name[start : start + size] for target in same))
        start, size = start + size, 2 * size
    return tuple(waves)


def too_broad(steps: Sequence[PlannedStep]) -> PlannedStep | None:
    """The first changing step that acts on more targets at once than its place in a ramp allows."""
    allowed: dict[StepId, int] = {}
    for step in steps:
        if step.effect is Effect.READ:
            continue
        of = step_of(step.id)
        most = allowed.setdefault(of, 1)
        if len({target.name for target in step.targets}) > most:
            return step
        allowed[of] = 2 * most
    return None
