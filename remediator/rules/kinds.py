"""What is known of an expression's values when a rule is loaded, so that a wrong name is found then.

A kind is a type annotation of a result model, or one of the classes here. Only the check of expressions uses
it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue
from typing_extensions import is_typeddict

from remediator.documents import did_you_mean

Kind = Any
"""`Any` itself is a value that may be anything; its parts are looked for when it is there."""


@dataclass(frozen=True, slots=True)
class Known:
    """A value that stands in the rule file."""

    value: Any


@dataclass(frozen=True, slots=True)
class Evidences:
    """The diagnosis steps of a rule with the models of their results; None for a step that is mistaken."""

    models: Mapping[str, type[BaseModel] | None]


@dataclass(frozen=True, slots=True)
class InCommon:
    """What a rule that groups alerts may take of them: only what is the same in all of them."""

    name: str
    parts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unchecked:
    """The value of an operation of which only the running tells what it is."""


@dataclass(frozen=True, slots=True)
class AnyPart:
    """A part that is worked out when the expression is evaluated, not written in it."""


UNCHECKED = Unchecked()
ANY_PART = AnyPart()
Part = str | int | AnyPart


class NoSuchPart(Exception):  # noqa: N818 - it reads like the errors of our tree
    """A value has no such part, or it cannot be told; the text says which."""


def part_of(kind: Kind, part: Part, name: str) -> Kind:
    """The kind of `part` of a value called `name`. Raises NoSuchPart."""
    match kind:
        case Known():
            return _part_of_known(kind.value, part, name)
        case Evidences():
            return _evidence(kind, part)
        case InCommon():
            return _in_common(kind, part)
        case Unchecked():
            raise NoSuchPart(f"`{name}` cannot be checked before it is evaluated, so no part of it can be taken")
    return _part_of_type(kind, part, name)


def _part_of_known(value: Any, part: Part, name: str) -> Kind:
    if not isinstance(value, Mapping | list):
        raise NoSuchPart(f"`{name}` is {_say(value)}, it has no parts")
    if isinstance(part, AnyPart):
        return Any
    if isinstance(value, Mapping):
        if part not in value:
            raise NoSuchPart(f"`{name}` has no `{part}`" + did_you_mean(str(part), map(str, value)))
        return Known(value[part])
    if isinstance(part, str):
        raise NoSuchPart(f"`{name}` is a list, its items are numbered from 0")
    if not -len(value) <= part < len(value):
        raise NoSuchPart(f"`{name}` has {len(value)} items, there is no item {part}")
    return Known(value[part])


def _say(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
    return "a number"


def _in_common(kind: InCommon, part: Part) -> Kind:
    if isinstance(part, str) and part in kind.parts:
        return str
    shown = f"`{kind.name}.{part}`" if isinstance(part, str) else f"a part of `{kind.name}` that is worked out later"
    what = f"{shown} may differ among the alerts that this rule groups; "
    raise NoSuchPart(what + ("add it to `group_by`, or leave it out" if kind.name == "labels" else "leave it out"))


def _evidence(evidences: Evidences, part: Part) -> Kind:
    if not isinstance(part, str):
        raise NoSuchPart("name the step, as in `steps.state`; which one it is must be known at load")
    if part not in evidences.models:
        if not evidences.models:
            raise NoSuchPart(f"there is no step `{part}`: this rule has no `diagnose`")
        raise NoSuchPart(f"there is no step `{part}` in `diagnose`" + did_you_mean(part, evidences.models))
    return evidences.models[part] or Any


def _part_of_type(kind: Kind, part: Part, name: str) -> Kind:
    kinds = members(kind)
    if any(one is Any for one in kinds):
        return Any
    failed = NoSuchPart(f"`{name}` has no parts")
    for one in kinds:
        try:
            return _part_of_one(one, part, name)
        except NoSuchPart as error:
            failed = error
    raise failed


def _part_of_one(kind: Kind, part: Part, name: str) -> Kind:
    origin = get_origin(kind) or kind
    if is_typeddict(origin):
        return _key_of(origin, part, name)
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return _field_of(origin, part, name)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return (get_args(kind) or (Any, Any))[1]
    if isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset):
        if isinstance(part, str):
            raise NoSuchPart(_no_part(origin, part, name))
        return item_of(kind)
    raise NoSuchPart(f"`{name}` is a single value, it has no `{part}`")


def _key_of(typed: Any, part: Part, name: str) -> Kind:
    """The kind under a key of a mapping whose keys are all known."""
    known: Mapping[str, Kind] = typed.__annotations__
    if not isinstance(part, str):
        raise NoSuchPart(f"the field of `{name}` must be written out, so that it can be checked at load")
    if part not in known:
        raise NoSuchPart(f"`{name}` has no `{part}`" + did_you_mean(part, known))
    return known[part]


def _no_part(origin: type, part: str, name: str) -> str:
    if issubclass(origin, str):
        return f"`{name}` is text, it has no `{part}`"
    return f"`{name}` is a list; take an item of it by its number, as in `{name}[0].{part}`"


def _field_of(model: type[BaseModel], part: Part, name: str) -> Kind:
    if not isinstance(part, str):
        raise NoSuchPart(f"the field of `{name}` must be written out, so that it can be checked at load")
    if part in model.model_fields:
        return model.model_fields[part].annotation
    if part in model.model_computed_fields:
        return model.model_computed_fields[part].return_type
    known = [*model.model_fields, *model.model_computed_fields]
    raise NoSuchPart(f"`{name}` has no `{part}`" + did_you_mean(part, known))


def item_of(kind: Kind) -> Kind:
    """The kind of the items of a list; `Unchecked` where it is no list or they differ."""
    if isinstance(kind, Known | Evidences | InCommon | Unchecked):
        return UNCHECKED
    kinds = members(kind)
    if len(kinds) != 1 or kinds[0] is Any:
        return Any if kinds == (Any,) else UNCHECKED
    origin = get_origin(kinds[0]) or kinds[0]
    if isinstance(origin, type) and issubclass(origin, str):
        return str
    if isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset):
        items = {one for one in get_args(kinds[0]) if one is not Ellipsis}
        return items.pop() if len(items) == 1 else Any
    return UNCHECKED


def is_surely_no_list(kind: Kind) -> bool:
    """Whether it is known at load that a value is something else than a list."""
    if isinstance(kind, Known):
        return not isinstance(kind.value, list)
    if isinstance(kind, Unchecked):
        return False
    return not any(one is Any or _is_list_type(get_origin(one) or one) for one in members(kind))


def _is_list_type(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Sequence) and not issubclass(kind, str | bytes)


def members(kind: Kind) -> tuple[Kind, ...]:
    """The alternatives that an annotation names, without None."""
    if kind is JsonValue:
        return (Any,)
    if hasattr(kind, "__value__"):  # a type alias
        return members(kind.__value__)
    origin: Any = get_origin(kind)
    if origin is Annotated:
        return members(get_args(kind)[0])
    if origin in (Union, UnionType):
        return tuple(one for argument in get_args(kind) for one in members(argument))
    if origin is Literal:
        return tuple(dict.fromkeys(type(one) for one in get_args(kind) if one is not None))
    return () if kind in (None, NoneType) else (kind,)


def choices_of(kind: Kind) -> tuple[str, ...]:
    """The texts that a value can be, where its annotation names all of them; else nothing."""
    if isinstance(kind, Known | Evidences | InCommon | Unchecked):
        return ()
    origin: Any = get_origin(kind)
    if origin is Annotated:
        return choices_of(get_args(kind)[0])
    if origin in (Union, UnionType):
        found = [choices_of(one) for one in get_args(kind) if one not in (None, NoneType)]
        return tuple(name for some in found for name in some) if all(found) else ()
    if origin is Literal:
        named = get_args(kind)
        return tuple(str(one) for one in named) if all(isinstance(one, str) for one in named) else ()
    if isinstance(kind, type) and issubclass(kind, Enum) and issubclass(kind, str):
        return tuple(str(one.value) for one in kind)
    return ()


def family_of(kind: Kind) -> str:
    """`text`, `a number` or `true or false`, where it is known; values of two families are never equal."""
    if isinstance(kind, Known):
        return _family_of_type(type(kind.value))
    if isinstance(kind, Evidences | InCommon | Unchecked):
        return ""
    families = {_family_of_type(one) for one in members(kind)}
    return families.pop() if len(families) == 1 else ""


def _family_of_type(kind: Kind) -> str:
    if not isinstance(kind, type) or (issubclass(kind, Enum) and not issubclass(kind, str)):
        return ""
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, bool):
        return "true or false"
    return "a number" if issubclass(kind, int | float) else ""
