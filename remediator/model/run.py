"""A run: one carrying-out of a rule for one occurrence, as the list of its facts and signals."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from remediator.model.alert import Alert
from remediator.model.facts import Fact
from remediator.model.ids import Digest, OccurrenceId, OwnerId, RuleId, RunId


@dataclass(frozen=True, slots=True)
class Resolved:
    """The occurrence has closed."""

    at: datetime
    ends_at: datetime | None = None
    missed: bool = False  # nothing was heard for so long that the resolve must have been missed
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
    kind: Literal["decision"] = "decision"


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person wants the run to stop."""

    at: datetime
    by: str
    reason: str = ""
    kind: Literal["cancel"] = "cancel"


Signal = Resolved | Decision | Cancel
"""What comes to a run from outside. It is a row of its own and never conflicts with the owner's writes."""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything known of a run. `owner` and `epoch` are the fence: a write under another pair is refused."""

    id: RunId
    rule: RuleId
    rule_digest: Digest
    occurrence: OccurrenceId
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
