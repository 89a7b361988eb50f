"""A storm of questions for one place: so many messages as there may be, the last of which tells all the others."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from remediator.chat.chat import CannotTell, Chat, Outgoing
from remediator.chat.routed import SparedChat
from remediator.chat.webhook import body_of
from remediator.errors import Failed
from remediator.kit.metrics import Metrics
from remediator.model.budget import Budget
from remediator.model.message import Message, Tone
from remediator.pipeline.outbox import Outbox
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

BOARD, MAIL = "notify:board", "notify:mail"
RUNS = [f"run{number:02}" for number in range(30)]


class Board:
    """A chat that notes what it is told, and where."""

    name = "board"

    def __init__(self) -> None:
        self.told: list[Outgoing] = []

    async def post(self, post: Outgoing) -> str:
        self.told.append(post)
        return "there"

    async def edit(self, post: Outgoing, ref: str) -> None:
        self.told.append(post)

    async def find(self, post: Outgoing) -> CannotTell:
        return CannotTell(post.mark)

    async def check(self) -> None:
        """Fine."""

    async def close(self) -> None:
        """Nothing to close."""

    def of(self, channel: str) -> list[Outgoing]:
        return [post for post in self.told if post.channel == channel]


def poster(store: Store, board: Board, clock: VirtualClock, *, chat: Chat | None = None, **more: Any) -> Outbox:
    return Outbox(
        store=store,
        chat=chat or board,
        clock=clock,
        metrics=Metrics(),
        interval=timedelta(0),
        limits={BOARD: Budget(3, timedelta(minutes=1)), MAIL: Budget(3, timedelta(minutes=1))},
        **more,
    )


async def tell(store: Store, clock: VirtualClock, channel: str, runs: Sequence[str], event: str = "asked") -> None:
    for run in runs:
        data = (("event", event), ("run", run), ("summary", f"{run} is down"))
        message = Message(Tone.WAITING, f"{run} waits", (), data=data)
        await store.notify(channel, f"news.{run}.{event}.1", message, clock.now())


async def test_what_is_too_much_for_a_place_is_told_together(store: Store, clock: VirtualClock) -> None:
    """A mailbox is not flooded, nothing is left out, and what waits for a person stands first."""
    board = Board()
    await tell(store, clock, BOARD, RUNS[:20], "ended")
    await tell(store, clock, BOARD, RUNS[20:])
    await tell(store, clock, MAIL, RUNS[:2])
    await poster(store, board, clock).send_waiting()
    *single, several = board.of(BOARD)
    body = body_of(several)
    again = poster(store, board, clock)
    await again.send_waiting()

    assert RUNS[:2] == [dict(post.message.data)["run"] for post in single]
    assert ("several", "28", "10", "18") == tuple(body[name] for name in ("event", "count", "asked", "ended"))
    assert [*RUNS[20:], *RUNS[2:20]] == [one["run"] for one in body["problems"]]
    assert "remediator approve run20\n" in body["text"]
    assert "… and 8 more" in body["text"]
    assert RUNS[:2] == [dict(post.message.data)["run"] for post in board.of(MAIL)]
    assert (5, 0) == (len(board.told), (await store.outbox_state()).waiting)


class Away(Board):
    """A board that takes nothing until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.is_back = False

    async def post(self, post: Outgoing) -> str:
        if not self.is_back:
            raise Failed("it is away")
        return await super().post(post)


async def test_what_comes_while_a_place_is_away_is_told_together_later(store: Store, clock: VirtualClock) -> None:
    """What was tried meanwhile is told by itself, whatever the limit, as it was counted then: so nearly nothing is."""
    board = Away()
    spared = SparedChat(board, clock)
    outbox = poster(store, board, clock, chat=spared, rests=lambda _channel: spared.rests)
    for number in range(150):
        await tell(store, clock, BOARD, [f"run{number:03}"], "ended")
        await outbox.send_waiting()
        await clock.advance(timedelta(seconds=1))
    tried = [post.key for post in await store.waiting_posts(1000) if post.attempted]
    board.is_back = True
    for _ in range(600):
        await outbox.send_waiting()
        await clock.advance(timedelta(seconds=1))
    told = [one["run"] for post in board.told for one in body_of(post).get("problems", [dict(post.message.data)])]

    assert ["news.run000.ended.1"] == tried
    assert (0, 150) == ((await store.outbox_state()).waiting, len(set(told)))


async def test_what_comes_later_waits_for_the_next_message(store: Store, clock: VirtualClock) -> None:
    """In no minute there are more than the limit says."""
    board = Board()
    outbox = poster(store, board, clock)
    await tell(store, clock, BOARD, RUNS[:5])
    await outbox.send_waiting()
    await tell(store, clock, BOARD, RUNS[5:8])
    await outbox.send_waiting()
    at_once = len(board.told)
    await clock.advance(timedelta(minutes=1))
    await outbox.send_waiting()

    assert (3, 6) == (at_once, len(board.told))
    assert ["run05", "run06", "run07"] == [dict(post.message.data)["run"] for post in board.told[3:]]
