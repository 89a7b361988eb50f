"""Takes secrets out of text before it is stored, logged or told.

Two ways, both always on: the exact values of the secrets that this process was configured with, and the shapes that
secrets usually have (`password=…`, `Authorization: Bearer …`, a URL's user info, private keys, well-known token
prefixes). It rather takes out too much than too little.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MASK = "[redacted]"

_KEY = r"(?:[\w.-]*(?:passw(?:or)?d|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]*|pwd|dsn)"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(?i)\b(authorization\b[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token|digest)?)\s+[^\s\"',;]+"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(bearer)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]{0,30}://)[^\s/@]{1,400}@"), rf"\1{MASK}@"),
    (re.compile(rf"(?i)([\"']?{_KEY}[\"']?\s*[:=]\s*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&\"']+)"), rf"\1{MASK}"),
    (re.compile(r"\b(?:xox[a-z]-|xapp-|gh[pousr]_|github_pat_|glpat-|sk-|AKIA|ASIA)[A-Za-z0-9_-]{8,}"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
)
_SECRET_KEY = re.compile(rf"(?i)\A{_KEY}\Z")
_SHORTEST_SECRET = 4  # a shorter configured value would blank out ordinary words


class Redactor:
    """Redacts text and JSON-like values; made once from the configured secrets and passed to the edges."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text

    def value(self, value: Any) -> Any:
        """The same for a JSON-like value, in depth; the value of a key that names a secret is masked whole."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): MASK if isinstance(item, str) and _SECRET_KEY.match(str(key)) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            return [self.value(item) for item in value]
        return value


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters; what was cut is said at the end."""
    if len(text) <= limit:
        return text
    note = f"… ({len(text) - limit} more)"
    return text[: max(limit - len(note), 0)] + note[:limit]
