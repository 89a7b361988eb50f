"""What pydantic finds wrong with data, in words, with its place and what was probably meant. Pure.

Used wherever a person's input is validated: settings, rule files, parameters of steps. Values are never shown, because
one may be a secret.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from remediator.documents.document import Document, Mistake, Path


@dataclass(frozen=True, slots=True)
class Fault:
    """What pydantic found wrong with a value: where in the data, and in words."""

    path: Path
    what: str
    kind: str
    """Pydantic's name for it."""

    @property
    def is_unknown_key(self) -> bool:
        return self.kind in ("extra_forbidden", "unexpected_keyword_argument")

    @property
    def is_missing_key(self) -> bool:
        return self.kind == "missing"


def faults_of(error: ValidationError, model: type[BaseModel], data: Any) -> list[Fault]:
    """What pydantic found in `data`, in words and with what was probably meant; the values are not shown."""
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        path = _path_of(detail, model)
        found.append(Fault(path, _say(detail, path, model, data), detail["type"]))
    # Pydantic does not count a faulty item, and would say that the list is too short as well.
    faulty = {fault.path[:length] for fault in found for length in range(len(fault.path))}
    return list(dict.fromkeys(f for f in found if f.kind != "too_short" or f.path not in faulty))


def mistakes_of(
    error: ValidationError,
    document: Document,
    model: type[BaseModel],
    *,
    elsewhere: str = "",
    at: Path = (),
    but_not: Callable[[Fault], bool] = lambda _: False,
) -> list[Mistake]:
    """What pydantic found, each with its place in `document`, in words, and with what was probably meant.

    `at` is where the validated value stands in the document; `elsewhere` names the source of values that the
    document does not hold; `but_not` says which faults to leave out.
    """
    found = []
    for fault in faults_of(error, model, value_at(document.data, at)):
        path = (*at, *fault.path)
        if document.is_broken(path) or but_not(fault):
            continue
        if elsewhere and _comes_from_elsewhere(fault, document.data):
            found.append(Mistake(elsewhere, 0, 0, f"{'.'.join(map(str, path))}: {fault.what}"))
        else:
            found.append(document.mistake(path, fault.what, key=fault.is_unknown_key))
    return sorted(set(found))


_ABSENT = object()


def value_at(data: Any, path: Path) -> Any:
    """The value at `path` in plain data, or None."""
    found = _find(data, path)
    return None if found is _ABSENT else found


def holds(data: Any, path: Path) -> bool:
    """Whether plain data has a value at `path`, None included."""
    return _find(data, path) is not _ABSENT


def _find(data: Any, path: Path) -> Any:
    for part in path:
        is_item = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not is_item and not (isinstance(data, dict) and part in data):
            return _ABSENT
        data = data[part]
    return data


def _comes_from_elsewhere(fault: Fault, data: Any) -> bool:
    """A faulty value that the document does not hold, though it holds the mapping around it."""
    if fault.is_missing_key or not fault.path:
        return False
    around = _find(data, fault.path[:-1])
    return _find(data, fault.path) is _ABSENT and (isinstance(around, dict) or around is _ABSENT)


def _path_of(detail: ErrorDetails, model: type[BaseModel]) -> Path:
    """The location without the names that pydantic adds for union members, validators and keys."""
    here: Any = model
    path: Path = ()
    loc = detail["loc"]
    for index, part in enumerate(loc):
        inner = next(_step_into(here, part), None)
        if inner is not None:
            path, here = (*path, part), inner
        elif index == len(loc) - 1 and detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            path = (*path, part)
    return path


_SAID = {
    "bool_parsing": "is true or false",
    "bool_type": "is true or false",
    "dict_type": "takes a mapping (`key: value` lines)",
    "float_parsing": "takes a number",
    "float_type": "takes a number",
    "greater_than_equal": "is {ge} at the least",
    "int_from_float": "takes a whole number",
    "int_parsing": "takes a whole number",
    "int_type": "takes a whole number",
    "less_than_equal": "is {le} at the most",
    "list_type": "takes a list",
    "missing": "is missing",
    "model_attributes_type": "takes a mapping (`key: value` lines)",
    "model_type": "takes a mapping (`key: value` lines)",
    "string_type": "takes text; put it in quotes if it is a number, true, false or null",
    "tuple_type": "takes a list",
}


def _say(detail: ErrorDetails, path: Path, model: type[BaseModel], data: Any) -> str:
    name = f"`{path[-1]}`" if path else "this"
    if len(path) > 1 and isinstance(path[-1], int):
        name = f"item {path[-1] + 1} of `{path[-2]}`"
    elif len(path) > 1:  # a member of a mapping has the name of what it belongs to
        around = next((getattr(one, "members", {}) for one in _models_in(_kind_at(model, path[:-2]))), {})
        name = f"{around[path[-2]]} {name}" if path[-2] in around else name
    context = detail.get("ctx", {})
    if detail["type"] in _SAID:
        return f"{name} {_SAID[detail['type']].format_map(context)}"
    match detail["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return _say_unknown(str(path[-1]), model, path[:-1])
        case "value_error":
            return str(context.get("error", detail["msg"]))
        case "greater_than" if str(context.get("gt")) == "datetime.timedelta(0)":  # as pydantic writes it
            return f"{name} is longer than nothing; write it like 30s"
        case "too_short":
            return f"{name} is empty; it needs {context.get('min_length', 1)} at the least"
        case "enum" | "literal_error":
            expected = str(context.get("expected", ""))
            given = _find(data, path)
            near = difflib.get_close_matches(str(given), re.findall(r"'([^']*)'", expected), n=1)
            return f"{name} is one of {expected}" + (f"; did you mean `{near[0]}`?" if near else "")
        case _:
            return f"{name}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _say_unknown(key: str, model: type[BaseModel], around: Path) -> str:
    """That a key is not known, and where it belongs or what was probably meant."""
    belongs = next((getattr(one, "belongs", {}) for one in _models_in(_kind_at(model, around))), {})
    if key in belongs:
        return f"`{key}` belongs {belongs[key]}" if belongs[key] else f"`{key}` is not supported yet; leave it out"
    return f"`{key}` is not known here" + did_you_mean(key, _names_at(model, around))


_MOST_SHOWN = 24


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known word is near, else the known words."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{near[0]}`?"
    shown = ", ".join(f"`{k}`" for k in words[:_MOST_SHOWN])
    if len(words) > _MOST_SHOWN:
        shown += f" and {len(words) - _MOST_SHOWN} more"
    return f"; known are {shown}" if words else ""


def _names_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The field names that are known at `path` inside `model`."""
    return _field_names(_kind_at(model, path))


def _kind_at(model: type[BaseModel], path: Sequence[str | int]) -> Any:
    """The type of the value at `path` inside `model`, or None."""
    here: Any = model
    for part in path:
        here = next(_step_into(here, part), None)
        if here is None:
            return None
    return here


def _field_names(kind: Any) -> list[str]:
    for candidate in _models_in(kind):
        by_file = getattr(candidate, "secret_files", ())
        names = [(name, info.alias or name) for name, info in candidate.model_fields.items()]
        return [known for _, known in names] + [f"{name}_file" for name, _ in names if name in by_file]
    return []


def _models_in(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and get_origin(kind) is None:
        if issubclass(kind, BaseModel):
            yield kind
        return
    for argument in get_args(kind):
        yield from _models_in(argument)


def _step_into(kind: Any, part: str | int) -> Iterator[Any]:
    """The type of the member `part` of a value of type `kind`."""
    if get_origin(kind) is dict:
        yield get_args(kind)[-1]
        return
    if get_origin(kind) in (tuple, list):
        if isinstance(part, int):
            yield get_args(kind)[0]
        return
    if isinstance(kind, type) and get_origin(kind) is None:
        if issubclass(kind, BaseModel):
            yield from (f.annotation for name, f in kind.model_fields.items() if part in (name, f.alias))
        return
    for argument in get_args(kind):
        yield from _step_into(argument, part)
