"""Takes secrets out of text before it is stored, logged or told.

Two ways, both always on: the exact values of the secrets that this process was configured with, and the shapes that
secrets usually have (`password=…`, `Authorization: Bearer …`, a URL's user info, private keys, well-known token
prefixes). It rather takes out too much than too little. The text may be an attacker's and long, so every pattern is
linear: it starts only where a word starts, and does not go back over what it has read (`*+`, `++`).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

MASK = "[redacted]"

_KEY = re.compile(
    r"(?i)passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|cookie"
    r"|\A-*(?:pwd|dsn|authorization)\Z|-authorization\Z"
)
"""What makes a name the name of a secret."""

_NAME = re.compile(r"(?<![\w.-])[\w.-]++(?=[\"'\\]{0,4}\s{0,8}[:=]|\s)")
_SEPARATOR = re.compile(r"[\"'\\]{0,4}\s{0,8}[:=]\s{0,8}")
_SPACE = re.compile(r"[ \t]{1,8}")
_SCHEME = re.compile(r"(?i)[\"']?(?:basic|bearer|digest|negotiate|token)[ \t]+")
_QUOTED = re.compile(r"\\?(?:\"(?:[^\"\\]++|\\.)*+(?:\"|\\?\Z)|'(?:[^'\\]++|\\.)*+(?:'|\\?\Z))", re.DOTALL)
_BARE = re.compile(r"[^\s,;&\"']++")
_LINE = re.compile(r"[^\r\n\"']++")  # the value of a header, which has spaces in it
_HEADER = re.compile(r"(?i)(?:authorization|cookie)\Z")

_WORD = r"(?<![A-Za-z0-9_-])"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]{0,30}://)[^\s/?#\"'<>]{1,400}@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b(bearer)\s{1,8}[A-Za-z0-9._~+/=-]{8,}+"), rf"\1 {MASK}"),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:xox[a-z]-|xapp-|gh[pousr]_|github_pat_|glpat-|sk-|AKIA|ASIA)[A-Za-z0-9_-]{8,}+"
        ),
        MASK,
    ),
    (re.compile(r"(?<![A-Za-z0-9])rmd_[0-9a-f]{12}_[A-Za-z0-9_-]++"), MASK),  # a token of our own API
    (re.compile(rf"{_WORD}eyJ[A-Za-z0-9_-]{{8,}}+\.[A-Za-z0-9_-]{{8,}}+\.[A-Za-z0-9_-]*+"), MASK),
)
_MARKS = (
    *("passw", "passphrase", "secret", "token", "key", "credential", "cookie", "pwd", "dsn", "authorization"),
    *("@", "bearer", "xox", "xapp-", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "sk-"),
    "rmd_",
    *("akia", "asia", "eyj"),
)
"""One of these is in every secret that has a shape, or before it: a text without any is known to be clean, which nearly
every text is, and that costs a tenth. A pattern that is added above needs its mark here; a test holds the two together.
"""
_KEY_MARK = re.compile(r"-----(BEGIN|END) [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_TEXT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\"  # `\` is of a line end in JSON
_AFTER_KEY_TEXT = " \t\r\"',;)|"
_KEY_LINE = 24  # characters that a full line of a key has at the least
_SLACK = 4096  # what is redacted and then cut off, as it may be the rest of a secret that a cut went through
_SHORTEST_SECRET = 4  # a shorter configured value would blank out ordinary words
_DEEPEST = 64  # no result that people read is nested deeper
_SHORT = 200  # characters of a text that is worth remembering
_REMEMBERED = 4096  # texts; some megabytes at the most


class Redactor:
    """Redacts text and JSON-like values; made once from the configured secrets and passed to the edges."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for s in secrets if len(s) >= _SHORTEST_SECRET for form in _forms(s)}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None
        self._short_text = lru_cache(_REMEMBERED)(self._any_text)

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        # A run's few words pass here a hundred times, each time on the way to another place, and most in every run.
        return self._short_text(text) if len(text) <= _SHORT else self._any_text(text)

    def _any_text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if not _may_hold_secret(text):
            return text
        text = _masked(text, _private_keys(text))
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return "".join(_without_named(text))

    def start(self, text: str, limit: int) -> str:
        """The start of a text, redacted, at most `limit` characters; what was cut is said at the end.

        A text that is far longer is cut first, so that the time this takes does not depend on who wrote it.
        """
        if len(text) <= limit + _SLACK:
            return shorten(self.text(text), limit)
        near = self.text(text[: limit + _SLACK])
        kept = near[: max(near.rfind("\n"), len(near) - _SLACK, 0)]  # the last line is not a whole one
        return _with_end_note(kept, limit, missing=len(text) - limit - _SLACK + len(near) - len(kept))

    def end(self, text: str, limit: int) -> str:
        """The same for the end of a text, where logs have their news; what was cut is said at the start."""
        if len(text) <= limit + _SLACK:
            return shorten_start(self.text(text), limit)
        near = self.text(text[-limit - _SLACK :])
        first_end = near.find("\n", 0, _SLACK)
        kept = near[first_end + 1 if first_end >= 0 else _SLACK :]
        return _with_start_note(kept, limit, missing=len(text) - limit - _SLACK + len(near) - len(kept))

    def value(self, value: Any) -> Any:
        """The same for a JSON-like value, in depth; every text under a key that names a secret is masked whole."""
        return self._value(value, named=False, depth=0)

    def _value(self, value: Any, *, named: bool, depth: int) -> Any:
        if isinstance(value, str):
            return MASK if named and value else self.text(value)
        if isinstance(value, BaseException):
            return self.text(repr(value))
        if not isinstance(value, Mapping | Sequence) or isinstance(value, bytes | bytearray):
            return value
        if depth == _DEEPEST:
            return MASK
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): self._value(item, named=named or is_secret_name(str(key)), depth=depth + 1)
                for key, item in value.items()
            }
        items = value if named else self._without_spread(value)
        return [self._value(item, named=named, depth=depth + 1) for item in items]

    def _without_spread(self, items: Sequence[Any]) -> Sequence[Any]:
        """Where all are texts, they may be the lines of one: what is spread over several is masked in each."""
        if len(items) < 2 or not all(isinstance(item, str) for item in items):  # noqa: PLR2004 - one is no list of lines
            return items
        text = "\n".join(items)
        spans = list(_private_keys(text))
        if self._known is not None:
            spans += (found.span() for found in self._known.finditer(text))
        return _masked_lines(items, _merged(spans)) if spans else items


def _may_hold_secret(text: str) -> bool:
    """Whether to look closer. Beyond ASCII, patterns that ignore case take more for the same than `lower` does."""
    if not text.isascii():
        return True
    lower = text.lower()
    for mark in _MARKS:  # noqa: SIM110 - `any` with a generator takes twice as long, and this is called all the time
        if mark in lower:
            return True
    return False


def _forms(secret: str) -> set[str]:
    """How a secret is written in text: as it is, in a URL, and in JSON."""
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}


def is_secret_name(name: str) -> bool:
    """Whether what has this name is usually a secret."""
    return _may_hold_secret(name) and _KEY.search(name) is not None


def _private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Where private keys stand in the text; one whose first lines were cut off is known by its last."""
    done = 0
    for mark in _KEY_MARK.finditer(text):
        if mark.start() < done:
            continue
        if mark[1] == "END":
            yield _start_of_key(text, done, mark.start()), mark.end()
            done = mark.end()
        else:
            after = (found for found in _KEY_MARK.finditer(text, mark.end()) if found[1] == "END")
            done = next((found.end() for found in after), len(text))
            yield mark.start(), done


def _start_of_key(text: str, floor: int, stop: int) -> int:
    """Where the key begins whose last line stands at `stop`; each line is looked at once, from the end."""
    start = line_end = stop
    while True:
        line_start = max(text.rfind("\n", floor, line_end) + 1, floor)
        line = text[line_start:line_end].rstrip(_AFTER_KEY_TEXT)
        before = len(line.rstrip(_KEY_TEXT))
        found = len(line) - before
        may_be_short = start == stop or (line_start == 0 and before == 0)  # the key's last line; one that was cut
        if line and (found == 0 or (found < _KEY_LINE and not may_be_short)):
            return start
        if found:
            start = line_start + before
        if line_start == floor:
            return start
        line_end = line_start - 1


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    pieces, done = [], 0
    for start, end in spans:
        pieces += [text[done:start], MASK]
        done = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, none of which overlaps another."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _masked_lines(lines: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[str]:
    """As many lines as before; the spans, in order and apart, are places in the lines joined by line ends."""
    masked, offset, at = [], 0, 0
    for line in lines:
        end = offset + len(line)
        here = []
        while at < len(spans) and spans[at][0] < end:
            start, stop = max(spans[at][0] - offset, 0), min(spans[at][1], end) - offset
            if start < stop:
                here.append((start, stop))
            if spans[at][1] > end:
                break  # it goes on in the next line
            at += 1
        masked.append(_masked(line, here))
        offset = end + 1
    return masked


def _without_named(text: str) -> Iterator[str]:
    """The text in pieces, with the values of names such as `password` masked."""
    done = 0
    for name in _NAME.finditer(text):
        if name.start() < done or _KEY.search(name.group()) is None:
            continue
        start, end = _value_after(text, name)
        if end > start:
            yield text[done:start]
            yield MASK
            done = end
    yield text[done:]


def _value_after(text: str, name: re.Match[str]) -> tuple[int, int]:
    """Where the value of a name stands; an empty span where it has none."""
    separator = _SEPARATOR.match(text, name.end())
    if separator is None and name.group().startswith("-"):  # an option of a command: `--password x`
        separator = _SPACE.match(text, name.end())
    if separator is None:
        return name.end(), name.end()
    start, is_header = separator.end(), _HEADER.search(name.group()) is not None
    if is_header and (scheme := _SCHEME.match(text, start)):
        start = scheme.end()
    value = _QUOTED.match(text, start) or (_LINE if is_header else _BARE).match(text, start)
    if value is None or value.group() == MASK:
        return start, start
    return start, value.end()


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters; what was cut is said at the end."""
    return text if len(text) <= limit else _with_end_note(text, limit, missing=0)


def shorten_start(text: str, limit: int) -> str:
    """At most `limit` characters from the end, from a line's start where there is one; what was cut is said first."""
    return text if len(text) <= limit else _with_start_note(text, limit, missing=0)


def _with_end_note(text: str, limit: int, *, missing: int) -> str:
    """`missing`: how many characters after the text are cut already."""
    kept = min(max(limit - len(f"… ({len(text) + missing} more)"), 0), len(text))
    return f"{text[:kept]}… ({len(text) + missing - kept} more)"[:limit]


def _with_start_note(text: str, limit: int, *, missing: int) -> str:
    room = min(max(limit - len(f"… ({len(text) + missing} more characters before this)\n"), 0), len(text))
    kept = text[len(text) - room :]
    if room < len(text) and text[len(text) - room - 1] != "\n" and "\n" in kept[:-1]:
        kept = kept[kept.index("\n") + 1 :]
    return f"… ({len(text) + missing - len(kept)} more characters before this)\n{kept}"[:limit]
