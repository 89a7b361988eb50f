"""A store with things to tell, a chat that goes wrong as a test wishes, and a poster between them."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from remediator.chat.chat import REPEATED, Chat, Found, NotLanded, Outgoing
from remediator.errors import StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import PARENT, Message, Post, Tone
from remediator.model.occurrence import NewRun, Opening, Ruling, Verdict
from remediator.pipeline.outbox import Outbox
from remediator.storage.runs import Claim, Entry
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock
from remediator.testing.slack import SlackStandIn, StoredMessage

SECOND = timedelta(seconds=1)
ME = OwnerId("me")
RULE = Digest("d" * 64)


class WeakStore(SqliteStore):
    """A store whose disk is full whenever a test says so."""

    full_for: str = ""

    async def note_sent(self, seq: int, version: int, ref: str) -> None:
        if self.full_for == "note_sent":
            raise StoreUnavailable("the disk is full")
        await super().note_sent(seq, version, ref)

    async def note_attempt(self, seq: int) -> bool:
        if self.full_for == "note_attempt":
            raise StoreUnavailable("the disk is full")
        return await super().note_attempt(seq)


class FakeChat:
    """Remembers what it was told, and goes wrong as a test wishes."""

    name = "fake"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.shown: dict[str, str] = {}
        self.found: Found = NotLanded()
        self.before: Callable[[str, Outgoing], None] = lambda _verb, _post: None
        """Called with `post`, `edit` or `find`; it may raise."""

    async def post(self, post: Outgoing) -> str:
        return self._take("post", post, f"ref-{post.mark}")

    async def edit(self, post: Outgoing, ref: str) -> None:
        self._take("edit", post, ref)

    async def find(self, post: Outgoing) -> Found:
        self.calls.append(f"find {post.mark}")
        self.before("find", post)
        return self.found

    async def check(self) -> None:
        """Always well."""

    async def close(self) -> None:
        """Nothing to close."""

    def _take(self, verb: str, post: Outgoing, ref: str) -> str:
        self.calls.append(f"{verb} {post.mark}")
        self.before(verb, post)
        self.shown[ref] = post.message.title + (f" ({REPEATED})" if post.repeated else "")
        return ref


class Desk:
    """A store with runs that have things to tell, and a poster that a test hurries along in virtual time."""

    def __init__(self, store: WeakStore, clock: VirtualClock) -> None:
        self.store = store
        self.clock = clock
        self.metrics = Metrics()
        self.chat = FakeChat()
        self.outbox = self.poster()

    def poster(self, chat: Chat | None = None, *, interval: timedelta = timedelta(0)) -> Outbox:
        """A poster; another one than the first is the next process."""
        self.outbox = Outbox(
            store=self.store, chat=chat or self.chat, clock=self.clock, metrics=self.metrics, interval=interval
        )
        return self.outbox

    async def open(self, run: str, *replies: str, channel: str = "#c") -> Claim:
        """A run with its opening message and replies."""
        new = NewRun(RunId(run), RuleId("p/r"), RULE, "down", channel, Message(Tone.FIRING, f"{run} fires"))
        alert = Alert(Fingerprint(run), AlertStatus.FIRING, {"alertname": run}, {}, self.clock.now())
        verdict = Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{run}"), (new,)))
        await self.store.accept(Delivery((alert,), received_at=self.clock.now()), lambda _a, _k: verdict, ME)
        claim = Claim(RunId(run), ME, 1, 0)
        await self.tell(claim, *replies)
        return claim

    async def tell(self, claim: Claim, *titles: str, parent: str = "") -> None:
        """Queue replies, and an edit of the opening message."""
        posts = [Post(title, Message(Tone.NEUTRAL, title)) for title in titles]
        if parent:
            posts = [Post(PARENT, Message(Tone.WORKING, parent)), *posts]
        await self.store.learn(claim, Entry((), posts))

    async def pass_time(self, duration: timedelta, *, step: timedelta = SECOND / 2) -> None:
        """Let time pass, with a look at the outbox as often as the poster takes one."""
        for _ in range(int(duration / step)):
            await self.outbox.send_waiting()
            await self.clock.advance(step)
        await self.outbox.send_waiting()

    async def waiting(self) -> list[str]:
        return [f"{post.run}/{post.key}" for post in await self.store.waiting_posts(10_000)]


def threads(messages: Sequence[StoredMessage]) -> list[list[str]]:
    """The threads in the order of their parents, each as its messages' texts."""
    parents = [message for message in messages if message.thread_ts is None]
    return [[m.text.split(" ", 1)[1] for m in messages if parent.ts in (m.ts, m.thread_ts)] for parent in parents]


def methods(slack: SlackStandIn) -> Counter[str]:
    return Counter(call.method for call in slack.calls)
