"""The filters, tests and methods that expressions may use: an allow-list, each harmless and strict.

They have Jinja2's names and meaning, with three differences: a text that is no number is an error unless a
fallback is given, a missing label takes the fallback of `default`, and `urlencode` encodes slashes too. None of
them can make more than a bounded amount of text.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from jinja2 import Undefined

from remediator.rules.absence import Absent

MAX_TEXT = 64 * 1024
"""The longest text, in bytes of UTF-8, that an expression may come to."""

_NOT_GIVEN = object()
_MOST_DIGITS = 15
_LARGEST = 2**63 - 1


def text_of(value: Any) -> str:
    """A value as text: words as they are, true and false as YAML writes them, lists and mappings as JSON."""
    if value is None:
        raise TypeError("there is nothing (null) where text is needed; give a fallback: `|default('…', true)`")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Undefined):
        return str(value)
    return to_json(value)


def plain(value: Any, budget: list[int] | None = None) -> Any:
    """The value as plain JSON-like data. Raises ValueError where it is too large, TypeError where it is none."""
    left = [MAX_TEXT] if budget is None else budget
    size = len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 1
    left[0] -= size or 1  # a million empty texts are not nothing
    if left[0] < 0:
        raise ValueError(f"it is larger than {MAX_TEXT // 1024} KiB")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("it is a number too large to be used")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a number that can be used")
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {plain(key, left): plain(item, left) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, left) for item in value]
    raise TypeError(str(value) if isinstance(value, Undefined) else "this is no value that can be used")


def to_json(value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= 8:  # noqa: PLR2004 - deeper serves nobody
        raise ValueError("tojson indents by 0 to 8")
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, indent=indent)


def _bounded(size: int) -> None:
    if size > MAX_TEXT:
        raise ValueError(f"it would be larger than {MAX_TEXT // 1024} KiB")


def _text(value: Any) -> str:
    """Only text may be worked on as text: `5|upper` is a slip."""
    if isinstance(value, Undefined):
        str(value)  # raises with its reason
    if not isinstance(value, str):
        raise TypeError("this is for text only; `|string` makes text of a value")
    return value


def _replace(value: str, old: str, new: str, count: int = -1) -> str:
    text = _text(value)
    times = text.count(old) if count < 0 else min(text.count(old), count)
    _bounded(len(text) + times * max(len(new) - len(old), 0))
    return text.replace(old, new, count)


def _join(value: Sequence[Any], d: str = "") -> str:
    parts = [text_of(item) for item in value]
    _bounded(sum(map(len, parts)) + len(d) * len(parts))
    return d.join(parts)


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:  # noqa: FBT001, FBT002 - Jinja2's signature
    """The fallback where the value is missing (a label's is), and with `true` where it is empty, too."""
    if isinstance(value, Absent):
        value.forgive()
        return default_value
    if isinstance(value, Undefined) or (boolean and not value):
        return default_value
    if isinstance(default_value, Absent):
        default_value.forgive()  # it was read, but not used
    return value


def _number(convert: Callable[[Any], Any], value: Any, fallback: Any) -> Any:
    if isinstance(value, Undefined) and fallback is not _NOT_GIVEN:
        return fallback
    try:
        return convert(value)
    except (ValueError, OverflowError, TypeError):
        if fallback is _NOT_GIVEN:
            shown = repr(value[:40]) if isinstance(value, str) else "this"
            raise ValueError(f"{shown} is not a number; give a fallback in parentheses if there is one") from None
        if isinstance(value, Absent):
            value.forgive()
        return fallback


def _to_int(value: Any) -> int:
    return int(value) if re.fullmatch(r"\s*[-+]?[0-9]+\s*", str(value)) else int(_to_float(value))


def _to_float(value: Any) -> float:
    if isinstance(value, str) and not re.fullmatch(r"\s*[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\s*", value):
        raise ValueError("no infinity, no underscores, no digits of other scripts")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("this is larger than any number that can be used")
    return number


def _int(value: Any, default: Any = _NOT_GIVEN) -> Any:
    return _number(_to_int, value, default)


def _float(value: Any, default: Any = _NOT_GIVEN) -> Any:
    return _number(_to_float, value, default)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    _numeric(value)
    if not -_MOST_DIGITS <= precision <= _MOST_DIGITS:
        raise ValueError(f"round takes a precision from -{_MOST_DIGITS} to {_MOST_DIGITS}")
    if method == "common":
        return float(round(value, precision))
    if method not in ("ceil", "floor"):
        raise ValueError("round knows the methods common, ceil and floor")
    scale = 10.0**precision
    return float((math.ceil if method == "ceil" else math.floor)(value * scale) / scale)


def _truncate(s: str, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:  # noqa: FBT001, FBT002 - Jinja2's signature
    text = _text(s)
    if length < len(end) or leeway < 0:
        raise ValueError("truncate needs a length that its end fits into")
    if len(text) <= length + leeway:
        return text
    kept = text[: length - len(end)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + end


def _first(seq: Sequence[Any]) -> Any:
    for item in seq:
        return item
    raise ValueError("there is no first one, it is empty")


def _last(seq: Sequence[Any]) -> Any:
    return _first(list(seq)[-1:])


def _trim(value: str, chars: str | None = None) -> str:
    return _text(value).strip(chars)


def _lower(s: str) -> str:
    return _text(s).lower()


def _upper(s: str) -> str:
    return _text(s).upper()


def _length(value: Any) -> int:
    return len(value)


def _urlencode(value: Any) -> str:
    return quote(text_of(value), safe="")


def _difference(value: Sequence[Any], other: Any) -> list[Any]:
    """The items of a list that are not in another list, or are no keys of a mapping; compared as text, as keys are."""
    if isinstance(other, str) or not isinstance(other, Sequence | Mapping):
        raise TypeError("`difference` compares with a list, or with the keys of a mapping")
    if isinstance(value, str) or not isinstance(value, Sequence | Mapping):
        raise TypeError("`difference` is for a list")
    known = set(map(text_of, other))
    return [item for item in value if text_of(item) not in known]


_IN_PROMQL = str.maketrans(
    {
        "\\": r"\\",
        '"': r"\x22",
        "'": r"\x27",
        "`": r"\x60",
        "\n": r"\n",
        "\r": r"\r",
        "\x00": r"\x00",
        "\ufffd": r"\ufffd",
    }
)


def _promql(value: Any) -> str:
    """Text for within a string of PromQL, "…" or '…': a quote is written as its number, as `\\'` is wrong in "…"."""
    text = text_of(value)
    _bounded(6 * len(text))
    return text.translate(_IN_PROMQL)


def _promql_regex(value: Any) -> str:
    """The same for a string that is a regular expression (`=~`): it matches this text and nothing else."""
    text = text_of(value)
    _bounded(7 * len(text))
    return _promql(re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text))


def _abs(value: float) -> Any:
    return abs(_numeric(value))


def _sum(value: Sequence[float]) -> Any:
    return sum(map(_numeric, value))


def _min(value: Sequence[Any]) -> Any:
    return min(value)


def _max(value: Sequence[Any]) -> Any:
    return max(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": _abs,
    "d": _default,
    "default": _default,
    "difference": _difference,
    "first": _first,
    "float": _float,
    "int": _int,
    "join": _join,
    "last": _last,
    "length": _length,
    "lower": _lower,
    "max": _max,
    "min": _min,
    "promql": _promql,
    "promql_regex": _promql_regex,
    "replace": _replace,
    "round": _round,
    "string": text_of,
    "sum": _sum,
    "tojson": to_json,
    "trim": _trim,
    "truncate": _truncate,
    "upper": _upper,
    "urlencode": _urlencode,
}

FILTER_KINDS: dict[str, Any] = {
    "difference": list[Any],
    "float": float,
    "int": int,
    "join": str,
    "length": int,
    "lower": str,
    "promql": str,
    "promql_regex": str,
    "replace": str,
    "round": float,
    "string": str,
    "tojson": str,
    "trim": str,
    "truncate": str,
    "upper": str,
    "urlencode": str,
}


def _is_defined(value: Any) -> bool:
    if isinstance(value, Absent):
        value.forgive()
    return not isinstance(value, Undefined | Absent)


def _is_undefined(value: Any) -> bool:
    return not _is_defined(value)


def _is_none(value: Any) -> bool:
    return value is None


def _is_true(value: Any) -> bool:
    return value is True


def _is_false(value: Any) -> bool:
    return value is False


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _numeric(value: Any) -> Any:
    """Only numbers: `%` on text would format it, and a label could ask for any amount of text in that way."""
    if isinstance(value, Undefined):
        str(value)  # raises with its reason
    if not _is_number(value):
        raise TypeError("this is for numbers only; `|int` makes one of text")
    return value


def _is_divisibleby(value: int, num: int) -> bool:
    return bool(_numeric(value) % _numeric(num) == 0)


def _is_odd(value: int) -> bool:
    return bool(_numeric(value) % 2 == 1)


def _is_even(value: int) -> bool:
    return bool(_numeric(value) % 2 == 0)


def _is_in(value: Any, seq: Any) -> bool:
    return value in seq


TESTS: dict[str, Callable[..., bool]] = {
    "boolean": _is_boolean,
    "defined": _is_defined,
    "divisibleby": _is_divisibleby,
    "eq": operator.eq,
    "even": _is_even,
    "false": _is_false,
    "ge": operator.ge,
    "gt": operator.gt,
    "in": _is_in,
    "le": operator.le,
    "lt": operator.lt,
    "mapping": _is_mapping,
    "ne": operator.ne,
    "none": _is_none,
    "number": _is_number,
    "odd": _is_odd,
    "sequence": _is_sequence,
    "string": _is_string,
    "true": _is_true,
    "undefined": _is_undefined,
}


def _starts_with(text: str, prefix: str) -> bool:
    return text.startswith(prefix)


def _ends_with(text: str, suffix: str) -> bool:
    return text.endswith(suffix)


METHODS: dict[str, Callable[..., Any]] = {
    "endswith": _ends_with,
    "lower": str.lower,
    "removeprefix": str.removeprefix,
    "removesuffix": str.removesuffix,
    "replace": _replace,
    "split": str.split,
    "startswith": _starts_with,
    "strip": str.strip,
    "upper": str.upper,
}

METHOD_KINDS: dict[str, Any] = {
    "endswith": bool,
    "lower": str,
    "removeprefix": str,
    "removesuffix": str,
    "replace": str,
    "split": list[str],
    "startswith": bool,
    "strip": str,
    "upper": str,
}
