"""Takes secrets out of text before it is stored, logged or told.

Two ways, both always on: the exact values of the secrets that this process was configured with, and the shapes that
secrets usually have (`password=…`, `Authorization: Bearer …`, a URL's user info, private keys, well-known token
prefixes). It rather takes out too much than too little. The text may be an attacker's and long, so every pattern is
linear: it starts only where a word starts, and does not go back over what it has read (`*+`, `++`).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        MASK,
    ),
    (re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]{0,30}://)[^\s/?#\"'<>]{1,400}@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b(bearer)\s{1,8}[A-Za-z0-9._~+/=-]{8,}+"), rf"\1 {MASK}"),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:xox[a-z]-|xapp-|gh[pousr]_|github_pat_|glpat-|sk-|AKIA|ASIA)[A-Za-z0-9_-]{8,}+"
        ),
        MASK,
    ),
    (re.compile(rf"{_WORD}eyJ[A-Za-z0-9_-]{{8,}}+\.[A-Za-z0-9_-]{{8,}}+\.[A-Za-z0-9_-]*+"), MASK),
)
_SHORTEST_SECRET = 4  # a shorter configured value would blank out ordinary words
_DEEPEST = 64  # no result that people read is nested deeper


class Redactor:
    """Redacts text and JSON-like values; made once from the configured secrets and passed to the edges."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for s in secrets if len(s) >= _SHORTEST_SECRET for form in _forms(s)}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return "".join(_without_named(text))

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
                self.text(str(key)): self._value(
                    item, named=named or _KEY.search(str(key)) is not None, depth=depth + 1
                )
                for key, item in value.items()
            }
        return [self._value(item, named=named, depth=depth + 1) for item in value]


def _forms(secret: str) -> set[str]:
    """How a secret is written in text: as it is, in a URL, and in JSON."""
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}


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
    if len(text) <= limit:
        return text
    kept = max(limit - len(f"… ({len(text)} more)"), 0)
    return f"{text[:kept]}… ({len(text) - kept} more)"[:limit]
