"""Matchers in Alertmanager's classic syntax, `alertname="ServiceDown"`; one matcher in each text.

Read when rules are loaded, asked by the book for every alert. Values are compared, never interpreted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Go's \s is ASCII only, and so is the grammar's.
_SHAPE = re.compile(
    r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)[\t\n\f\r ]*(.*?)[\t\n\f\r ]*", re.DOTALL
)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Matcher:
    """Says of one label that it has a value, or has not. A label that is missing is the empty string."""

    label: str
    value: str
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        return (labels.get(self.label, "") == self.value) is not self.negated

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{"!=" if self.negated else "="}"{value}"'


def parse_matcher(text: str) -> Matcher:
    """The matcher that `text` writes. Raises ValueError with what is wrong and how it is written."""
    if text.strip().startswith("{"):
        raise ValueError("write each matcher as an item of its own, without braces")
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a matcher; write it like 'alertname=\"ServiceDown\"'")
    label, operator, raw = found.groups()
    if operator in ("=~", "!~"):
        raise ValueError(f"regular expressions (`{operator}`) are not supported yet; use `=` or `!=`")
    if raw.startswith("="):
        raise ValueError(f"one `=` is enough; did you mean `{label}={raw.lstrip('= ')}`?")
    return Matcher(label, _unquoted(raw), negated=operator == "!=")


def _unquoted(raw: str) -> str:
    """The value without its quotes and escapes; a backslash before anything else stands for itself."""
    quoted = raw.startswith('"')
    body = raw[1:] if quoted else raw
    if quoted:
        if not re.fullmatch(r'(?:[^"\\]|\\.)*"', body, re.DOTALL):
            raise ValueError(_quotes(raw))
        body = body[:-1]
    elif re.search(r'(?<!\\)(?:\\\\)*"', body):
        raise ValueError(_quotes(raw))
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), body, flags=re.DOTALL)


def _quotes(raw: str) -> str:
    if re.search(r'"\s*,\s*[a-zA-Z_:]', raw):
        return f"{raw!r} goes on after its value; write each matcher as an item of its own"
    return (
        f"the quotes of the value {raw!r} do not fit together; put the value in double quotes (one inside it is "
        'written \\") and the whole matcher in single ones, like \'alertname="ServiceDown"\''
    )
