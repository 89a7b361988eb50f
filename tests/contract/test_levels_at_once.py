"""Very many problems escalate at once: few messages, and every problem in one of them, on every engine.

A real receiver hears them by HTTP, and what goes wrong is what goes wrong with receivers.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta

import pytest

from remediator.chat.webhook import WebhookChat
from remediator.model.message import Mention, Message, Tone
from remediator.pipeline.outbox import Outbox
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.contract.pager import PAGER, Pager, paging, poster

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
TEAM = Mention("usergroup", "S0TEAM")


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
async def chat(pager: Pager) -> AsyncIterator[WebhookChat]:
    async with paging(pager) as made:
        yield made


def message(run: str, event: str = "escalated") -> Message:
    data = (("event", event), ("level", "pager"), ("run", run), ("rule", "web/down"), ("summary", f"{run} is down"))
    return Message(Tone.FIRING, f"Escalated to pager: {run}", (), TEAM, data)


async def escalate(store: Store, clock: VirtualClock, runs: Iterable[str], event: str = "escalated") -> None:
    for run in runs:
        await store.notify(PAGER, f"escalation.{run}.1", message(run, event), clock.now())


async def wait(outbox: Outbox, clock: VirtualClock, for_: timedelta) -> None:
    """Let time pass, and post what can be posted."""
    end = clock.now() + for_
    while clock.now() < end:
        await clock.advance(SECOND)
        await outbox.send_waiting()


RUNS = [f"run{number:02}" for number in range(60)]


async def test_a_storm_is_told_in_as_many_messages_as_there_may_be(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat
) -> None:
    """The last of them lists all that wait: none is left out, and none is told twice."""
    outbox = poster(store, chat, clock)
    await escalate(store, clock, RUNS)
    await outbox.send_waiting()
    *first, several = pager.told
    notices = await store.read_notices([(PAGER, f"escalation.{run}.1") for run in RUNS])

    assert ["escalated"] * 4 == [body["event"] for body in first]
    assert ("several", "pager", "56", "56") == tuple(several[name] for name in ("event", "level", "count", "escalated"))
    assert Counter(RUNS) == Counter(pager.runs())
    assert {"run": "run04", "event": "escalated", "rule": "web/down", "summary": "run04 is down"}.items() <= several[
        "problems"
    ][0].items()
    assert "remediator escalation ack run04 run05 " in several["text"]
    assert "… and 36 more" in several["text"]
    assert 56 == sum(notice.ref is not None and notice.ref.startswith("in:escalations.") for notice in notices)
    assert 0 == (await store.outbox_state()).waiting


async def test_what_comes_later_waits_for_the_next_message(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat
) -> None:
    """In no minute there are more than the limit says, however long it lasts; few at once are told one by one."""
    outbox = poster(store, chat, clock)
    said = []
    for minute in range(5):
        await escalate(store, clock, (f"{minute}-{run}" for run in RUNS))
        await wait(outbox, clock, MINUTE)
        said.append(len(pager.calls))
    await wait(outbox, clock, 2 * MINUTE)
    before = len(pager.told)
    await escalate(store, clock, ["late", "later"])
    await wait(outbox, clock, SECOND)

    assert all(later - earlier <= 6 for earlier, later in zip([0, *said], said, strict=False))
    assert Counter([f"{minute}-{run}" for minute in range(5) for run in RUNS] + ["late", "later"]) == Counter(
        pager.runs()
    )
    assert ["escalated", "escalated"] == [body["event"] for body in pager.told[before:]]


async def test_other_messages_do_not_wait_for_a_storm_of_levels(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat
) -> None:
    """A channel may be that of the threads as well."""
    outbox = poster(store, chat, clock, limit=1)
    await escalate(store, clock, ["one"])
    await outbox.send_waiting()
    await escalate(store, clock, ["two"])
    await store.notify(PAGER, "storm", Message(Tone.BAD, "a storm"), clock.now())
    await outbox.send_waiting()
    texts = [body["text"] for body in pager.told]
    await wait(outbox, clock, MINUTE)

    assert ["Escalated to pager: one", "a storm"] == texts
    assert "Escalated to pager: two" == pager.told[-1]["text"]


@pytest.mark.parametrize("status", [410, 500, None], ids=["gone", "an error", "no answer"])
async def test_a_receiver_in_trouble_hears_all_of_it_once_it_is_well(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat, status: int | None
) -> None:
    """Nothing is lost, over a restart of the process that posts as well; and how it went is known meanwhile."""
    pager.status = status
    async with paging(pager, timeout="200ms") as hurried:
        outbox = poster(store, chat if status is not None else hurried, clock)
        await escalate(store, clock, RUNS)
        await wait(outbox, clock, 8 * SECOND)
    waits = [tries for one in await store.waiting_posts(100) if (tries := outbox.tries(one.seq)) is not None]
    called = len(pager.calls)
    outbox = poster(store, chat, clock)
    pager.status = 200
    await wait(outbox, clock, 15 * MINUTE)

    assert waits
    assert all(tries.count >= 1 and "s3cr3t-path" not in tries.error for tries in waits)
    assert ("answered" in waits[0].error) is (status is not None)
    assert called <= 20
    assert Counter(RUNS) == Counter(pager.runs())
    assert 0 == (await store.outbox_state()).waiting


async def test_that_it_is_told_together_outlives_the_process(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat
) -> None:
    """It dies while it posts the one message for all: the next one posts the same, and says that it may be a repeat."""
    outbox = poster(store, chat, clock, limit=1)
    await escalate(store, clock, RUNS)
    pager.status = 500
    await outbox.send_waiting()
    pager.status = 200
    await wait(poster(store, chat, clock, limit=1), clock, MINUTE)
    (several,) = pager.told

    assert pager.calls[0] == pager.calls[-1]
    assert (True, "60") == (several["repeated"], several["count"])


async def test_what_becomes_of_one_is_told_by_itself(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat
) -> None:
    """A pager that closes its pages hears of each that it is over."""
    outbox = poster(store, chat, clock)
    await escalate(store, clock, RUNS)
    await wait(outbox, clock, 2 * MINUTE)
    told = len(pager.told)
    await escalate(store, clock, [RUNS[0], RUNS[30]], "over")
    await wait(outbox, clock, SECOND)

    assert [("over", RUNS[0]), ("over", RUNS[30])] == [(body["event"], body["run"]) for body in pager.told[told:]]


async def test_a_message_that_may_have_landed_is_told_by_itself(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat
) -> None:
    """Else it would be told twice without a word about that."""
    await escalate(store, clock, RUNS[:3])
    (first, *_) = await store.waiting_levels(PAGER, 10)
    await store.note_attempt(first.seq)
    await wait(poster(store, chat, clock, limit=1), clock, 3 * MINUTE)

    assert [("several", False), ("escalated", True)] == [(body["event"], body["repeated"]) for body in pager.told]
    assert Counter(RUNS[:3]) == Counter(pager.runs())
