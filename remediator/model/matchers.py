"""Matchers in Alertmanager's own syntax: both of its grammars, its precedence between them, and RE2.

Read when rules and settings are loaded, asked by the book for every alert. Values are compared, never interpreted.

Alertmanager reads a matcher with both of its parsers (`matcher/compat/parse.go`): where only one can read it, that one
counts; where both can and differ, the classic one does. A missing label is the empty string. Regular expressions are
RE2's, match the whole value, and their `.` is no newline.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import re2

_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LITERAL = re.compile(r"[^\\.+*?()|\[\]{}^$]*")


@dataclass(frozen=True, slots=True)
class Matcher:
    """Says of one label that it has a value, or matches a regular expression, or does not.

    Raises ValueError where the regular expression is none.
    """

    label: str
    value: str
    negated: bool = False
    is_regex: bool = False
    _test: Callable[[str], bool] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_test", _regex_test(self.value) if self.is_regex else self.value.__eq__)

    def matches(self, labels: Mapping[str, str]) -> bool:
        return self._test(labels.get(self.label, "")) is not self.negated

    @property
    def values(self) -> tuple[str, ...] | None:
        """The only values that it can match, where they can be told: what a book can file it under."""
        if self.negated:
            return None
        return _alternatives(self.value) if self.is_regex else (self.value,)

    def __str__(self) -> str:
        operator = ("!" if self.negated else "=") + ("~" if self.is_regex else "=" if self.negated else "")
        name = self.label if _CLASSIC_NAME.fullmatch(self.label) else _quote(self.label)
        return f"{name}{operator}{_quote(self.value)}"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _alternatives(pattern: str) -> tuple[str, ...] | None:
    """The literals of `a|b|c`, or None where the pattern is anything else."""
    parts = tuple(pattern.split("|"))
    return parts if all(_LITERAL.fullmatch(part) for part in parts) else None


def _regex_test(pattern: str) -> Callable[[str], bool]:
    """Whether a whole value matches; literals and their alternations need no regular expression."""
    literals = _alternatives(pattern)
    if literals is not None:
        return frozenset(literals).__contains__
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(f"^(?:{pattern})$", options)
    except re2.error as error:
        why = str(error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else error)
        raise ValueError(f"the regular expression {pattern!r} cannot be read (RE2): {why}") from None
    return partial(_found, compiled)


def _found(compiled: Any, value: str) -> bool:
    return compiled.search(value) is not None


def parse_matcher(text: str) -> Matcher:
    """The one matcher that an item of a rule writes. Raises ValueError with what is wrong and how it is written."""
    found = parse_matchers(text)
    if len(found) != 1:
        raise ValueError(f"{text!r} holds {len(found) or 'no'} matchers; write each as an item of its own")
    if re.search(r"[^!=~]==", text.partition('"')[0]):
        meant = str(Matcher(found[0].label, found[0].value.lstrip("= ")))
        raise ValueError(f"one `=` is enough; did you mean `{meant}`?")
    return found[0]


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers that `text` writes, as Alertmanager reads an item of its `matchers`. Raises ValueError."""
    utf8 = _attempt(parse_utf8, text)
    classic = _attempt(parse_classic, text)
    if not isinstance(classic, ValueError):
        return classic
    if not isinstance(utf8, ValueError):
        return utf8
    raise classic


def _attempt(parse: Callable[[str], tuple[Matcher, ...]], text: str) -> tuple[Matcher, ...] | ValueError:
    try:
        return parse(text)
    except ValueError as error:
        return error


# The classic grammar (`pkg/labels/parse.go`)

_SPACE = "\t\n\f\r "  # Go's \s
_CLASSIC = re.compile(
    rf"[{_SPACE}]*([a-zA-Z_:][a-zA-Z0-9_:]*)[{_SPACE}]*(=~|=|!=|!~)[{_SPACE}]*(.*?)[{_SPACE}]*", re.DOTALL
)
_CLASSIC_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


def parse_classic(text: str) -> tuple[Matcher, ...]:
    """Matchers in the classic grammar: tolerant, each brace on its own optional. Raises ValueError."""
    return tuple(_classic(item) for item in _classic_items(text.removeprefix("{").removesuffix("}")))


def _classic_items(text: str) -> list[str]:
    """Split at the commas outside of quotes; what is left after the last one counts if it is not blank."""
    items, start, quoted, escaped = [], 0, False, False
    for place, char in enumerate(text):
        if char == "," and not quoted:
            items.append(text[start:place])
            start = place + 1
        elif char == '"' and not escaped:
            quoted = not quoted
        escaped = char == "\\" and not escaped
    rest = text[start:]
    return [*items, rest] if rest.strip() else items


def _classic(text: str) -> Matcher:
    found = _CLASSIC.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a matcher; write it like 'alertname=\"ServiceDown\"'")
    label, operator, raw = found.groups()
    return _made(label, operator, _classic_value(raw))


def _classic_value(raw: str) -> str:
    """The value without its quotes and escapes; a backslash before anything else stands for itself."""
    is_quoted = raw.startswith('"')
    body = raw[1:] if is_quoted else raw
    if is_quoted:
        if not re.fullmatch(r'(?:[^"\\]|\\.)*"', body, re.DOTALL):
            raise ValueError(_say_quotes(raw))
        body = body[:-1]
    elif re.fullmatch(r'(?:[^"\\]|\\.|\\$)*', body, re.DOTALL) is None:
        raise ValueError(_say_quotes(raw))
    return re.sub(r"\\(.)", lambda m: _CLASSIC_ESCAPES.get(m[1], m[0]), body, flags=re.DOTALL)


def _say_quotes(raw: str) -> str:
    return (
        f"the quotes of the value {raw!r} do not fit together; put the value in double quotes (one inside it is "
        'written \\") and the whole matcher in single ones, like \'alertname="ServiceDown"\''
    )


def _made(label: str, operator: str, value: str) -> Matcher:
    return Matcher(label, value, negated=operator.startswith("!"), is_regex=operator.endswith("~"))


# The UTF-8 grammar (`matcher/parse`): names and values bare or quoted as in Go, braces both or none

_TOKEN = re.compile(
    r"""\s*(?:(?P<operator>=~|!~|!=|=)|(?P<mark>[{},])|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<bare>[^\s{}!=~,\\"'`]+))""",
    re.DOTALL,
)
_GO_ESCAPE = re.compile(
    r'\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.|$))', re.DOTALL
)
_SHAPE = ({"quoted", "bare"}, {"operator"}, {"quoted", "bare"})
_GO_SINGLE = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))


def parse_utf8(text: str) -> tuple[Matcher, ...]:
    """Matchers in the UTF-8 grammar. Raises ValueError."""
    tokens = _tokens(text)
    if tokens and tokens[0] == ("mark", "{"):
        if len(tokens) == 1 or tokens[-1] != ("mark", "}"):
            raise ValueError(f"{text!r} has an opening brace and no closing one at its end")
        tokens = tokens[1:-1]
    matchers = []
    while tokens:
        matchers.append(_utf8(tokens[:3], text))
        tokens = tokens[3:]
        if tokens and tokens[0] != ("mark", ","):
            raise ValueError(f"{text!r}: a comma is expected before {tokens[0][1]!r}")
        tokens = tokens[1:]
    return tuple(matchers)


def _utf8(tokens: list[tuple[str, str]], text: str) -> Matcher:
    kinds = [kind for kind, _ in tokens]
    has_shape = len(kinds) == len(_SHAPE) and all(kind in wanted for kind, wanted in zip(kinds, _SHAPE, strict=True))
    if not has_shape:
        raise ValueError(f"{text!r} is not a matcher; write it like 'alertname=\"ServiceDown\"'")
    name, operator, value = (_go_unquoted(said) if kind == "quoted" else said for kind, said in tokens)
    return _made(name, operator, value)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise ValueError(f"{text!r}: {text[place:].strip()[:20]!r} is not expected here; put it in double quotes")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return tokens


def _go_unquoted(quoted: str) -> str:
    """A string as Go's strconv.Unquote reads it; bytes that are no UTF-8 are an error."""
    body = quoted[1:-1]
    if "\n" in body:
        raise ValueError(f"{quoted!r} goes over the end of its line; write \\n for a new line")
    raw, place = bytearray(), 0
    for found in _GO_ESCAPE.finditer(body):
        raw += body[place : found.start()].encode() + _go_escape(found, quoted)
        place = found.end()
    raw += body[place:].encode()
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{quoted!r} is not UTF-8") from None


def _go_escape(found: re.Match[str], quoted: str) -> bytes:
    single, byte, octal, short, long, other = found.groups()
    if single is not None:
        return _GO_SINGLE[single].encode()
    code = int(byte or octal or "0", 16 if byte else 8)
    if (byte or octal) and code < 256:  # noqa: PLR2004 - a byte
        return bytes((code,))
    point = int(short or long or "110000", 16)
    if other is not None or (octal and code > 255) or point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:  # noqa: PLR2004 - a byte
        raise ValueError(f"{quoted!r}: {found[0]!r} is no escape that can be used here")
    return chr(point).encode()
