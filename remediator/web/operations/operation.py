"""What one call of the API is: the words in which the table of operations is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from remediator.model.token import Scope
from remediator.web.shapes import Shape


class Door(StrEnum):
    """Who may call at all. The text is a heading."""

    TOKEN = "With a token of the API"  # noqa: S105 - words for people
    SENDER = "From senders of alerts"
    SLACK = "Signed by Slack"
    OPEN = "By anybody"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or a header."""

    name: str
    says: str
    shape: Shape
    place: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """What a call takes."""

    shape: Shape
    form: str = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: its method with its path, and all that there is to know before making it."""

    call: str
    says: str
    answers: Mapping[int, Shape]
    """Those that are no error, by their status; an empty shape stands for an empty answer."""
    scope: Scope | None = None
    """What a token of the API needs; None where none is asked for."""
    door: Door = Door.TOKEN
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    errors: tuple[int, ...] = ()
    """Those besides what every call of its kind may answer."""
    form: str = "application/json"
    name: str = field(default="", kw_only=True)
    """For programs that are made from the document."""

    def __post_init__(self) -> None:
        if (self.scope is None) is (self.door is Door.TOKEN):
            raise ValueError(f"{self.call} has to need a scope, or another door than a token")

    @property
    def method(self) -> str:
        return self.call.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.call.partition(" ")[2]
