"""What a run's owner asks of a store, and how anybody else leaves word for a run.

Asked by the flow through its ledger, by the worker, and by those who take decisions.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

from remediator.model.audit import AuditEntry
from remediator.model.change import Change
from remediator.model.change import Ended as ChangeEnded
from remediator.model.facts import Ended, Fact, LateFinished, Started
from remediator.model.history import Known, Question
from remediator.model.ids import OccurrenceId, OwnerId, RunId
from remediator.model.message import Notice, Post
from remediator.model.outcome import Reason
from remediator.model.priority import Priority
from remediator.model.run import Run, Signal

T = TypeVar("T")


FREE = OwnerId("")
"""Whose run is nobody's: whoever has room claims it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write to a run, and how many of its signals its owner has read."""

    run: RunId
    owner: OwnerId
    epoch: int
    signals_read: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What one commit adds to a run: facts, and the messages that tell of them."""

    facts: Sequence[Fact] = ()
    posts: Sequence[Post] = ()
    endings: Sequence[ChangeEnded] = ()
    """What came of changes that were begun."""
    notices: Sequence[Notice] = ()
    """Messages for other channels than the run's own, queued as `notify` does."""
    audit: Sequence[AuditEntry] = ()
    """What the audit journal says of them."""
    closes: OccurrenceId | None = None
    """The occurrence that is closed with this: one that a person has stated, as the run that it was for has ended."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a start was refused; nothing of it was written."""

    reason: Reason
    detail: str = ""
    until: datetime | None = None
    """When it is worth asking again; None where that is not known."""


def _allow(_known: Known) -> Refusal | None:
    return None


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a start takes, and what has to be so for it: all of it in the transaction that records the start.

    No two starts are judged at once, whatever the number of processes: what one has taken the next one sees.
    """

    locks: tuple[str, ...] = ()
    """Nobody else may act on these while the run lives."""
    changes: tuple[Change, ...] = ()
    """What is entered in the journal; an entry that is there already stays as it is."""
    questions: tuple[Question, ...] = ()
    judge: Callable[[Known], Refusal | None] = _allow
    """Asked with the answers, unless somebody else has one of the locks."""


NOTHING = Reservation()


@dataclass(frozen=True, slots=True)
class Word(Generic[T]):
    """What is written of a person's word to a run, and what they are answered."""

    answer: T
    signal: Signal | None = None
    """None where their word is refused."""
    posts: Sequence[Post] = ()
    audit: Sequence[AuditEntry] = ()


class Wake(NamedTuple):
    """A run that has something to do, when, and how urgent it is."""

    run: RunId
    at: datetime
    priority: Priority


class RunStore(Protocol):
    """Keeps runs: who owns them, what is known of them, and what was said to them."""

    async def wakes(self) -> tuple[Wake, ...]:
        """Every run that has something to do."""
        ...

    async def take(self, run: RunId, owner: OwnerId) -> Run | None:
        """Claim a run and read it; None where there is none, or where it is another owner's who lives.

        The epoch rises, unless this owner had it already.
        """
        ...

    async def read_signals(self, run: RunId) -> tuple[Signal, ...]:
        """All signals of a run, in the order in which they came."""
        ...

    async def learn(self, claim: Claim, entry: Entry, *, free_locks: bool = False) -> None:
        """Add to a run; with `free_locks`, others may act on its targets from then on, until it reserves them anew."""
        ...

    async def park(self, claim: Claim, entry: Entry, wake_at: datetime | None) -> bool:
        """Add to a run and let it rest until then (None: until a signal comes), for whoever claims it next.

        False where a signal has come that its owner has not read: it does not rest.
        """
        ...

    async def start(self, claim: Claim, entry: Entry, started: Started, reservation: Reservation) -> Refusal | None:
        """Reserve, and record that a step is about to act; a Refusal where something is taken or a signal has come.

        That alerts have joined refuses nothing: a storm of them must not keep the run from helping.
        """
        ...

    async def end(
        self,
        claim: Claim,
        entry: Entry,
        ended: Ended,
        *,
        keep_locks_until: datetime | None,
        wake_at: datetime | None = None,
    ) -> bool:
        """Give a run its outcome and its locks back (or keep them until a time, where a step is unknown).

        It rests until `wake_at` where something of it is still to be done then, and is not forgotten before.

        False where a signal has come that its owner has not read: the run has ended, and has still something to tell.
        An alert joins either before that, and is told of then, or finds the run ended and gets another.
        """
        ...

    async def settle_late(
        self,
        run: RunId,
        fact: LateFinished,
        posts: Sequence[Post],
        endings: Sequence[ChangeEnded] = (),
        audit: Sequence[AuditEntry] = (),
    ) -> None:
        """Record the late end of a call, whoever owns the run now; nothing where the run was forgotten."""
        ...

    async def signal(self, run: RunId, signal: Signal, audit: Sequence[AuditEntry] = ()) -> bool:
        """Leave word for a run, and make it due now; False where there is no such run."""
        ...

    async def hear(self, run: RunId, judge: Callable[[Run], Word[T]]) -> T | None:
        """Leave a person's word for a run, as `judge` decides that looks at the run as it is; None without such a run.

        All in one transaction: of two words that come at once, the second is judged with the first. The run is due now
        where a signal was left. It may be called again with the same run where a transaction has to be tried anew.
        """
        ...
