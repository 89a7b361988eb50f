"""The story on a terminal."""

import io
from datetime import UTC, datetime

import pytest

from remediator.chat.chat import REPEATED, CannotTell, Outgoing
from remediator.chat.terminal import TerminalChat
from remediator.errors import Failed
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
