"""Types, limits and defaults of declared fields, in people's words.

Called by `remediator actions` and by the reference pages (docs/reference.py). It reads declarations and nothing else.
"""

from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from remediator.documents import fields_of
from remediator.model.budget import Budget, Share
from remediator.model.duration import say_duration
from remediator.settings import CommandParameter, CommandSettings, Network, PutBackSettings, Secret

if TYPE_CHECKING:
    from remediator.plugins import Action

_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    timedelta: "duration",
    Path: "path",
    SecretStr: "secret",
    Secret: "secret, or a mapping with `value` or `value_file`",
    CommandParameter: "mapping with `pattern`",
    CommandSettings: "command",
    PutBackSettings: "mapping with `parameter` and `shown_by`",
    Budget: "how often in how long, such as `3/1h`",
    Share: "number, or share such as `25%`",
    Any: "anything",
}


def say_kind(annotation: Any) -> str:
    """A type as a person would say it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == Network:
        return "network, such as `10.0.0.0/8`"
    if origin is Annotated:
        return say_kind(arguments[0])
    if origin is Literal:
        return one_of(arguments)
    if origin in (Union, UnionType):
        return " or ".join(say_kind(a) for a in arguments if a is not NoneType) + (
            ", or nothing" if NoneType in arguments else ""
        )
    if annotation == tuple[Budget, ...]:
        return "how often in how long, such as `3/1h` or `3/1h, 7/1d`"
    if origin is tuple:
        return f"list of: {say_kind(arguments[0])}"
    if origin is dict:
        return f"mapping of names to: {say_kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return one_of([member.value for member in annotation])
    return _WORDS.get(annotation) or _other(annotation)


def say_bounded(field: FieldInfo) -> str:
    """A field's type, with the limits of its value."""
    said = [f"{word} {_value(bound)}" for word, bound in _limits(field)]
    return say_kind(field.annotation) + (f", {' and '.join(said)}" if said else "")


def say_default(field: FieldInfo) -> str:
    """A field's default as it is written in YAML, or that there is none."""
    if field.default_factory is not None:
        return "none"
    if isinstance(field.default, BaseModel):
        return "as below"
    return "it must be given" if field.default is PydanticUndefined else _value(field.default, quoted=True)


def one_of(values: Any) -> str:
    """A choice."""
    return "one of " + ", ".join(f"`{value}`" for value in values)


def with_items(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """The fields of a model, each followed by those of its items where it is a list of mappings."""
    for name, field in fields_of(model).items():
        yield f"{prefix}{name}", field
        for item in get_args(field.annotation):
            if isinstance(item, type) and issubclass(item, BaseModel):
                yield from with_items(item, f"{prefix}{name}[].")


def flat(text: str | None) -> str:
    """A docstring as one line."""
    return " ".join((text or "").split())


def _other(annotation: Any) -> str:
    name = getattr(annotation, "__name__", str(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return "time" if name == "datetime" else str(name)


def _limits(field: FieldInfo) -> Iterator[tuple[str, Any]]:
    for limit in field.metadata:
        for name, word in (("gt", "more than"), ("ge", "at least"), ("le", "at most")):
            if hasattr(limit, name):
                yield word, getattr(limit, name)
        if hasattr(limit, "min_length"):
            yield "at least", f"{limit.min_length} of them"


def _value(value: Any, *, quoted: bool = False) -> str:
    """A value as it is written in YAML."""
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, str | Path) and not isinstance(value, Enum) and str(value) == "":
        return "empty"
    said = _bare(value)
    return f"`{said}`" if quoted else said


def _bare(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return say_duration(value)
    if isinstance(value, tuple) and all(isinstance(item, Budget) for item in value):
        return ", ".join(map(str, value))
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_bare, value)) + "]"
    return str(value.value) if isinstance(value, Enum) else str(value)


def say_inverse(action: "Action") -> str:
    """Whether what an action does can be put back."""
    if action.inverse is None:
        return "no"
    return "yes" if action.inverse.stays is None else "where its settings say how"
