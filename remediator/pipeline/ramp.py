"""Splits a planned step with several targets into waves, each a step of its own that its action is called for alone.

Called by planning. It only looks targets up and never changes anything; what is not exactly a wave's is no part of it.
"""

from dataclasses import replace

import structlog

from remediator.errors import Failed
from remediator.kit.redaction import shorten
from remediator.model.plan import PlannedStep
from remediator.model.target import Target
from remediator.model.waves import wave_step, waves_of
from remediator.pipeline.calls import Calls
from remediator.plugins import Action, Narrow, Params

log = structlog.get_logger(__name__)

_LONGEST_SENTENCE = 300
_LONGEST_NAMES = 120


async def in_waves(calls: Calls, action: Action, whole: PlannedStep) -> tuple[PlannedStep, ...]:
    """A step for each wave; the step itself where it has one target, or where its action takes no part of them.

    A guard refuses the latter. Raises RemediatorError where a wave's parameters do not lead to its targets and no
    others.
    """
    waves, narrow = waves_of(whole.targets), action.for_targets
    if len(waves) <= 1 or narrow is None:
        return (whole,)
    params = action.params.model_validate(dict(whole.params))
    steps = []
    for number, targets in enumerate(waves, 1):
        part = _narrowed(action, narrow, params, targets)
        await _check(calls, action, whole, part, targets)
        names = shorten(", ".join(dict.fromkeys(target.name for target in targets)), _LONGEST_NAMES)
        sentence = f"wave {number} of {len(waves)} ({names}): {action.describe(part)}"
        steps.append(
            replace(
                whole,
                id=wave_step(whole.id, number),
                params=part.model_dump(mode="json"),
                targets=targets,
                sentence=shorten(sentence, _LONGEST_SENTENCE),
            )
        )
    return tuple(steps)


def _narrowed(action: Action, narrow: Narrow, params: Params, targets: tuple[Target, ...]) -> Params:
    """The parameters for these targets alone, as they will be read from the stored plan."""
    try:
        return action.params.model_validate(narrow(params, targets).model_dump(mode="json"))
    except Exception as error:
        log.exception("action_raised", action=action.name)
        raise Failed(f"it broke when it was given a part of its targets: {type(error).__name__}: {error}") from error


async def _check(calls: Calls, action: Action, whole: PlannedStep, part: Params, targets: tuple[Target, ...]) -> None:
    """Raises Failed where a wave would do something else than the whole, or to something else than its targets."""
    nature = action.nature_of(calls.clients, part)
    if (nature.effect, nature.idempotent) != (whole.effect, whole.idempotent):
        raise Failed(f"a part of its targets would make it another step ({nature.effect})")
    found = await calls.resolve(whole.id, action, part, whole.timeout)
    if set(found) != set(targets):
        wanted, got = (", ".join(sorted(map(str, some))) or "nothing" for some in (targets, found))
        raise Failed(f"narrowed to {wanted} it leads to {got}")
