"""The story on a terminal."""

import asyncio
import io
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

import pytest

from remediator.chat.chat import REPEATED, CannotTell, Outgoing
from remediator.chat.terminal import TerminalChat
from remediator.errors import Failed, Transient
from remediator.model.message import Excerpt, Fields, Message, Text, Tone

AT = datetime(2026, 1, 2, tzinfo=UTC)


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def outgoing(message: Message, *, thread: str | None = None, repeated: bool = False, run: str = "dc18k3a1") -> Outgoing:
    key = "parent" if thread is None else "evidence"
    return Outgoing("#alerts", message, thread, f"{run}/{key}", AT, repeated)


async def test_a_story_is_printed_readably() -> None:
    """Who tries the product without Slack sees the same story."""
    stream = io.StringIO()
    chat = TerminalChat(stream)

    parent = await chat.post(
        outgoing(
            Message(
                Tone.FIRING,
                "web does not answer",
                (
                    Fields((("Alert", "ServiceDown"), ("Service", "web"))),
                    Text("one\ntwo"),
                    Excerpt("logs", "a\nb"),
                ),
            )
        )
    )
    await chat.post(outgoing(Message(Tone.WORKING, "restarting web"), thread=parent))
    await chat.edit(outgoing(Message(Tone.GOOD, "healed")), parent)

    assert [
        "! [k3a1] web does not answer",
        "    Alert    ServiceDown",
        "    Service  web",
        "    one",
        "    two",
        "    logs:",
        "    | a",
        "    | b",
        "  * [k3a1] restarting web",
        "+ [k3a1] … now: healed",
    ] == stream.getvalue().splitlines()


async def test_an_edit_without_news_prints_nothing() -> None:
    """The same line again would look like something new."""
    stream = io.StringIO()
    chat = TerminalChat(stream)

    parent = await chat.post(outgoing(Message(Tone.GOOD, "web: healed")))
    await chat.edit(outgoing(Message(Tone.GOOD, "web: healed", (Text("more"),))), parent)

    assert ["+ [k3a1] web: healed"] == stream.getvalue().splitlines()


async def test_two_stories_can_be_told_apart() -> None:
    """They mix on one terminal."""
    stream = io.StringIO()
    chat = TerminalChat(stream)

    refs = [await chat.post(outgoing(Message(Tone.FIRING, name), run=f"run-{name}")) for name in ("a", "b")]
    await chat.post(outgoing(Message(Tone.GOOD, "healed"), thread=refs[1], run="run-b"))

    assert ["! [un-a] a", "! [un-b] b", "  + [un-b] healed"] == stream.getvalue().splitlines()


async def test_no_label_commands_the_terminal() -> None:
    """An escape sequence could clear the screen, or show a command that nobody wrote."""
    stream = io.StringIO()
    evil = "\x1b[2J\x1b]0;t\x07\x9b1m\x08\x7f\u202e\n! [9] forged"

    await TerminalChat(stream).post(
        outgoing(Message(Tone.FIRING, evil, (Fields(((evil, evil),)), Text(evil), Excerpt(evil, evil))))
    )

    printed = stream.getvalue()
    assert not set(printed) & set("\x1b\x9b\x07\x08\x7f\u202e")
    assert ["! [k3a1]"] == [line[:8] for line in printed.splitlines() if line.startswith("!")]


async def test_only_a_terminal_gets_colours() -> None:
    """A file of escape sequences is of no use."""
    screen = Screen()

    await TerminalChat(screen).post(outgoing(Message(Tone.BAD, "down")))

    assert "\x1b[31mx\x1b[0m [k3a1] down\n" == screen.getvalue()


async def test_an_old_terminal_is_no_reason_to_fail() -> None:
    """What it cannot show is shown as question marks."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")

    await TerminalChat(stream).post(outgoing(Message(Tone.BAD, "café")))

    assert b"x [k3a1] caf?\n" == raw.getvalue()


async def test_a_possible_repeat_is_said() -> None:
    """People must not take one event for two."""
    stream = io.StringIO()

    await TerminalChat(stream).post(outgoing(Message(Tone.BAD, "down"), repeated=True))

    assert REPEATED in stream.getvalue()


async def test_nothing_is_found_again() -> None:
    """A terminal cannot be read."""
    assert isinstance(await TerminalChat(io.StringIO()).find(outgoing(Message(Tone.BAD, "x"))), CannotTell)


async def test_a_closed_terminal_is_a_failure_with_advice() -> None:
    """The reader is told which setting gives a better place."""
    stream = io.StringIO()
    chat = TerminalChat(stream)
    await chat.check()
    await chat.close()
    stream.close()

    with pytest.raises(Failed, match=r"slack\.token"):
        await chat.check()
    with pytest.raises(Failed, match=r"slack\.token"):
        await chat.post(outgoing(Message(Tone.BAD, "down")))


@dataclass
class Pager:
    """A pipe to a reader that reads only when asked to; it is full from the start."""

    stream: TextIO
    reading: int
    filled: int

    def read_on(self) -> None:
        """Make room, for what was in the way."""
        while self.filled:
            self.filled -= len(os.read(self.reading, min(self.filled, 65536)))

    async def printed(self) -> str:
        return (await asyncio.to_thread(os.read, self.reading, 65536)).decode()


@pytest.fixture
def pager() -> Iterator[Pager]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filled = 0
    with suppress(BlockingIOError):
        while True:
            filled += os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    stream = os.fdopen(writing, "w", encoding="utf-8")
    yield Pager(stream, reading, filled)
    os.close(reading)
    with suppress(BrokenPipeError):
        stream.close()


async def test_a_terminal_that_takes_nothing_stops_nobody(pager: Pager) -> None:
    """Ctrl-S, or a pager that waits: the service goes on, and each message is printed once when it is read again."""
    chat = TerminalChat(pager.stream, patience=0.05)
    first, second = (outgoing(Message(Tone.FIRING, name), run=name) for name in ("down", "late"))

    for post in (first, first, second):
        with pytest.raises(Transient, match=r"slack\.token"):
            await chat.post(post)
    pager.read_on()
    printed = await pager.printed()
    await chat.post(second)
    ref = await chat.post(first)
    await chat.edit(outgoing(Message(Tone.GOOD, "healed"), run="down"), ref)
    await chat.close()

    assert "! [down] down\n" == printed
    assert "! [late] late\n+ [down] … now: healed\n" == await pager.printed()


async def test_news_of_a_message_that_was_late_is_told(pager: Pager) -> None:
    """It was printed as it was then; what it says now is printed too, once."""
    chat = TerminalChat(pager.stream, patience=0.05)
    with pytest.raises(Transient):
        await chat.post(outgoing(Message(Tone.FIRING, "down")))
    pager.read_on()
    await pager.printed()

    ref = await chat.post(outgoing(Message(Tone.GOOD, "healed")))
    await chat.edit(outgoing(Message(Tone.GOOD, "healed")), ref)
    await chat.close()

    assert "+ [k3a1] … now: healed\n" == await pager.printed()


async def test_an_edit_that_was_late_is_printed_once(pager: Pager) -> None:
    """The outbox tries it again, as it was told that it was not sent."""
    chat = TerminalChat(pager.stream, patience=0.05)
    with pytest.raises(Transient):
        await chat.edit(outgoing(Message(Tone.GOOD, "healed")), "1")
    pager.read_on()
    printed = await pager.printed()

    await chat.edit(outgoing(Message(Tone.GOOD, "healed")), "1")
    await chat.edit(outgoing(Message(Tone.BAD, "down")), "1")

    assert "+ [k3a1] … now: healed\n" == printed
    assert "x [k3a1] … now: down\n" == await pager.printed()
