"""What is queued to be told waits, goes and comes again in the same order in every store."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from remediator.model.message import PARENT, Message, Post, Tone
from remediator.storage.outbox import OutboxState
from remediator.storage.runs import Entry
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.contract.opening import T0, open_run


async def test_a_message_waits_until_its_newest_version_is_sent(store: Store) -> None:
    """The opening message is edited while an earlier version is on its way."""
    claim = await open_run(store)
    (first,) = await store.waiting_posts(10)
    await store.learn(claim, Entry((), [Post("parent", Message(Tone.GOOD, "healed"))]))
    await store.note_sent(first.seq, first.version, "C1:1.0")
    (second,) = await store.waiting_posts(10)
    await store.note_sent(second.seq, second.version, "C1:1.0")

    assert (1, 2, "healed", "C1:1.0") == (first.version, second.version, second.message.title, second.ref)
    assert () == await store.waiting_posts(10)


async def test_the_same_message_again_is_not_sent_again(store: Store) -> None:
    """Facts that change nothing for the reader cost no edit."""
    claim = await open_run(store)
    (first,) = await store.waiting_posts(10)
    await store.note_sent(first.seq, first.version, "C1:1.0")
    await store.learn(claim, Entry((), [Post("parent", Message(Tone.FIRING, "first of r1"))]))

    assert () == await store.waiting_posts(10)


async def test_replies_know_their_thread_once_it_stands(store: Store) -> None:
    """A reply before its parent would open a thread of its own."""
    claim = await open_run(store)
    await store.learn(claim, Entry((), [Post("evidence", Message(Tone.NEUTRAL, "found"))]))
    before = await store.waiting_posts(10)
    await store.note_sent(before[0].seq, 1, "C1:1.0")
    after = await store.waiting_posts(10)

    assert [("parent", None), ("evidence", None)] == [(p.key, p.thread) for p in before]
    assert [("evidence", "C1:1.0")] == [(p.key, p.thread) for p in after]


async def next_post(
    store: Store, *, resting: Sequence[int] = (), busy: Sequence[str] = (), passed: Sequence[int] = ()
) -> str | None:
    post = await store.next_post(resting=resting, busy=busy, passed=passed)
    return None if post is None else f"{post.run}/{post.key}"


async def test_the_next_post_is_the_oldest_that_may_be_sent(store: Store) -> None:
    """What is stuck at the head must not hide what stands behind it, and a thread keeps its order."""
    claim = await open_run(store, "r1")
    await store.learn(claim, Entry((), [Post(key, Message(Tone.NEUTRAL, key)) for key in ("a", "b")]))
    await open_run(store, "r2")
    first, a, b, second = [post.seq for post in await store.waiting_posts(10)]

    assert "r1/parent" == await next_post(store)
    assert "r2/parent" == await next_post(store, resting=[first])
    assert await next_post(store, resting=[first, second]) is None
    assert await next_post(store, busy=["#c"]) is None

    await store.note_sent(first, 1, "C1:1.0")

    assert "r1/a" == await next_post(store)
    assert "r2/parent" == await next_post(store, resting=[a])
    assert "r1/b" == await next_post(store, resting=[a], passed=[a])

    await store.note_sent(a, 1, "C1:2.0")

    assert "r1/b" == await next_post(store)
    assert "r2/parent" == await next_post(store, resting=[b])


async def test_an_attempt_and_a_place_found_are_remembered(store: Store) -> None:
    """A process that dies while it sends leaves the next one what it needs to look for the message."""
    await open_run(store)
    (before,) = await store.waiting_posts(10)
    await store.note_attempt(before.seq)
    (after,) = await store.waiting_posts(10)
    await store.note_sent(before.seq, 0, "C1:1.0")
    (found,) = await store.waiting_posts(10)

    assert (False, True) == (before.attempted, after.attempted)
    assert (None, "C1:1.0") == (after.ref, found.ref)


async def test_a_notice_waits_like_any_message_and_belongs_to_no_run(store: Store) -> None:
    """What concerns no alert has to reach people as surely."""
    await store.notify("#c", "rules", Message(Tone.BAD, "the rules are wrong"), T0)
    await open_run(store)
    (first, _) = await store.waiting_posts(10)

    assert (None, "#c", "the rules are wrong", 1) == (first.run, first.channel, first.message.title, first.version)
    assert OutboxState(2, T0) == await store.outbox_state()
    assert "None/rules" == await next_post(store)
    assert "r1/parent" == await next_post(store, resting=[first.seq])
    assert await next_post(store, busy=["#c"]) is None


async def test_notices_go_before_all_threads_the_oldest_first(store: Store) -> None:
    """In a storm thousands of threads wait; the one message that asks a person to look must not wait behind them."""
    await open_run(store, "r1")
    await open_run(store, "r2")
    for key in ("storm", "rules"):
        await store.notify("#c", key, Message(Tone.WAITING, key), T0)
    *_, told, other = [post.seq for post in await store.waiting_posts(10)]

    assert "None/storm" == await next_post(store)
    assert "None/rules" == await next_post(store, resting=[told])
    assert "r1/parent" == await next_post(store, resting=[told, other])

    for seq in (told, other):
        await store.note_sent(seq, 1, f"C1:{seq}")
    before = await next_post(store)
    await store.notify("#c", "storm", Message(Tone.GOOD, "it is over"), T0)

    assert ("r1/parent", "None/storm") == (before, await next_post(store))


def parent(title: str, *, is_minor: bool = False) -> Post:
    return Post(PARENT, Message(Tone.WAITING, title), is_minor)


async def test_what_is_minor_goes_last_and_does_not_count_as_waiting(store: Store) -> None:
    """In a storm there are thousands of these: nobody waits for them, and they must keep nothing else waiting."""
    for run in ("r1", "r2"):
        await store.learn(await open_run(store, run), Entry((), [parent("held", is_minor=True)]))
    await store.notify("#c", "storm", Message(Tone.WAITING, "storm"), T0)
    await open_run(store, "r3")
    order, state = [], await store.outbox_state()
    waiting = {f"{post.run}/{post.key}": post.seq for post in await store.waiting_posts(10)}
    while (key := await next_post(store)) is not None:
        order.append(key)
        await store.note_sent(waiting[key], 2, f"C1:{key}")

    assert ["None/storm", "r3/parent", "r1/parent", "r2/parent"] == order
    assert OutboxState(2, T0, 2) == state
    assert OutboxState(0, None) == await store.outbox_state()


async def test_what_is_minor_no_more_counts_from_then_on(store: Store, clock: VirtualClock) -> None:
    """It may have waited for hours before; that says nothing against chat. Its words may be the same."""
    claims = [await open_run(store, run) for run in ("r1", "r2")]
    for claim in claims:
        await store.learn(claim, Entry((), [parent("held", is_minor=True)]))
    before = await store.outbox_state()
    clock.jump(timedelta(hours=1))
    for claim, title in zip(claims, ("held", "acting"), strict=True):
        await store.learn(claim, Entry((), [parent(title)]))
    posts = await store.waiting_posts(10)

    assert OutboxState(0, None, 2) == before
    assert OutboxState(2, T0 + timedelta(hours=1)) == await store.outbox_state()
    assert [("held", 2), ("acting", 3)] == [(post.message.title, post.version) for post in posts]


async def test_a_rank_alone_sends_nothing_again(store: Store) -> None:
    """People see no difference."""
    claim = await open_run(store)
    await store.learn(claim, Entry((), [parent("held", is_minor=True)]))
    (post,) = await store.waiting_posts(10)
    await store.note_sent(post.seq, post.version, "C1:1.0")
    await store.learn(claim, Entry((), [parent("held")]))

    assert () == await store.waiting_posts(10)


async def test_what_may_have_landed_is_looked_for_since_it_was_queued_first(store: Store, clock: VirtualClock) -> None:
    """It stands where it was sent then."""
    claim = await open_run(store)
    await store.learn(claim, Entry((), [parent("held", is_minor=True)]))
    (post,) = await store.waiting_posts(10)
    await store.note_attempt(post.seq)
    clock.jump(timedelta(hours=1))
    await store.learn(claim, Entry((), [parent("acting")]))
    (post,) = await store.waiting_posts(10)

    assert T0 == post.queued_at


async def test_no_thread_is_minor_while_people_wait_for_something_in_it(store: Store) -> None:
    """A reply cannot be sent before the message that it replies to."""
    claim, other = [await open_run(store, run) for run in ("r1", "r2")]
    await store.learn(claim, Entry((), [parent("gathered"), Post("examined.1", Message(Tone.NEUTRAL, "evidence"))]))
    await store.learn(claim, Entry((), [parent("held", is_minor=True)]))
    minor = Post("ended.1", Message(Tone.NEUTRAL, "expired"), is_minor=True)
    await store.learn(other, Entry((), [parent("expired", is_minor=True), minor]))
    reply = Post("escalated.1", Message(Tone.FIRING, "escalated"))
    before = await store.outbox_state()
    await store.learn(other, Entry((), [parent("expired"), reply]))
    after = await store.outbox_state()
    seqs = {f"{post.run}/{post.key}": post.seq for post in await store.waiting_posts(10)}
    for key in ("r1/parent", "r2/parent", "r1/examined.1"):
        await store.note_sent(seqs[key], 9, "C1:1.0")

    assert (2, 2) == (before.waiting, before.minor)
    assert (4, 1) == (after.waiting, after.minor)
    assert "r2/escalated.1" == await next_post(store)
    assert "r2/ended.1" == await next_post(store, resting=[seqs["r2/escalated.1"]])


async def test_a_notice_with_the_same_key_is_edited_and_with_another_key_or_channel_is_new(store: Store) -> None:
    """The same trouble again is no news; another one is."""
    await store.notify("#c", "rules", Message(Tone.BAD, "wrong"), T0)
    (first,) = await store.waiting_posts(10)
    await store.note_sent(first.seq, first.version, "C1:1.0")
    await store.notify("#c", "rules", Message(Tone.BAD, "wrong"), T0)
    same = await store.waiting_posts(10)
    await store.notify("#c", "rules", Message(Tone.GOOD, "fine again"), T0 + timedelta(hours=1))
    await store.notify("#c", "disk", Message(Tone.BAD, "full"), T0)
    await store.notify("#d", "rules", Message(Tone.BAD, "wrong"), T0)
    edited, *others = await store.waiting_posts(10)

    assert () == same
    assert (first.seq, 2, "fine again", "C1:1.0") == (edited.seq, edited.version, edited.message.title, edited.ref)
    assert T0 + timedelta(hours=1) == edited.queued_at
    assert [("#c", "disk", None), ("#d", "rules", None)] == [(p.channel, p.key, p.ref) for p in others]


@pytest.mark.parametrize(
    ("queued", "waiting"),
    [(0, []), (1, [("#c", "old")]), (3, [("#c", "old")])],
    ids=["newer-there", "same-age", "older-there"],
)
async def test_a_notice_that_is_moved_joins_the_one_that_is_there_already(
    store: Store, queued: int, waiting: list[tuple[str, str]]
) -> None:
    """The same notice twice in one channel would contradict itself; the last word counts."""
    await store.notify("#c", "rules", Message(Tone.BAD, "new"), T0 + timedelta(hours=1))
    (there,) = await store.waiting_posts(10)
    await store.note_sent(there.seq, there.version, "C1:1.0")
    await store.notify("terminal", "rules", Message(Tone.BAD, "old"), T0 + timedelta(hours=queued))
    (moving,) = await store.waiting_posts(10)
    await store.move_thread(moving.seq, "#c")

    assert waiting == [(p.channel, p.message.title) for p in await store.waiting_posts(10)]
    assert all("C1:1.0" == p.ref for p in await store.waiting_posts(10))


async def test_a_notice_that_is_moved_is_sent_anew(store: Store) -> None:
    """Where it stood nobody looks any more."""
    await store.notify("terminal", "rules", Message(Tone.BAD, "wrong"), T0)
    (first,) = await store.waiting_posts(10)
    await store.note_attempt(first.seq)
    await store.note_sent(first.seq, first.version, "7")
    await store.move_thread(first.seq, "#c")
    (moved,) = await store.waiting_posts(10)

    assert ("#c", None, False) == (moved.channel, moved.ref, moved.attempted)


async def test_whether_a_notice_was_ever_queued_is_known(store: Store) -> None:
    """Whoever tells of a trouble has to know after a restart whether it was told."""
    claim = await open_run(store)
    await store.learn(claim, Entry(posts=[Post("disk", Message(Tone.BAD, "a reply of a run"))]))
    await store.notify("#c", "rules", Message(Tone.BAD, "wrong"), T0)
    (notice,) = (post for post in await store.waiting_posts(10) if post.run is None)
    await store.note_sent(notice.seq, notice.version, "C1:1.0")
    asked = [("#c", "rules"), ("#d", "rules"), ("#c", "disk")]

    assert [True, False, False] == [await store.has_notice(channel, key) for channel, key in asked]
