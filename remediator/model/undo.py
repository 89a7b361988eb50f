"""The facts of putting changes back: what was captured before a step, and that a run's changes are being put back.

Each step is put back by a step of its own, whose id tells which one it puts back (`undo_step`). So its start, its end,
a late end and a person's word on it are the facts that those of any step are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from remediator.model.ids import RunId, StepId

_PREFIX = "undo."
_OF_ACTION = "undo:"


@dataclass(frozen=True, slots=True)
class Captured:
    """What was there before a step; written before its start, so that no change is ever without it."""

    at: datetime
    round: int
    step: StepId
    attempt: int
    before: Mapping[str, Any] | None
    """As the action's inverse takes it; None where it could not be captured."""
    why_not: str = ""
    """Why it could not be captured."""
    kind: Literal["captured"] = "captured"

    @property
    def key(self) -> tuple[str, int]:
        return self.step, self.attempt


class Cause(StrEnum):
    """Why changes are put back."""

    ASKED = "a person has asked for it"
    TIME_OVER = "they were for a while, and that is over"
    RESOLVED = "they were for as long as the alert fires, and it has resolved"
    NOT_HELPED = "they have not helped"

    @property
    def says(self) -> str:
        """The same for people: the values are what is stored, and stay as they are."""
        if self is Cause.TIME_OVER:
            return "they were to last for a limited time (`for`), and that is over"
        return str(self)


@dataclass(frozen=True, slots=True)
class Undoing:
    """From now on the changes of a run, or of one of its rounds, are put back."""

    at: datetime
    count: int
    """How often that was begun in this run, this time included: who asks again has each step tried again."""
    cause: Cause
    round: int | None = None
    """The round whose changes are put back; None for all of the run."""
    by: str = ""
    """Who has asked for it."""
    reason: str = ""
    """Why they have; or who has another run begun for the alert, where it fires still."""
    answers: int = 0
    """How many requests of people it answers; they may ask again before it has begun."""
    kind: Literal["undoing"] = "undoing"

    @property
    def says(self) -> str:
        """Why, where nobody has asked for it."""
        if self.cause is Cause.RESOLVED and self.reason:
            return f"they were for as long as this run has the alert, and {self.reason}"
        return self.cause.says

    @property
    def key(self) -> tuple[str, int]:
        return "", self.count


@dataclass(frozen=True, slots=True)
class Undone:
    """The undoing of that count is over: what could be put back is, or a person has to look."""

    at: datetime
    count: int
    asks: bool
    """Whether something is left that a person has to look at."""
    brief: str
    """What became of each change."""
    kind: Literal["undone"] = "undone"

    @property
    def key(self) -> tuple[str, int]:
        return "", self.count


@dataclass(frozen=True, slots=True)
class Left:
    """A change is not put back by its own run: another run has changed the same later, and it goes back with that."""

    at: datetime
    round: int
    step: StepId
    count: int
    """Of the undoing in which it was left."""
    run: RunId
    """The run that it is left to."""
    until: datetime | None
    """Until when that one keeps it so; None where it does for good."""
    kind: Literal["left"] = "left"

    @property
    def key(self) -> tuple[str, int]:
        return f"{self.round}.{self.step}", self.count


def undo_step(step: StepId, count: int) -> StepId:
    """The id of the step that puts another one back, in the undoing of that count."""
    return StepId(f"{_PREFIX}{count}.{step}")


def undone_by(step: StepId) -> StepId | None:
    """The id of the step that this one puts back; None for one that is no undo."""
    if not step.startswith(_PREFIX):
        return None
    return StepId(step.removeprefix(_PREFIX).partition(".")[2])


def undo_action(action: str) -> str:
    """The name under which the journal of changes has what puts back what this action does."""
    return f"{_OF_ACTION}{action}"


def is_undo_action(name: str) -> bool:
    """Whether the journal has something under this name that was put back."""
    return name.startswith(_OF_ACTION)
