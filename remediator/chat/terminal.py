"""Prints the story to a terminal, where no Slack is configured. The outbox calls it through `Chat`."""

from collections.abc import Iterator
from itertools import count
from typing import TextIO, assert_never

from remediator.chat.chat import REPEATED, CannotTell, Found, Outgoing
from remediator.chat.text import clip, clip_middle, one_line, paragraph
from remediator.errors import Failed
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


class TerminalChat:
    """The story as plain text. Several stories mix on one terminal, so each message names its thread."""

    name = "terminal"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._refs = count(1)
        self._printed: dict[str, str] = {}  # the newest headline of each thread's parent

    async def post(self, post: Outgoing) -> str:
        """See Chat. Raises Failed where the terminal is gone."""
        ref = str(next(self._refs))
        indent = "" if post.thread is None else "  "
        headline = self._headline(post)
        self._print(f"{indent}{headline}")
        if post.thread is None:
            self._printed[post.mark] = headline
        if post.repeated:
            self._print(f"{indent}    ({REPEATED})")
        for part in post.message.parts:
            for line in _lines(part):
                self._print(f"{indent}    {line}".rstrip())
        return ref

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat. What is printed stays, so the news gets a line of its own, if the headline tells any."""
        del ref
        indent = "" if post.thread is None else "  "
        if self._printed.get(post.mark) != self._headline(post):
            self._printed[post.mark] = self._headline(post)
            self._print(f"{indent}{self._headline(post, said='… now: ')}")

    async def find(self, post: Outgoing) -> Found:
        """See Chat."""
        return CannotTell(f"what was printed on a terminal cannot be read again ({post.mark})")

    async def check(self) -> None:
        """See Chat. Raises Failed where the terminal is closed."""
        if self._stream.closed:
            raise Failed("the terminal is closed; set slack.token to tell the story in Slack")

    async def close(self) -> None:
        """See Chat. The stream is not ours to close."""

    def _headline(self, post: Outgoing, *, said: str = "") -> str:
        """The title, with the end of the run's id: the same after a restart."""
        symbol, colour = _SYMBOLS[post.message.tone]
        if not self._stream.closed and self._stream.isatty():
            symbol = f"\x1b[{colour}m{symbol}\x1b[0m"
        title = clip(one_line(post.message.title), _TITLE) or "(no title)"
        run = post.mark.partition("/")[0][-_TAG:]
        return f"{symbol} [{one_line(run)}] {said}{title}"

    def _print(self, line: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise Failed(f"the story cannot be printed: {error}; set slack.token to use Slack") from error


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
