"""A run: one carrying-out of a rule for one occurrence or one group of them, as the list of its facts and signals."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from remediator.model.alert import Alert
from remediator.model.facts import Fact
from remediator.model.ids import Digest, OccurrenceId, OwnerId, RuleId, RunId, StepId

_MOST_LABELS = 50
_LONGEST = 1000  # characters of a label


def told(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that tell alerts of a group apart: so many, and so much of each, that they never fill a run.

    Of a value that is longer only its length and its digest stay: half a value could end in the middle of a secret,
    where nobody would find that any more.
    """
    if len(labels) > _MOST_LABELS:
        labels = {name: labels[name] for name in sorted(labels)[:_MOST_LABELS]}
    return {name: _short(value) for name, value in labels.items() if len(name) <= _LONGEST}


def _short(value: str) -> str:
    if len(value) <= _LONGEST:
        return value
    return f"({len(value)} characters, {hashlib.sha256(value.encode(errors='replace')).hexdigest()[:12]})"


@dataclass(frozen=True, slots=True)
class Joined:
    """Alerts of the run's group have joined it, those of one delivery together. It starts and voids nothing.

    What the run does is the same for each alert of its group, so one that joins late needs nothing more than to be
    told of, even where the proof was under way by then.
    """

    at: datetime
    count: int
    labels: tuple[Mapping[str, str], ...] = ()  # of the first few alerts of a run, as told; later ones are only counted
    kind: Literal["joined"] = "joined"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(map(told, self.labels)))


@dataclass(frozen=True, slots=True)
class Resolved:
    """The last of the run's occurrences that was open has closed."""

    at: datetime
    ends_at: datetime | None = None
    missed: bool = False  # nothing was heard for so long that the resolve must have been missed
    anew: str = ""  # who has had another run begun for its alerts, which fire still; empty where nobody has
    why: str = ""  # they have had it begun
    kind: Literal["resolved"] = "resolved"


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word on a plan, bound to its digest and to the very question: asked anew, it is void."""

    at: datetime
    approved: bool
    digest: Digest
    round: int
    revision: int
    by: str
    reason: str = ""
    person: str = ""
    """Who that is (`Person.name`), by whichever way; empty where an older version has stored it."""
    via: str = ""
    """The way by which it came (`Via`)."""
    groups: tuple[str, ...] = ()
    """The groups of approvers that the person's token gave them then."""
    token: str = ""
    """The id of that token; empty for every other way, and where an older version has stored it."""
    kind: Literal["decision"] = "decision"

    @property
    def who(self) -> str:
        """One person, whatever they are called."""
        return self.person or self.by


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person wants the run to stop."""

    at: datetime
    by: str
    reason: str = ""
    person: str = ""
    """Who that is (`Person.name`); empty where an older version has stored it."""
    via: str = ""
    """The way by which it came (`Via`)."""
    origin: str = ""
    """From where it came: an address, a channel."""
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Settle:
    """A person has looked whether a step whose end nobody saw was done. It starts nothing."""

    at: datetime
    step: StepId
    attempt: int
    done: bool
    by: str
    reason: str = ""
    person: str = ""
    """Who that is (`Person.name`); empty where an older version has stored it."""
    via: str = ""
    """The way by which it came (`Via`)."""
    origin: str = ""
    """From where it came: an address, a channel."""
    kind: Literal["settle"] = "settle"

    @property
    def key(self) -> tuple[str, int]:
        return self.step, self.attempt


@dataclass(frozen=True, slots=True)
class Undo:
    """A person wants the run's changes to be put back."""

    at: datetime
    by: str
    reason: str = ""
    person: str = ""
    """Who that is (`Person.name`); empty where an older version has stored it."""
    via: str = ""
    """The way by which it came (`Via`)."""
    origin: str = ""
    """From where it came: an address, a channel."""
    kind: Literal["undo"] = "undo"


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has taken the problem on: nobody else is to be told of it."""

    at: datetime
    by: str
    reason: str = ""
    takes_over: bool = False
    """From whoever has taken it on before; without it, that one keeps it."""
    person: str = ""
    """Who that is (`Person.name`); empty where an older version has stored it."""
    via: str = ""
    """The way by which it came (`Via`)."""
    origin: str = ""
    """From where it came: an address, a channel."""
    kind: Literal["acknowledge"] = "acknowledge"


@dataclass(frozen=True, slots=True)
class Again:
    """A person has had this run begun: for alerts whose earlier runs are over, or without any.

    It comes with the run.
    """

    at: datetime
    by: str
    reason: str = ""
    person: str = ""
    """Who that is (`Person.name`): they do not approve what they have begun."""
    by_hand: bool = False
    """Whether there is no alert behind it: a person has started the rule."""
    via: str = ""
    """The way by which it came (`Via`)."""
    origin: str = ""
    """From where it came: an address, a channel."""
    kind: Literal["again"] = "again"


@dataclass(frozen=True, slots=True)
class TakeOver:
    """An earlier run has left a change to this one, which has changed the same later: both go back in one."""

    at: datetime
    round: int
    """Of this run, as is the step."""
    step: StepId
    before: Mapping[str, Any]
    """What was there before the earlier change, as the action's inverse takes it."""
    begun: datetime
    """When the earliest change was begun that goes back with it."""
    left_by: RunId
    left_round: int
    left_step: StepId
    place: int = 0
    """Of the earliest change that goes back with it, in the journal; 0 where that has forgotten it."""
    kind: Literal["take_over"] = "take_over"


Signal = Joined | Resolved | Decision | Cancel | Settle | Undo | Acknowledge | Again | TakeOver
"""What comes to a run from outside. It is a row of its own and never conflicts with the owner's writes."""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything known of a run. `owner` and `epoch` are the fence: a write under another pair is refused."""

    id: RunId
    rule: RuleId
    rule_digest: Digest
    occurrence: OccurrenceId  # that it began with; others of its group may have joined since
    alert: Alert
    summary: str  # what is wrong, in one line, as the rule says it
    channel: str
    owner: OwnerId
    epoch: int
    created_at: datetime
    facts: tuple[Fact, ...] = ()
    signals: tuple[Signal, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A line of `runs list`."""

    id: RunId
    rule: RuleId
    alertname: str
    created_at: datetime
    ended_at: datetime | None
    outcome: str | None
    wake_at: datetime | None
    owner: OwnerId  # whoever has it now, or had it last; empty where nobody does
