"""Counting lines by named patterns, with the newest examples of each. Used by the actions that look through logs.

The patterns are RE2's, so that none can be made slow; the lines may be anybody's. Matching takes processor time: feed
many lines in a thread, never on the event loop.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import re2
from pydantic import AfterValidator, Field

from remediator.kit.redaction import Redactor, shorten
from remediator.plugins import Params, Result

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MOST_PATTERNS = 20
_LONGEST_PATTERN = 1000
_LONGEST_EXAMPLE = 300
_LONGEST_LINE = 64 * 1024  # bytes of a line that are looked at
_LOOKED_AT = 4096  # characters of an example, for secrets
_NOTE = len("… (65536 more)")
_REDACTOR = Redactor()
_CUT_WORD = re.compile(r"[^\s,;&\"']+\Z")


def compile_pattern(pattern: str) -> Any:
    """The compiled pattern, which searches in bytes. Raises ValueError with what is wrong with it."""
    if not pattern or len(pattern) > _LONGEST_PATTERN:
        raise ValueError(f"a pattern has 1 to {_LONGEST_PATTERN} characters, and this one has {len(pattern)}")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise ValueError("the pattern has half a character in it; write it in UTF-8") from None
    except re2.error as error:
        said = error.args[0] if error.args else error
        why = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"the regular expression {shorten(pattern, 80)!r} cannot be read (RE2): {why}") from None


def _readable(pattern: str) -> str:
    compile_pattern(pattern)
    return pattern


def _named(patterns: dict[str, str]) -> dict[str, str]:
    if not 1 <= len(patterns) <= _MOST_PATTERNS:
        raise ValueError(f"give 1 to {_MOST_PATTERNS} patterns, each by a name of its own")
    for name in patterns:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{shorten(name, 80)!r} cannot name a pattern; use a-z, 0-9 and _, and begin with a letter, so that "
                "conditions can say `counts.<name>`"
            )
    return patterns


class CountingParams(Params):
    """What to count."""

    patterns: Annotated[dict[str, Annotated[str, AfterValidator(_readable)]], AfterValidator(_named)]
    """What to look for: regular expressions (RE2) by name, at most 20. A line counts for every pattern that is found
    anywhere in it."""
    examples: Annotated[int, Field(ge=0, le=10)] = 3
    """How many lines to show of each pattern: the newest."""


class Counted(Result):
    """How many lines each pattern was found in."""

    counts: dict[str, int]
    """How many lines each pattern was found in, by its name."""
    examples: dict[str, tuple[str, ...]]
    """The newest of these lines by the name of the pattern, the oldest first, each cut to 300 characters, before the
    word that the cut would go through."""
    lines: int
    """How many lines were looked at."""

    def brief(self) -> str:
        found = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        return f"{self.lines:,} {'line' if self.lines == 1 else 'lines'}: {found}"

    def detail(self) -> str:
        shown = []
        for name, lines in self.examples.items():
            if lines:
                shown += [f"{name}:", *(f"  {line}" for line in lines)]
        return "\n".join(shown)


class LineCounter:
    """Counts the lines that it is fed, the oldest first."""

    def __init__(self, patterns: Mapping[str, str], examples: int) -> None:
        self._compiled = {name: compile_pattern(pattern) for name, pattern in patterns.items()}
        self._counts = dict.fromkeys(patterns, 0)
        self._examples: dict[str, deque[bytes]] = {name: deque(maxlen=examples) for name in patterns}
        self._lines = 0

    def feed(self, lines: Iterable[str | bytes]) -> None:
        """Look at more lines."""
        for line in lines:
            raw = (line if isinstance(line, bytes) else line.encode("utf-8", "replace"))[:_LONGEST_LINE]
            self._lines += 1
            for name, pattern in self._compiled.items():
                if pattern.search(raw) is not None:
                    self._counts[name] += 1
                    self._examples[name].append(raw)

    @property
    def counts(self) -> dict[str, int]:
        """How many lines each pattern was found in; 0 for one that was not."""
        return dict(self._counts)

    @property
    def examples(self) -> dict[str, tuple[str, ...]]:
        """The newest lines of each pattern, the oldest first."""
        return {name: tuple(map(_example, lines)) for name, lines in self._examples.items()}

    @property
    def lines(self) -> int:
        """How many lines were looked at."""
        return self._lines


def _example(raw: bytes) -> str:
    """The start of a line, with nothing in it that is only a part of a secret: that would not be known as one."""
    text = raw.decode("utf-8", "replace").rstrip("\r\n")
    if len(text) <= _LONGEST_EXAMPLE:
        return text
    safe = _REDACTOR.text(text[:_LOOKED_AT])[: _LONGEST_EXAMPLE - _NOTE]
    whole = _CUT_WORD.sub("", safe)
    return f"{whole}… ({len(text) - len(whole)} more)"
