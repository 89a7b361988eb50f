"""Prints the story to a terminal, where no Slack is configured. The outbox calls it through `Chat`.

A terminal may take nothing for hours (a pager, Ctrl-S, a pipe that nobody reads). So it is written in a thread of its
own: a message that takes too long is reported as not sent, nothing is queued behind it, and when it is tried again
after all it is not printed a second time.
"""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import TextIO, assert_never

from remediator.chat.chat import REPEATED, CannotTell, Found, Outgoing
from remediator.chat.text import clip, clip_middle, one_line, paragraph
from remediator.errors import Failed, Transient
from remediator.kit.printing import Printer
from remediator.model.message import Excerpt, Fields, Part, Text, Tone

_SYMBOLS = {
    Tone.FIRING: ("!", "31"),
    Tone.WORKING: ("*", "36"),
    Tone.WAITING: ("?", "33"),
    Tone.GOOD: ("+", "32"),
    Tone.BAD: ("x", "31"),
    Tone.NEUTRAL: ("-", "0"),
}  # a symbol that every terminal can show, and its colour
_TAG = 4  # characters of a run's id that tell it from its neighbours
_TITLE, _TEXT, _VALUE, _EXCERPT = 300, 4_000, 1_000, 6_000
_ROOM = 1_000_000  # characters; one message is far less, and only one waits
_PATIENCE = 5.0  # seconds that a terminal may take for one message
_LAST_PATIENCE = 2.0  # and when the process ends
_REMEMBERED = 10_000  # headlines


class TerminalChat:
    """The story as plain text. Several stories mix on one terminal, so each message names its thread."""

    name = "terminal"

    def __init__(self, stream: TextIO, *, patience: float = _PATIENCE) -> None:
        """`patience`: how many seconds the terminal may take for one message."""
        self._stream = stream
        self._patience = patience
        self._printer = Printer(stream, name="terminal", room=_ROOM)
        self._refs = count(1)
        self._printed: dict[str, str] = {}  # the newest headline of each message, by its mark
        self._unsettled: dict[str, asyncio.Future[Exception | None]] = {}  # printing, or printed and not reported so

    async def post(self, post: Outgoing) -> str:
        """See Chat. Raises Failed where the terminal is gone."""
        if await self._landed_late(post.mark):
            await self._print_news(post)
            return str(next(self._refs))
        indent = "" if post.thread is None else "  "
        lines = [f"{indent}{self._headline(post)}"]
        if post.repeated:
            lines.append(f"{indent}    ({REPEATED})")
        lines += (f"{indent}    {line}".rstrip() for part in post.message.parts for line in _lines(part))
        await self._print(post, lines)
        return str(next(self._refs))

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat. What is printed stays, so the news gets a line of its own, if the headline tells any."""
        del ref
        await self._landed_late(post.mark)
        await self._print_news(post)

    async def find(self, post: Outgoing) -> Found:
        """See Chat."""
        return CannotTell(f"what was printed on a terminal cannot be read again ({post.mark})")

    async def check(self) -> None:
        """See Chat. Raises Failed where the terminal is closed."""
        if self._stream.closed:
            raise Failed("the terminal is closed; set slack.token to tell the story in Slack")

    async def close(self) -> None:
        """See Chat. The stream is not ours to close; what is being printed gets a last moment."""
        if printing := [writing for writing in self._unsettled.values() if not writing.done()]:
            await asyncio.wait(printing, timeout=min(_LAST_PATIENCE, self._patience))

    def _headline(self, post: Outgoing, *, said: str = "") -> str:
        """The title, with the end of the run's id: the same after a restart."""
        symbol, colour = _SYMBOLS[post.message.tone]
        if not self._stream.closed and self._stream.isatty():
            symbol = f"\x1b[{colour}m{symbol}\x1b[0m"
        title = clip(one_line(post.message.title), _TITLE) or "(no title)"
        run = post.mark.partition("/")[0][-_TAG:]
        return f"{symbol} [{one_line(run)}] {said}{title}"

    async def _print_news(self, post: Outgoing) -> None:
        if self._printed.get(post.mark) != self._headline(post):
            indent = "" if post.thread is None else "  "
            await self._print(post, [f"{indent}{self._headline(post, said='… now: ')}"])

    async def _print(self, post: Outgoing, lines: list[str]) -> None:
        """Print the lines. Raises Transient where that takes too long, Failed where it cannot be done."""
        self._begin(post.mark, "".join(f"{line}\n" for line in lines))
        self._remember(post)
        writing = self._unsettled[post.mark]
        await asyncio.wait([writing], timeout=self._patience)  # to cancel this does not cancel the writing
        if not writing.done():
            raise self._stuck()
        del self._unsettled[post.mark]
        if (error := writing.result()) is not None:
            self._printed.pop(post.mark, None)
            raise Failed(f"the story cannot be printed: {error}; set slack.token to use Slack") from error

    def _begin(self, mark: str, text: str) -> None:
        loop = asyncio.get_running_loop()
        writing: asyncio.Future[Exception | None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if not writing.done():
                writing.set_result(error)

        def written(error: Exception | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error)

        if not self._printer.offer(text, written):
            raise self._stuck()
        self._unsettled[mark] = writing

    async def _landed_late(self, mark: str) -> bool:
        """Whether an earlier try to print this, which was reported as not sent, has been printed since.

        Raises Transient where anything still waits to be printed: what is queued behind it would be printed twice.
        """
        if printing := [writing for writing in self._unsettled.values() if not writing.done()]:
            _, still = await asyncio.wait(printing, timeout=self._patience)
            if still:
                raise self._stuck()
        earlier = self._unsettled.pop(mark, None)
        if earlier is None:
            return False
        if earlier.result() is not None:
            self._printed.pop(mark, None)
        return earlier.result() is None

    def _remember(self, post: Outgoing) -> None:
        self._printed[post.mark] = self._headline(post)
        while len(self._printed) > _REMEMBERED:
            del self._printed[next(iter(self._printed))]

    def _stuck(self) -> Transient:
        return Transient(
            f"the terminal took nothing for {self._patience:g} s; let it go on (a pager, Ctrl-S or a pipe that nobody "
            "reads holds it up), or set slack.token to use Slack"
        )


def _lines(part: Part) -> Iterator[str]:
    match part:
        case Text():
            yield from clip(paragraph(part.text), _TEXT).split("\n")
        case Fields():
            pairs = [(one_line(name), clip(one_line(value), _VALUE)) for name, value in part.pairs]
            width = min(max((len(name) for name, _ in pairs), default=0), 24)
            yield from (f"{name:<{width}}  {value}" for name, value in pairs)
        case Excerpt():
            yield f"{one_line(part.title)}:"
            text = clip_middle(paragraph(part.text), _EXCERPT) or "(empty)"
            yield from (f"| {line}" for line in text.split("\n"))
        case other:
            assert_never(other)
