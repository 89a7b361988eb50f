"""Counting lines in a container's logs. Offered through `remediator.actions.docker`. It only reads.

The logs are read as a stream in a thread of the engine's; what is kept of them are numbers, a few lines, and a few
words that patterns have marked.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from remediator.actions.containers import INSPECT, LOGS, ContainerParams, engine_of, say_of, time_left
from remediator.actions.counting import Counted, CountingParams, LineCounter, compile_pattern
from remediator.clients.docker import Container
from remediator.model.duration import Duration
from remediator.plugins import ActionContext, Effect, action

_MOST_WORDS = 20
_WORD = re.compile(rb"[\x21-\x7e]{1,80}")
_ENDING = timedelta(seconds=1)  # so that the client's own limit is reached first, and says what to do
_LEAST = timedelta(seconds=1)
_STARTING = timedelta(seconds=2)
_DRAINING = timedelta(milliseconds=50)  # what the engine may take to note the last lines


class CountLogsParams(ContainerParams, CountingParams):
    """Which container, and what to count in its logs."""

    tail: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """How many lines to look at, counted from the end."""
    since: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    """Only lines that are no older than this."""
    since_start: bool = False
    """Only lines that were written since the container was started the last time; those of up to two seconds before
    may be among them where it has ended again."""


class LogsCounted(Counted):
    """How many lines each pattern was found in, and the words that the patterns have marked."""

    words: tuple[str, ...]
    """What the first group in parentheses of a pattern stood for: each word once, the newest last, at most 20. For
    what may be told of a line that must not be shown as a whole."""

    def brief(self) -> str:
        return super().brief() + (f" ({', '.join(self.words)})" if self.words else "")


class MarkedWords:
    """Collects what the first group of each pattern that has one stands for."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        compiled = (compile_pattern(pattern) for pattern in patterns.values())
        self._patterns = [pattern for pattern in compiled if pattern.groups]
        self._found: dict[str, None] = {}

    def feed(self, lines: Iterable[bytes]) -> None:
        """Look at more lines."""
        for line in lines:
            for pattern in self._patterns:
                hit = pattern.search(line)
                if hit is not None and hit[1] is not None and _WORD.fullmatch(hit[1]):
                    self._note(hit[1].decode("ascii"))

    def _note(self, word: str) -> None:
        self._found.pop(word, None)
        self._found[word] = None
        if len(self._found) > _MOST_WORDS:
            del self._found[next(iter(self._found))]

    @property
    def found(self) -> tuple[str, ...]:
        """The words, the newest last."""
        return tuple(self._found)


def _say(params: CountLogsParams) -> str:
    return say_of(f"count {', '.join(params.patterns)} in the last {params.tail:,} log lines of", params)


def _before_start(container: Container) -> datetime | None:
    """A time before the first line of the container's last start, and after what it had written before.

    The engine notes a start when it is done: the first lines are older than that, and even the end of a short life can
    be. While the container runs, the end before tells best; after that it is not known any more.
    """
    started, ended = container.started_at, container.finished_at
    if started is None:
        return None
    earliest = started - _STARTING
    if not container.running or ended is None or ended > started:
        return earliest
    return max(earliest, ended + _DRAINING)


@action(
    "docker.count_logs",
    effect=Effect.READ,
    system=engine_of,
    timeout=timedelta(seconds=60),
    say=_say,
    permissions=(INSPECT, LOGS),
)
async def count_logs(ctx: ActionContext, params: CountLogsParams) -> LogsCounted:
    """In how many of its last log lines a container wrote what matches patterns, with the newest of them."""
    engine = ctx.clients.docker(params.engine)
    found = await engine.inspect(params.container)
    counter, words = LineCounter(params.patterns, params.examples), MarkedWords(params.patterns)

    def feed(lines: list[bytes]) -> None:
        counter.feed(lines)
        words.feed(lines)

    starts = [_before_start(found)] if params.since_start else []
    starts += [ctx.clock.now() - params.since] if params.since is not None else []
    await engine.read_logs(
        found,
        feed,
        tail=params.tail,
        since=max(filter(None, starts), default=None),
        within=max(time_left(ctx) - _ENDING, _LEAST),
    )
    return LogsCounted(counts=counter.counts, examples=counter.examples, lines=counter.lines, words=words.found)
