"""What remains of a change that is to be put back: whether its target is still as the step has left it."""

from dataclasses import dataclass
from enum import StrEnum


class Now(StrEnum):
    """How that which a step has changed is now."""

    AS_SET = "as set"  # as the step has left it
    AS_BEFORE = "as before"  # as it was before the step: there is nothing to put back
    CHANGED = "changed"  # as neither of them, so somebody has changed it since
    GONE = "gone"  # it is not there any more, and the change is gone with it


@dataclass(frozen=True, slots=True)
class Remains:
    """How it is now, and what was found, in words."""

    now: Now
    found: str
