"""That nobody has changed a step's targets between the look at what is there before it and its start.

What was there is kept right before the start, which takes the locks: another run may have ended its work in between,
and what was read would be what that one has put back since. Called where a step is carried out that can be put back.
Pure.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from remediator.model.change import Change
from remediator.model.history import Known, Latest, Which
from remediator.model.ids import RunId
from remediator.model.outcome import Reason
from remediator.model.plan import PlannedStep
from remediator.storage.runs import Refusal, Reservation

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST = 5  # of each target: what others have begun or ended meanwhile is among them


def asked_of(step: PlannedStep) -> tuple[Latest, ...]:
    """What to ask the journal before the look."""
    names = sorted({target.name for target in step.targets})
    return tuple(Latest(Which(target=name), _NEWEST, _EVER) for name in names)


def untouched(run: RunId, asked: Sequence[Latest], before: Known) -> Reservation:
    """Refuses the start where another run has begun a change of a target, or ended one, since the journal was asked."""
    seen = _of_others(run, asked, before)

    def judge(now: Known) -> Refusal | None:
        return None if _of_others(run, asked, now) == seen else Refusal(Reason.SIGNALLED)

    return Reservation(questions=tuple(asked), judge=judge)


def _of_others(run: RunId, asked: Sequence[Latest], known: Known) -> list[list[Change]]:
    return [[change for change in known.latest(one) if change.run != run] for one in asked]
