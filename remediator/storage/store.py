"""The protocol of a store: what must be durable, and what is atomic with what.

Called by the pipeline. A store never decides anything itself: what an alert means is told to it by a `Judge`, and
what a step reserves comes as plain data, so that each engine can write it in its own best way. Every write of a run's
owner is fenced on owner and epoch and raises Fenced when the run belongs to somebody else. Every method raises
StoreUnavailable when it cannot be done now; nothing of it is then written.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from remediator.model.alert import CutGroup, Delivery
from remediator.model.audit import AuditEntry, Part, Sealed
from remediator.model.change import Change
from remediator.model.change import Ended as ChangeEnded
from remediator.model.facts import Ended, Fact, LateFinished, Started
from remediator.model.history import Known, Question
from remediator.model.ids import Digest, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import Message, Notice, Post, QueuedPost
from remediator.model.occurrence import Accepted, Judge, Occurrence
from remediator.model.outcome import Reason
from remediator.model.priority import Priority
from remediator.model.run import Run, RunSummary, Signal
from remediator.model.stop import Stop, StopKind
from remediator.model.token import Token

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class Button:
    """A button in the chat, by the digest of its token: one decision on one question, in one message."""

    digest: bytes
    run: RunId
    round: int
    revision: int
    plan: Digest
    approves: bool
    post: int
    """The post (`QueuedPost.seq`) of the message that it stands in."""
    made_at: datetime


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """How many plans of a rule wait for people, by the cards in one channel."""

    rule: RuleId
    channel: str
    count: int


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button that was found, with where its message stands; None where that is not known (yet)."""

    button: Button
    ref: str | None


class Wake(NamedTuple):
    """A run that has something to do, when, and how urgent it is."""

    run: RunId
    at: datetime
    priority: Priority


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How much waits to be told, and since when; and how much that is minor, which may wait for as long as it likes."""

    waiting: int
    oldest: datetime | None
    minor: int = 0


@dataclass(frozen=True, slots=True)
class NoticeState:
    """How far the telling of a notice is."""

    channel: str
    key: str
    seq: int
    queued_at: datetime
    ref: str | None
    """Where it stands, once some version of it was sent."""


@dataclass(frozen=True, slots=True)
class PostState:
    """How far the telling of a message of a run is."""

    key: str
    title: str
    channel: str
    queued_at: datetime
    is_sent: bool
    """Whether its newest version stands there."""
    ref: str | None
    """Where it stands, once some version of it was sent."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is old enough to be forgotten: what ended before a time, and all but so many of the newest.

    What ended at `settled` or later stays, however much of it there is: intake still judges repeats by it.
    """

    before: datetime
    at_most: int
    settled: datetime


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was deleted."""

    runs: int = 0
    occurrences: int = 0
    rules: int = 0
    notices: int = 0
    changes: int = 0
    stops: int = 0

    def __bool__(self) -> bool:
        return self != Forgotten()

    def __add__(self, other: "Forgotten") -> "Forgotten":
        return Forgotten(
            self.runs + other.runs,
            self.occurrences + other.occurrences,
            self.rules + other.rules,
            self.notices + other.notices,
            self.changes + other.changes,
            self.stops + other.stops,
        )


class Store(Protocol):
    """Keeps everything; see the module's docstring for what holds of every method."""

    async def open(self) -> None:
        """Make it ready. Raises BadSettings where it cannot be used at all, with the reason."""
        ...

    async def close(self) -> None:
        """Write what was handed in, then close."""
        ...

    async def probe(self) -> None:
        """Write something and forget it; raises StoreUnavailable when that fails."""
        ...

    # Rules

    async def remember_rules(self, documents: Mapping[Digest, Mapping[str, Any]]) -> None:
        """Keep rules as they are now, so that a run can be carried on with the rule that it started with.

        Those that are kept already are noted as in force now: `forget` goes by that.
        """
        ...

    async def rule_document(self, digest: Digest) -> Mapping[str, Any] | None:
        """A rule that was remembered."""
        ...

    # Intake

    async def accept(self, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
        """Store a delivery's alerts and create the runs that they start, born claimed by `owner`, all or nothing.

        So is that alerts were left out of it; a later delivery of that group takes the place of an earlier one.

        `judge` is asked for each alert, in order, inside the transaction. An occurrence joins the open run of its
        group, if there is one, and the run is signalled, once for all that join it. A run is signalled that it has
        resolved when the last of its occurrences closes; from then on, as from its end on, none may join it.
        """
        ...

    async def due_doubts(self, at: datetime, limit: int, *, sent_again: bool = False) -> tuple[Occurrence, ...]:
        """Occurrences whose doubt is to be decided by now, the oldest first; or only those that were sent again."""
        ...

    async def unheard(self, before: datetime, limit: int) -> tuple[Occurrence, ...]:
        """Open occurrences of which nothing was heard since then. It may look through all that are open.

        Those that a person has stated are none of them: nobody ever sends them again.
        """
        ...

    async def due_cut_groups(self, at: datetime, limit: int) -> tuple[CutGroup, ...]:
        """Groups of which deliveries left alerts out, and that are to be asked for by now."""
        ...

    async def put_off_cut_group(self, group: CutGroup, ask_at: datetime) -> None:
        """Count one more try in vain; nothing where a newer delivery of the group has come meanwhile."""
        ...

    async def drop_cut_group(self, group: CutGroup) -> None:
        """Its alerts are here, or are given up; nothing where a newer delivery of the group has come meanwhile."""
        ...

    # Runs

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

    # Buttons of the chat

    async def keep_buttons(self, made: Sequence[Button], /) -> None:
        """Remember buttons before the message is sent that they stand in."""
        ...

    async def find_button(self, digest: bytes) -> Pressed | None:
        """The button whose token has this digest."""
        ...

    async def open_questions(self) -> tuple[OpenQuestions, ...]:
        """How many questions have a card that puts a choice to people, by rule and channel, sent or not."""
        ...

    # Tokens of the API

    async def put_token(self, token: Token, audit: Sequence[AuditEntry] = ()) -> None:
        """Keep a token. Raises Mistaken where there is one of its id."""
        ...

    async def find_token(self, token_id: str) -> Token | None:
        """A token, whether it is good or not."""
        ...

    async def list_tokens(self) -> tuple[Token, ...]:
        """All of them, the oldest first."""
        ...

    async def revoke_token(self, token_id: str, at: datetime, by: str, audit: Sequence[AuditEntry] = ()) -> bool:
        """Let a token not be used any more; whether there was one that had not been revoked."""
        ...

    # Audit

    async def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Enter what belongs to no other write."""
        ...

    async def audit_page(
        self, *, after: int, limit: int, run: RunId | None = None, part: Part = Part.ALL
    ) -> tuple[Sealed, ...]:
        """Entries with a higher `seq` than `after`, the lowest first; or those of one run.

        Of those that are sealed alone, `after` is a place, and they come in the order of the chain: none can come
        before the last one of a page any more.
        """
        ...

    async def audit_head(self) -> tuple[int, str]:
        """The place and the seal of the newest sealed entry; 0 and an empty text where there is none."""
        ...

    async def audit_begin(self) -> tuple[int, str]:
        """The place and the seal of the newest entry that was dropped; 0 and an empty text where none was."""
        ...

    async def audit_unsealed(self) -> int:
        """How many entries are not sealed yet."""
        ...

    async def seal_audit(self, seal: Callable[[str, int, AuditEntry], str], key: str, limit: int) -> int:
        """Seal what is not sealed, at most so much; how much that was.

        `seal` is given the seal before, the place and the entry. Two processes never give out the same place: one that
        comes while another one seals does nothing.
        """
        ...

    async def drop_audit(self, before: datetime, limit: int, told: Callable[[int, str], AuditEntry]) -> int:
        """Drop the oldest sealed entries that are older than that, about `limit` of them; how many there were.

        The newest one of all stays. So does the seal of the newest that is dropped, as the chain goes on from there,
        and the entry that `told` makes of its place and seal is entered with it.
        """
        ...

    # Guards

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        """The occurrences of a run that are open, those that it began with first, with whole labels."""
        ...

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        """The open occurrences whose label `alertname` is one of these, with whole labels."""
        ...

    async def known(self, questions: Sequence[Question]) -> Known:
        """The answers, as they are now. A change that was not begun is in none of them, until it is begun after all."""
        ...

    async def put_stop(self, stop: Stop, audit: Sequence[AuditEntry] = ()) -> bool:
        """Have it stand in the way, in the place of an earlier one of its kind and scope. Whether it was written.

        It is not where one was lifted (or dated) at its `at` or later, for whoever has lifted it knew what it was put
        for, nor in the place of one that ends by itself later. A pause always is. No start is committed after the
        answer that was judged without it. `audit` is entered where it was written, here and below.
        """
        ...

    async def prolong_stop(self, stop: Stop, audit: Sequence[AuditEntry] = ()) -> Stop | None:
        """Have one with an end stand; where one of its kind and scope stands, that one stays, until the later end.

        The stop that stands then. None, and nothing is written, where one was lifted after this one's `at`: whoever has
        lifted it knew more; or where one stands that has no end.
        """
        ...

    async def lift_stop(
        self, kind: StopKind, scope: str, at: datetime, *, after_all: bool = False, audit: Sequence[AuditEntry] = ()
    ) -> bool:
        """End it at that time; whether there was one that stood.

        With `after_all` its `at` becomes the newest ending that is known of its target, rule or action, or the newest
        run, if that is later: a clock that was ahead may have dated later what came before.
        """
        ...

    async def list_stops(self, at: datetime) -> tuple[Stop, ...]:
        """All whose time is not over, the oldest first."""
        ...

    # Outbox

    async def notify(self, channel: str, key: str, message: Message, at: datetime) -> None:
        """Queue a message that belongs to no run; one with the same key, in the same channel, is edited in place.

        People are not alerted to an edit: what they are to notice anew needs a new key. What stands in the message is
        stored and shown as it is: who calls this has taken secrets out of it.
        """
        ...

    async def has_notice(self, channel: str, key: str) -> bool:
        """Whether a message that belongs to no run was queued under that key, sent or not."""
        ...

    async def read_notices(self, wanted: Collection[tuple[str, str]]) -> tuple[NoticeState, ...]:
        """Those of the notices, each named by its channel and its key, that are there."""
        ...

    async def waiting_levels(self, channel: str, limit: int) -> tuple[QueuedPost, ...]:
        """Notices of a channel that tell of escalations, and that stand nowhere yet, the oldest first."""
        ...

    async def gather(self, posts: Collection[QueuedPost], key: str, message: Message, at: datetime) -> None:
        """Have one notice under a new key tell what all of these tell, which wait for one channel: all or nothing.

        What becomes of one of them later is told by itself again, as a new message.
        """
        ...

    async def waiting_posts(self, limit: int) -> tuple[QueuedPost, ...]:
        """Posts whose newest version is not sent, the oldest first."""
        ...

    async def next_post(
        self, *, resting: Collection[int], busy: Collection[str], passed: Collection[int], full: Collection[str] = ()
    ) -> QueuedPost | None:
        """The oldest post that may be sent now, however many wait before it that may not.

        Notices go first, then threads in which the card of a question waits, as far as the card, and what is minor
        last. The opening message of a thread in which something waits that is not
        minor is not minor either.

        A reply waits until its thread stands, and for the replies before it, except for those that are `passed`.
        Posts that are `resting`, and those to `busy` channels, are left out; of `full` channels those that
        `waiting_levels` names and that were not tried yet.
        """
        ...

    async def note_attempt(self, seq: int) -> bool:
        """Somebody is about to send this post: from now on it may have landed. False where that was noted before."""
        ...

    async def note_sent(self, seq: int, version: int, ref: str) -> None:
        """This version of a post stands at `ref` now; version 0 for one that was found there, whichever it is."""
        ...

    async def move_thread(self, seq: int, channel: str) -> None:
        """Tell what this post belongs to in another channel from now on.

        A run's thread begins anew there, with the opening message; a notice is sent as a new message. It may be the
        same channel, where the message is gone.
        """
        ...

    async def outbox_state(self) -> OutboxState:
        """How much waits, and since when."""
        ...

    # Reading

    async def read_run(self, run: RunId) -> Run | None:
        """A run as it is, without claiming it."""
        ...

    async def list_runs(
        self, *, limit: int, outcome: str | None = None, active: bool = False, unsettled: bool = False
    ) -> tuple[RunSummary, ...]:
        """The newest runs first.

        With `unsettled` those with an unknown step of which no end is on record since, among the `SEARCHED` newest: it
        may take long.
        """
        ...

    async def runs_of(self, occurrence: OccurrenceId) -> tuple[RunSummary, ...]:
        """The runs that an occurrence has begun or joined, the newest first."""
        ...

    async def newest_occurrence(self, fingerprint: str) -> Occurrence | None:
        """The newest occurrence of an alert, open or closed."""
        ...

    async def list_occurrences(self, *, limit: int, only_open: bool = False) -> tuple[Occurrence, ...]:
        """The newest occurrences first; with `only_open` those that have not closed. Very long labels are cut."""
        ...

    async def posts_of(self, run: RunId, *, limit: int) -> tuple[PostState, ...]:
        """What is told of a run in its own thread, the oldest first, and how far the telling of it is."""
        ...

    # Housekeeping

    async def forget(self, old: Retention, *, limit: int) -> Forgotten:
        """Delete what is old, the oldest first, at most `limit` of each kind, holding up no other write for long.

        A run is finished when it has ended, has nothing to do (no wake-up), and none of its occurrences is open. It is
        old if it ended before `old.before`, or if at least `old.at_most` finished runs ended later; ids break ties. An
        old run goes with its facts, signals, posts, members and lapsed locks, unless it ended at `old.settled` or
        later, a post of it is not sent, or it holds a lock now. What stays for these reasons counts, all the same.

        A closed occurrence without a doubt is old in the same way by the time when it closed; it goes unless that was
        at `old.settled` or later, or a run has it as a member or began with it. A rule goes that no run was started
        with and that was last remembered before `old.before` and `old.settled`: whoever calls this remembers the rules
        in force far more often than that. A notice goes that is sent, and was queued before `old.before`. What the
        journal tells, and stops that were lifted or ended by themselves, go when that was before `old.before` and is
        more than `JOURNAL_KEPT` ago.

        It is called again until nothing was deleted.
        """
        ...

    async def version(self) -> int:
        """The version of the tables."""
        ...

    async def size(self) -> int:
        """How many bytes everything takes where it is kept, with what is free for new rows."""
        ...


JOURNAL_KEPT = timedelta(days=31)
"""No guard looks back further than that; a store that keeps its runs longer keeps what was changed as long."""

SEARCHED = 100_000
"""Among how many runs those with an unknown step are looked for: as many as are kept, unless that is set otherwise."""

CUT_GROUPS = 1000
"""How many groups wait to be fetched at the most; the one that was tried most often, or is the oldest, gives way."""

FREE = OwnerId("")
"""Whose run is nobody's: whoever has room claims it."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A process that works on the runs of a shared store, and how often it has said that it lives."""

    id: OwnerId
    name: str  # of its host, for people
    instance: str  # of its folder; who has it now has come after whoever had it before
    beats: int


@dataclass(frozen=True, slots=True)
class Roll:
    """Who works on the store."""

    replicas: tuple[Replica, ...]
    leader: OwnerId | None  # who posts and tidies; None while nobody does


class SharedStore(Store, Protocol):
    """A store that several processes work on at once. A run without an owner is claimed by one of them.

    Who lives is told by beats that are counted, and never by a clock: each process watches the others' counts.
    """

    def on_news(self, tell: Callable[[tuple[RunId, ...]], None]) -> None:
        """Have `tell` called when another process has left word for runs, or has left runs free. Calls may be lost."""
        ...

    async def join(self, replica: OwnerId, name: str) -> str:
        """Be one of those who work on it; the instance that it is. Raises BadSettings where another one is it now."""
        ...

    async def leave(self, replica: OwnerId) -> None:
        """Be none of them any more: what it had under way is free."""
        ...

    async def retire(self, replica: OwnerId, keeps: Collection[RunId]) -> None:
        """Be about to leave: lead no more, and free the runs that it had, but for those that it `keeps`."""
        ...

    async def beat(self, replica: OwnerId, *, willing: bool) -> Roll:
        """Say that it lives, and take the lead if it is `willing` and nobody who is on the roll has it.

        A process that does not find itself on the roll was buried, and has to join under another id.
        """
        ...

    async def bury(self, dead: Sequence[Replica]) -> tuple[OwnerId, ...]:
        """Strike from the roll those whose beats are still as many as were seen; who that were."""
        ...

    async def free_orphans(self) -> int:
        """Free runs whose owner is not on the roll, with a higher epoch, and make them due; how many there were.

        Some may be left for the next time.

        What such an owner still writes is refused from then on.
        """
        ...

    async def claim_due(
        self, owner: OwnerId, limit: int, *, oldest: bool = False, but_not: Collection[RuleId] = ()
    ) -> tuple[Wake, ...]:
        """Claim free runs that are due, but not of these rules: the most urgent, or those due for longest, first."""
        ...

    async def count_unclaimed(self, limit: int) -> int:
        """How many free runs are due, counted up to `limit`."""
        ...

    async def overdue(self, owner: OwnerId, before: datetime, limit: int) -> tuple[Wake, ...]:
        """Runs of this owner that were due before then, the oldest first.

        Its process works on them, or has never heard that a claim of its own was carried out.
        """
        ...
