"""The outbox tells everything, in order, once, whatever chat does; and what is stuck keeps nobody else waiting."""

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.chat.chat import REPEATED, CannotTell, Chat, Found, Landed, NotLanded, Outgoing
from remediator.chat.slack import SlackChat
from remediator.chat.terminal import TerminalChat
from remediator.clients.slack import SlackClient
from remediator.errors import Failed, OutcomeUnknown, StoreUnavailable, Transient
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import PARENT, Message, Post, Tone
from remediator.model.occurrence import NewRun, Opening, Ruling, Verdict
from remediator.pipeline.outbox import Outbox
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Claim, Entry
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


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = VirtualClock()
    store = WeakStore(None, clock=clock, metrics=Metrics())
    await store.open()
    await store.remember_rules({RULE: {"pack": "p"}})
    yield Desk(store, clock)
    await store.close()


@pytest.fixture
async def slack(desk: Desk) -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn(channels=["c", "other"], clock=desk.clock) as stand_in:
        yield stand_in


@pytest.fixture
async def slack_chat(slack: SlackStandIn) -> AsyncIterator[SlackChat]:
    chat = SlackChat(SlackClient(token=slack.token, base_url=slack.base_url, timeout=SECOND / 2))
    yield chat
    await chat.close()


def threads(messages: Sequence[StoredMessage]) -> list[list[str]]:
    """The threads in the order of their parents, each as its messages' texts."""
    parents = [message for message in messages if message.thread_ts is None]
    return [[m.text.split(" ", 1)[1] for m in messages if parent.ts in (m.ts, m.thread_ts)] for parent in parents]


def methods(slack: SlackStandIn) -> Counter[str]:
    return Counter(call.method for call in slack.calls)


async def test_each_run_is_a_thread_with_its_replies_in_order(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """The story is read from top to bottom; a reply before its parent would be a thread of its own."""
    desk.poster(slack_chat)
    first = await desk.open("r1", "one", "two")
    await desk.open("r2", "one")
    await desk.tell(first, "three")
    await desk.outbox.send_waiting()

    assert [["r1 fires", "one", "two", "three"], ["r2 fires", "one"]] == threads(slack.messages["c"])
    assert [] == await desk.waiting()


async def test_edits_of_the_opening_message_become_one(desk: Desk) -> None:
    """Slack's pace allows one call a second; what nobody has seen yet need not be told."""
    claim = await desk.open("r1")
    for status in ("acting", "checking", "healed"):
        await desk.tell(claim, parent=status)
    await desk.outbox.send_waiting()
    for status in ("closing", "closed"):
        await desk.tell(claim, parent=status)
    await desk.outbox.send_waiting()

    assert ["post r1/parent", "edit r1/parent"] == desk.chat.calls
    assert {"ref-r1/parent": "closed"} == desk.chat.shown


async def test_an_edit_that_comes_while_its_message_is_sent_is_not_lost(desk: Desk) -> None:
    """Noting the older version as sent must not hide the newer one."""
    claim = await desk.open("r1")
    tasks: list[asyncio.Task[None]] = []

    def news(verb: str, _post: Outgoing) -> None:
        if verb == "post":
            tasks.append(asyncio.create_task(desk.tell(claim, parent="healed")))

    desk.chat.before = news
    await desk.outbox.send_waiting()
    await asyncio.gather(*tasks)
    await desk.outbox.send_waiting()

    assert {"ref-r1/parent": "healed"} == desk.chat.shown
    assert [] == await desk.waiting()


async def test_each_channel_has_a_pace_of_its_own(desk: Desk) -> None:
    """Slack takes one message a second in a channel; one with much to tell must not slow the others."""
    desk.poster(interval=SECOND)
    for number in range(4):
        await desk.open(f"a{number}", channel="#a")
    await desk.open("b0", channel="#b")
    seen: list[int] = []
    for _ in range(8):
        await desk.outbox.send_waiting()
        seen.append(len(desk.chat.calls))
        await desk.clock.advance(SECOND / 2)

    assert [2, 2, 3, 3, 4, 4, 5, 5] == seen
    assert ["post a0/parent", "post b0/parent"] == desk.chat.calls[:2]


async def test_all_wait_when_slack_asks_for_time(desk: Desk, slack: SlackStandIn, slack_chat: SlackChat) -> None:
    """Calling on through a rate limit makes it longer."""
    desk.poster(slack_chat)
    await desk.open("r1", "one")
    await desk.open("r2", channel="#other")
    slack.fail_next("chat.postMessage", status=429, error="ratelimited", retry_after=30)
    await desk.pass_time(29 * SECOND)
    calls, trouble = len(slack.calls), desk.outbox.trouble
    await desk.pass_time(2 * SECOND)

    assert 1 == calls
    assert trouble is not None
    assert "Slack has no time" in trouble
    assert [["r1 fires", "one"]] == threads(slack.messages["c"])
    assert [["r2 fires"]] == threads(slack.messages["other"])
    assert desk.outbox.trouble is None


@pytest.mark.parametrize(
    ("fault", "by_id", "shown"),
    [
        ("land_then_reset", True, ["r1 fires"]),
        ("land_then_hang", True, ["r1 fires"]),
        ("hang", True, ["r1 fires"]),
        ("hang", False, [f"r1 fires\n{REPEATED}"]),
        ("land_then_reset", False, ["r1 fires", f"r1 fires\n{REPEATED}"]),
    ],
)
async def test_a_post_that_may_have_landed_is_looked_for(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat, fault: str, by_id: bool, shown: list[str]
) -> None:
    """Neither lost, nor told twice as if it were news; with a channel's name Slack lets nobody look."""
    desk.poster(slack_chat)
    await desk.clock.advance(timedelta(minutes=1))
    await desk.open("r1", channel=slack.channel_id("c") if by_id else "#c")
    slack.fail_next("chat.postMessage", **{fault: True})  # type: ignore[arg-type]  # a flag of that name
    await desk.outbox.send_waiting()
    await desk.pass_time(11 * SECOND)
    early = methods(slack)
    await desk.pass_time(3 * SECOND)

    assert {"chat.postMessage": 1} == early
    assert shown == [text for thread in threads(slack.messages["c"]) for text in thread]
    assert [] == await desk.waiting()


@pytest.mark.parametrize("verb", ["find", "edit"])
async def test_looking_and_editing_may_fail_a_while(desk: Desk, verb: str) -> None:
    """What landed is still neither lost nor sent again."""
    await desk.open("r1")
    faults: dict[str, list[Exception]] = {
        "post": [OutcomeUnknown("reset")],
        verb: [Transient("busy"), Transient("busy")],
    }

    def fail(called: str, _post: Outgoing) -> None:
        if faults.get(called):
            raise faults[called].pop(0)

    desk.chat.before, desk.chat.found = fail, Landed("ref-r1/parent")
    await desk.pass_time(40 * SECOND)

    assert 1 == desk.chat.calls.count("post r1/parent")
    assert {"ref-r1/parent": "r1 fires"} == desk.chat.shown
    assert [] == await desk.waiting()


async def test_what_landed_and_can_no_longer_be_edited_is_given_up(desk: Desk) -> None:
    """Somebody has deleted it; to look for it and to edit it for ever would serve nobody."""
    claim = await desk.open("r1")
    desk.chat.found = Landed("ref-r1/parent")

    def fail(called: str, post: Outgoing) -> None:
        if called == "post" and post.mark == "r1/parent":
            raise OutcomeUnknown("reset")
        if called == "edit":
            raise Failed("cant_update_message")

    desk.chat.before = fail
    await desk.tell(claim, "one")
    await desk.pass_time(timedelta(minutes=3))

    assert 5 == desk.chat.calls.count("edit r1/parent")
    assert 1 == desk.chat.calls.count("find r1/parent")
    assert {"ref-r1/one": "one"} == desk.chat.shown
    assert [] == await desk.waiting()
    assert desk.outbox.trouble is None


async def test_an_edit_that_succeeds_at_last_has_all_its_tries_again(desk: Desk) -> None:
    """Given up is what never works, not what failed five times in a week."""
    claim = await desk.open("r1")
    await desk.outbox.send_waiting()
    faults: list[Exception] = []

    def fail(_verb: str, _post: Outgoing) -> None:
        if faults:
            raise faults.pop()

    desk.chat.before = fail
    for status in ("acting", "healed"):
        faults += [Failed("internal")] * 4
        await desk.tell(claim, parent=status)
        await desk.pass_time(timedelta(minutes=1))

    assert {"ref-r1/parent": "healed"} == desk.chat.shown
    assert 11 == len(desk.chat.calls)


@pytest.mark.parametrize(
    ("found", "shown", "posts"),
    [
        (Landed("ref-r1/parent"), {"ref-r1/parent": "r1 fires"}, 1),
        (NotLanded(), {"ref-r1/parent": "r1 fires"}, 2),
        (CannotTell("a name"), {"ref-r1/parent": f"r1 fires ({REPEATED})"}, 2),
    ],
    ids=["landed", "not-landed", "cannot-tell"],
)
async def test_what_a_killed_process_was_sending_is_looked_for(
    desk: Desk, found: Found, shown: dict[str, str], posts: int
) -> None:
    """A crash between Slack's answer and our note must not tell it twice, nor one before it lose it."""
    await desk.open("r1")

    def die(_verb: str, _post: Outgoing) -> None:
        raise asyncio.CancelledError

    desk.chat.before = die
    with suppress(asyncio.CancelledError):
        await desk.outbox.send_waiting()
    desk.chat.before, desk.chat.found = (lambda _verb, _post: None), found
    desk.poster()
    await desk.pass_time(11 * SECOND)
    early = desk.chat.calls[:]
    await desk.pass_time(9 * SECOND)

    assert ["post r1/parent"] == early  # what is still on its way is found only once it is there
    assert shown == desk.chat.shown
    assert posts == desk.chat.calls.count("post r1/parent")
    assert [] == await desk.waiting()


async def test_what_no_process_has_begun_to_send_is_sent_plainly(desk: Desk) -> None:
    """After an outage thousands may wait: to look for each, or to mark each as a repeat, would be noise."""
    await desk.open("r1", "one")
    desk.chat.found = CannotTell("a name")
    await desk.clock.advance(timedelta(hours=1))
    desk.poster()
    await desk.outbox.send_waiting()

    assert ["post r1/parent", "post r1/one"] == desk.chat.calls
    assert ["r1 fires", "one"] == list(desk.chat.shown.values())


async def test_a_post_that_surely_did_not_land_is_not_looked_for(desk: Desk) -> None:
    """Slack said that it had no time, so there is nothing to find."""
    await desk.open("r1")
    faults = [Transient("busy"), Failed("no_text")]

    def fail(verb: str, _post: Outgoing) -> None:
        if verb == "post" and faults:
            raise faults.pop(0)

    desk.chat.before, desk.chat.found = fail, CannotTell("a name")
    await desk.pass_time(20 * SECOND)

    assert ["post r1/parent"] * 3 == desk.chat.calls
    assert {"ref-r1/parent": "r1 fires"} == desk.chat.shown


async def test_after_an_hour_without_slack_everything_arrives_in_order(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """An outage of chat delays no remedy, and afterwards nothing of the story is missing."""
    desk.poster(slack_chat, interval=SECOND)
    await slack.close()
    claims = [await desk.open(f"r{number}", "evidence") for number in range(6)]
    await desk.pass_time(timedelta(minutes=30), step=5 * SECOND)
    for claim in claims:
        await desk.tell(claim, "plan", "done", parent=f"{claim.run} healed")
    await desk.pass_time(timedelta(minutes=30), step=5 * SECOND)
    quiet = slack.messages["c"][:]
    await slack.start()
    await desk.pass_time(timedelta(minutes=2))

    assert [] == quiet
    assert [[f"r{number} healed", "evidence", "plan", "done"] for number in range(6)] == threads(slack.messages["c"])
    assert [] == await desk.waiting()


async def test_a_hopeless_edit_is_given_up_and_blocks_nobody(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """A person may delete a message; the rest of the story goes on in the thread."""
    desk.poster(slack_chat)
    claim = await desk.open("r1", "one")
    await desk.outbox.send_waiting()
    slack.delete("c", slack.messages["c"][0].ts)
    slack.messages["c"].insert(0, dead_parent(slack.messages["c"][0]))
    await desk.tell(claim, "two", parent="healed")
    slack.fail_next("chat.update", times=5, error="message_not_found")
    await desk.open("r2")
    await desk.pass_time(3 * SECOND)
    soon = [message.text.split(" ", 1)[1] for message in slack.messages["c"]]
    await desk.pass_time(timedelta(minutes=2))
    tries = methods(slack)["chat.update"]
    await desk.pass_time(timedelta(minutes=10), step=5 * SECOND)

    assert ["deleted", "one", "two", "r2 fires"] == soon
    assert 5 == tries == methods(slack)["chat.update"]
    assert [] == await desk.waiting()
    assert 1 == desk.metrics.registry.get_sample_value("remediator_posts_total", {"result": "given_up"})


def dead_parent(reply: StoredMessage) -> StoredMessage:
    """What Slack leaves of a deleted message that has replies."""
    assert reply.thread_ts is not None
    return StoredMessage(reply.channel, reply.thread_ts, None, "- deleted", [], None, [])


@pytest.mark.parametrize("error", [Failed("not_in_channel"), OutcomeUnknown("reset"), ValueError("cannot be made")])
async def test_a_channel_that_fails_keeps_no_other_waiting(desk: Desk, error: Exception) -> None:
    """The bot was thrown out of one channel; the others know nothing of it. A bug of ours stays with its message."""

    def fail(_verb: str, post: Outgoing) -> None:
        if post.channel == "#gone":
            raise error

    desk.chat.before = fail
    for number in range(3):
        await desk.open(f"g{number}", "one", channel="#gone")
        await desk.open(f"r{number}", "one")
    await desk.outbox.send_waiting()
    tries = len([call for call in desk.chat.calls if " g" in call])
    stuck = await desk.waiting()
    desk.chat.before = lambda _verb, _post: None
    await desk.pass_time(timedelta(minutes=6), step=5 * SECOND)

    assert [f"g{number}/{key}" for number in range(3) for key in ("parent", "one")] == stuck
    assert 1 == tries
    assert [] == await desk.waiting()


async def test_one_message_that_is_always_delayed_does_not_starve_the_rest(desk: Desk) -> None:
    """A fault of one thread or channel looks like one of all Slack; only that others are taken tells them apart."""

    def fail(_verb: str, post: Outgoing) -> None:
        if post.mark.startswith("stuck"):
            raise Transient("busy", retry_after=5 * SECOND)

    desk.chat.before = fail
    await desk.open("stuck")
    for number in range(20):
        await desk.open(f"r{number}")
    await desk.pass_time(timedelta(minutes=1))
    soon = await desk.waiting()
    desk.chat.before = lambda _verb, _post: None
    await desk.pass_time(timedelta(minutes=6), step=5 * SECOND)

    assert ["stuck/parent"] == soon
    assert [] == await desk.waiting()


async def test_what_was_held_up_gets_its_turn_while_others_keep_coming(desk: Desk) -> None:
    """A busy day must not push a message to the end of a line that never ends."""
    desk.poster(interval=SECOND)
    faults = [Transient("busy")] * 2

    def fail(_verb: str, post: Outgoing) -> None:
        if post.mark == "first/parent" and faults:
            raise faults.pop()

    desk.chat.before = fail
    await desk.open("first")
    for number in range(60):
        await desk.open(f"r{number}")
        await desk.pass_time(SECOND)

    assert "first fires" in desk.chat.shown.values()


async def test_a_thousand_posts_that_are_stuck_starve_nobody(desk: Desk) -> None:
    """They stand before everything that comes later, as long as somebody has not invited the bot."""
    desk.poster(interval=SECOND)

    def fail(_verb: str, post: Outgoing) -> None:
        if post.channel == "#gone":
            raise Failed("not_in_channel")

    desk.chat.before = fail
    for number in range(1000):
        await desk.open(f"g{number}", channel="#gone")
    await desk.open("r1", "one", "two")
    await desk.pass_time(3 * SECOND)

    assert ["r1 fires", "one", "two"] == list(desk.chat.shown.values())


async def test_replies_wait_for_a_refused_one_but_not_for_ever(desk: Desk) -> None:
    """A short trouble must not mix up the order; a message that Slack never takes must not end the story."""

    def fail(_verb: str, post: Outgoing) -> None:
        if post.mark == "r1/bad":
            raise Failed("invalid_blocks")

    desk.chat.before = fail
    await desk.open("r1", "bad", "good", "better")
    await desk.pass_time(10 * SECOND)
    early = list(desk.chat.shown.values())
    await desk.pass_time(timedelta(minutes=1))
    late = list(desk.chat.shown.values())
    desk.chat.before = lambda _verb, _post: None
    await desk.pass_time(timedelta(minutes=6), step=5 * SECOND)

    assert ["r1 fires"] == early
    assert ["r1 fires", "good", "better"] == late
    assert ["r1 fires", "good", "better", "bad"] == list(desk.chat.shown.values())


@pytest.mark.parametrize("full_for", ["note_sent", "note_attempt"])
async def test_a_full_disk_neither_ends_the_poster_nor_doubles_a_message(desk: Desk, full_for: str) -> None:
    """The story goes on when there is room again; what was sent meanwhile is noted then, not sent again."""
    desk.store.full_for = full_for
    work = asyncio.create_task(desk.outbox.work(), name="outbox")
    await desk.open("r1", "one")
    for _ in range(6):
        await desk.clock.advance(SECOND)
        await desk.store.outbox_state()
    alive, early = not work.done(), desk.chat.calls[:]
    desk.store.full_for = ""
    for _ in range(200):
        await desk.clock.advance(SECOND)
        if not await desk.waiting():
            break
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    assert alive
    assert (["post r1/parent"] if full_for == "note_sent" else []) == early
    assert ["post r1/parent", "post r1/one"] == desk.chat.calls


async def test_what_began_on_the_terminal_goes_on_in_slack(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """Many try it without Slack first; runs that wait for a person then must not be stuck in a chat that is gone."""
    claim = await desk.open("r1", "evidence", channel="terminal")
    await desk.outbox.send_waiting()
    await desk.open("r2", "evidence", channel="terminal")
    await desk.tell(claim, "closed")
    desk.outbox = Outbox(
        store=desk.store,
        chat=slack_chat,
        clock=desk.clock,
        metrics=desk.metrics,
        interval=timedelta(0),
        moved={"terminal": "#c"}.get,
    )
    await desk.outbox.send_waiting()
    await desk.tell(claim, "later", parent="r1 closed")
    await desk.outbox.send_waiting()

    assert [["r2 fires", "evidence"], ["r1 closed", "closed", "later"]] == threads(slack.messages["c"])
    assert [] == await desk.waiting()


def bad(title: str) -> Message:
    return Message(Tone.BAD, title)


async def test_a_notice_is_a_message_of_its_own_that_is_edited(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """What concerns no run is told in the same channel, before the threads that wait."""
    desk.poster(slack_chat)
    await desk.open("r1")
    await desk.store.notify("#c", "rules", bad("the rules are wrong"), desk.clock.now())
    await desk.open("r2", "one")
    await desk.outbox.send_waiting()
    before = threads(slack.messages["c"])
    await desk.store.notify("#c", "rules", Message(Tone.GOOD, "the rules are fine"), desk.clock.now())
    await desk.store.notify("#c", "disk", bad("the disk is full"), desk.clock.now())
    await desk.outbox.send_waiting()

    assert [["the rules are wrong"], ["r1 fires"], ["r2 fires", "one"]] == before
    assert [["the rules are fine"], ["r1 fires"], ["r2 fires", "one"], ["the disk is full"]] == threads(
        slack.messages["c"]
    )
    assert [] == await desk.waiting()


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_notice_that_a_killed_process_was_sending_is_looked_for(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat, by_id: bool
) -> None:
    """It is told at most once as news, as the messages of runs are."""
    desk.poster(slack_chat)
    await desk.clock.advance(timedelta(minutes=1))
    channel = slack.channel_id("c") if by_id else "#c"
    await desk.store.notify(channel, "rules", bad("wrong"), desk.clock.now())
    slack.fail_next("chat.postMessage", land_then_reset=True)
    await desk.outbox.send_waiting()
    desk.poster(slack_chat)
    await desk.pass_time(15 * SECOND)

    shown = [text for thread in threads(slack.messages["c"]) for text in thread]
    assert (["wrong"] if by_id else ["wrong", f"wrong\n{REPEATED}"]) == shown
    assert [] == await desk.waiting()


async def test_a_notice_whose_message_was_deleted_is_sent_anew(desk: Desk) -> None:
    """It has no thread to be told in, so giving up its edit would hide the next trouble."""
    await desk.store.notify("#c", "rules", bad("wrong"), desk.clock.now())
    await desk.outbox.send_waiting()
    await desk.store.notify("#c", "rules", bad("wrong again"), desk.clock.now())

    def fail(called: str, _post: Outgoing) -> None:
        if called == "edit":
            raise Failed("message_not_found")

    desk.chat.before = fail
    await desk.pass_time(timedelta(minutes=10), step=5 * SECOND)

    mark = "note/#c/rules"
    assert [f"post {mark}", *[f"edit {mark}"] * 5, f"post {mark}"] == desk.chat.calls
    assert {f"ref-{mark}": "wrong again"} == desk.chat.shown
    assert [] == await desk.waiting()


async def test_a_notice_that_began_on_the_terminal_is_told_in_slack(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """Whoever sets up Slack meanwhile finds in it what was left to tell."""
    await desk.store.notify("terminal", "rules", bad("wrong"), desk.clock.now())
    desk.outbox = Outbox(
        store=desk.store,
        chat=slack_chat,
        clock=desk.clock,
        metrics=desk.metrics,
        interval=timedelta(0),
        moved={"terminal": "#c"}.get,
    )
    await desk.outbox.send_waiting()
    await desk.store.notify("#c", "rules", Message(Tone.GOOD, "fine"), desk.clock.now())
    await desk.outbox.send_waiting()

    assert [["fine"]] == threads(slack.messages["c"])
    assert [] == await desk.waiting()


async def test_a_notice_on_a_terminal_is_known_as_one(desk: Desk) -> None:
    """Messages of runs carry the end of their run's id there."""
    screen = io.StringIO()
    terminal = TerminalChat(screen)
    desk.poster(terminal)
    await desk.store.notify("terminal", "rules", bad("the rules are wrong"), desk.clock.now())
    await desk.outbox.send_waiting()
    await terminal.close()

    assert "x [note] the rules are wrong\n" == screen.getvalue()


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_jump_of_the_wall_clock_changes_nothing(desk: Desk, hours: int) -> None:
    """NTP or an operator may set the clock back; nobody is to wait an hour for the next message."""
    desk.poster(interval=SECOND)
    await desk.open("r1", "one")
    await desk.outbox.send_waiting()
    desk.clock.jump(timedelta(hours=hours))
    await desk.open("r2")
    await desk.pass_time(3 * SECOND)

    assert ["post r1/parent", "post r1/one", "post r2/parent"] == desk.chat.calls


async def test_what_waits_is_measured(desk: Desk) -> None:
    """An operator alerts on it."""

    def fail(_verb: str, _post: Outgoing) -> None:
        raise Failed("invalid_auth")

    desk.chat.before = fail
    await desk.open("r1", "one")
    await desk.pass_time(10 * SECOND)
    value = desk.metrics.registry.get_sample_value
    before = value("remediator_outbox_waiting"), value("remediator_outbox_age_seconds")
    desk.chat.before = lambda _verb, _post: None
    await desk.pass_time(10 * SECOND)

    assert (2, 10) == before
    assert (0, 0) == (value("remediator_outbox_waiting"), value("remediator_outbox_age_seconds"))
    assert 2 == value("remediator_posts_total", {"result": "sent"})
    assert desk.outbox.trouble is None


async def test_what_may_wait_is_measured_apart_and_sent_at_last(desk: Desk) -> None:
    """After a storm it takes hours, at chat's own pace: that is no alert, and what is new goes first."""
    desk.poster(interval=SECOND)
    for number in range(9):
        held = Post(PARENT, Message(Tone.WAITING, f"r{number} held"), is_minor=True)
        await desk.store.learn(await desk.open(f"r{number}"), Entry((), [held]))
    await desk.pass_time(3 * SECOND)
    value = desk.metrics.registry.get_sample_value
    names = ("remediator_outbox_waiting", "remediator_outbox_age_seconds", "remediator_outbox_minor")
    before = [value(name) for name in names]
    await desk.open("new", "one")
    await desk.pass_time(2 * SECOND)
    told = list(desk.chat.calls)
    await desk.pass_time(10 * SECOND)

    assert [0, 0] == before[:2]
    assert before[2] in {5, 6}
    assert ["post new/parent", "post new/one"] == [call for call in told if "new" in call] == told[-2:]
    assert [0, 0, 0] == [value(name) for name in names]
    assert 11 == len(desk.chat.calls)


async def test_a_store_on_disk_serves_the_poster_as_well(tmp_path: Path) -> None:
    """Its reads run beside its writes, so that a post could be seen as waiting that was just noted as sent."""
    clock = VirtualClock()
    store = WeakStore(tmp_path, clock=clock, metrics=Metrics())
    await store.open()
    await store.remember_rules({RULE: {"pack": "p"}})
    desk = Desk(store, clock)
    for number in range(20):
        await desk.open(f"r{number}", "one", "two")
    await desk.outbox.send_waiting()
    await store.close()

    assert 60 == len(desk.chat.calls) == len(set(desk.chat.calls))
