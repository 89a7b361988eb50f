"""One time that an alert was open, and what a delivery's alert means for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from remediator.model.alert import Alert
from remediator.model.audit import AuditEntry
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, RuleId, RunId
from remediator.model.message import Message
from remediator.model.priority import Priority
from remediator.model.run import Again


class Ruling(StrEnum):
    """What was made of one alert. The names are values of the metric `remediator_alerts`."""

    OPENED = "opened"
    REOPENED = "reopened"  # the old occurrence was closed as `resolve missed`, or as `run anew`
    REPEATED = "repeated"
    DOUBTFUL = "doubtful"  # firing again with the old startsAt, right after the resolve: looked at again later
    RESOLVED = "resolved"
    NOT_OPEN = "not_open"  # a resolve of what is not open here


class Closing(StrEnum):
    """Why an occurrence is closed."""

    RESOLVED = "resolved"
    RESOLVE_MISSED = "resolve missed"
    RUN_ANEW = "run anew"  # it fires still; a person has had another run begun
    RUN_ENDED = "run ended"  # a person has stated it, for the one run that has ended


@dataclass(frozen=True, slots=True)
class Doubt:
    """A firing alert that may be a late duplicate, or a real return. Decided when its window ends."""

    alert: Alert
    until: datetime
    sent_again: bool = False


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that an alert was open, from its firing to its resolution."""

    id: OccurrenceId
    fingerprint: Fingerprint
    labels: Mapping[str, str]
    starts_at: datetime
    opened_at: datetime
    heard_at: datetime
    closed_at: datetime | None = None
    ends_at: datetime | None = None  # as its sender said
    doubt: Doubt | None = None
    runs_ended_at: datetime | None = None  # when its last run ended; None while one is under way or it had none
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to create, with the first message of its thread.

    Where it names a group, and a run of the same rule and group has not ended and has alerts that are open, the
    occurrence joins that one, and nothing is created.
    """

    id: RunId
    rule: RuleId
    rule_digest: Digest
    summary: str
    channel: str
    first_message: Message
    group: str = ""
    priority: Priority = Priority.NORMAL
    audit: tuple[AuditEntry, ...] = ()
    """What the audit journal says of its beginning, where it is created."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A new occurrence and the runs that it starts."""

    occurrence: OccurrenceId
    runs: tuple[NewRun, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the store writes for one alert. Whatever is None stays as it is."""

    ruling: Ruling
    close: Closing | None = None
    open: Opening | None = None
    doubt: Doubt | None = None
    drop_doubt: bool = False
    hear: bool = False  # the open occurrence was heard of again: take over startsAt and annotations
    again: Again | None = None  # who has what is opened begun anew; the runs before hear of it, and those that begin


Judge = Callable[[Alert, Occurrence | None], Verdict]
"""Decides on one alert, given the newest occurrence of its fingerprint. Pure; called inside the transaction."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What one delivery led to, all of it on disk."""

    rulings: tuple[Ruling, ...]
    new_runs: tuple[tuple[RunId, RuleId], ...]  # created; not those that an occurrence has joined
    signalled_runs: tuple[RunId, ...]  # resolved or joined
