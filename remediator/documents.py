"""YAML documents whose every value knows its place, so that a mistake can be shown as `file:line:column`.

YAML is read as people expect it (the core schema of YAML 1.2): `no` and `on` are strings, only `true` and `false` are
booleans, and there are no octal or base-60 surprises. Duplicate keys, tags and aliases that grow without bound are
mistakes. Used by settings and rule files; it reads text and touches no file itself.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]

_MAX_VALUES = 200_000  # a rule file of 200,000 values is a bomb, not a rule file
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in one file: its place, and what is wrong and probably meant."""

    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}"


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data with the places of its values and keys; what could not be read is in `mistakes`."""

    name: str
    data: Any
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    key_places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()

    @classmethod
    def empty(cls, name: str) -> "Document":
        return cls(name, {})

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path` (of its key, if asked), or of the nearest thing around it."""
        if key and path in self.key_places:
            return self.key_places[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))

    def mistake(self, path: Path, what: str, *, key: bool = False) -> Mistake:
        """A mistake at `path`."""
        line, column = self.place(path, key=key)
        return Mistake(self.name, line, column, what)


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]  # the C one where PyYAML has it
    """Only composes nodes; the core schema of YAML 1.2 decides what a plain scalar is."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


_CORE = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
)
for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), list(_first) + ([""] if "null" in _tag else []))


def read_document(text: str, *, name: str) -> Document:
    """Read one YAML document. Never raises for bad text: the mistakes are in the result, all that could be found."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"this is not YAML: {error.problem or error.context}"
        if error.problem and "could not find expected ':'" in error.problem:
            what += "; is a colon missing, or is the line above indented differently?"
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Document(name, None, mistakes=(Mistake(name, line, column, what),))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return Document(name, None, mistakes=(Mistake(name, 1, 1, f"this is not YAML: {error}"),))
    if root is None:
        return Document.empty(name)
    reader = _Reader(name)
    data = reader.read(root, ())
    return Document(name, data, reader.places, reader.key_places, tuple(reader.mistakes))


class _Reader:
    """Makes plain data of composed nodes and remembers where each value stood."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[Path, tuple[int, int]] = {}
        self.key_places: dict[Path, tuple[int, int]] = {}
        self.mistakes: list[Mistake] = []
        self._count = 0

    def _wrong(self, node: yaml.Node, what: str) -> None:
        self.mistakes.append(Mistake(self.name, node.start_mark.line + 1, node.start_mark.column + 1, what))

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        if self._count > _MAX_VALUES or len(path) > _MAX_DEPTH:
            if self._count == _MAX_VALUES + 1 or len(path) > _MAX_DEPTH:
                self._wrong(node, "this file is too large or too deep; do aliases (`*name`) repeat each other?")
            self._count = max(self._count, _MAX_VALUES + 1)
            return None
        self.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            if not node.tag.endswith(":seq"):
                self._wrong(node, f"the tag {node.tag} is not known here")
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        if not node.tag.endswith(":map"):
            self._wrong(node, f"the tag {node.tag} is not known here")
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(key_node, "a key is a plain word; should this be quoted, as in \"{{ labels.x }}\"?")
                continue
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                self._wrong(key_node, "merge keys (`<<`) are not supported; write the values out")
                continue
            if key in data:
                line = self.key_places[*path, key][0]
                self._wrong(key_node, f"`{key}` stands twice; the first one is in line {line}")
                continue
            self.key_places[*path, key] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            data[key] = self.read(value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.Node) -> Any:
        text = str(node.value)
        match node.tag.rpartition(":")[2]:
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return self._number(node, int, text)
            case "float":
                return self._number(node, float, text)
            case _:
                self._wrong(node, f"the tag {node.tag} is not known here")
                return text

    def _number(self, node: yaml.Node, kind: type[int] | type[float], text: str) -> Any:
        try:
            number = kind(text)
        except ValueError:
            self._wrong(node, "this number is too long; quote it if it is text")
            return 0
        if number in (float("inf"), float("-inf")):
            self._wrong(node, "this number is too large")
            return 0
        return number


def mistakes_of(
    error: ValidationError, document: Document, model: type[BaseModel], *, elsewhere: str = "", at: Path = ()
) -> list[Mistake]:
    """What pydantic found, each with its place in `document`, in words, and with what was probably meant.

    `at` is where the validated value stands in the document; `elsewhere` names the source of values without a place.
    """
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        path = (*at, *_plain(detail["loc"], document, at))
        unknown = detail["type"] in ("extra_forbidden", "unexpected_keyword_argument")
        what = _say(detail, path, model, at)
        if elsewhere and path[:1] not in document.places:
            dotted = ".".join(map(str, path))
            found.append(Mistake(elsewhere, 1, 1, f"{dotted}: {what}"))
        else:
            found.append(document.mistake(path, what, key=unknown))
    return sorted(set(found))


def _plain(loc: Sequence[str | int], document: Document, at: Path) -> Path:
    """The location without the names that pydantic adds for union members, validators and keys."""
    path: Path = ()
    for part in loc:
        if (*at, *path, part) in document.places or part == loc[-1] or not document.places:
            path = (*path, part)
    return tuple(p for p in path if p != "[key]")


def _say(detail: ErrorDetails, path: Path, model: type[BaseModel], at: Path) -> str:
    name = path[-1] if path else ""
    match detail["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"`{name}` is not known here" + did_you_mean(str(name), _names_at(model, path[len(at) : -1]))
        case "missing":
            return f"`{name}` is missing"
        case "value_error":
            return str(detail.get("ctx", {}).get("error", detail["msg"]))
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"`{name}` takes a mapping (`key: value` lines)"
        case "tuple_type" | "list_type":
            return f"`{name}` takes a list"
        case "enum" | "literal_error":
            return f"`{name}` is one of {detail.get('ctx', {}).get('expected', '')}"
        case _:
            return f"`{name}`: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`; did you mean …?` where a known word is near, else the known words."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; known are {', '.join(f'`{k}`' for k in sorted(known))}" if known else ""


def _names_at(model: type[BaseModel], path: Path) -> list[str]:
    """The field names that are known at `path` inside `model`."""
    here: Any = model
    for part in path:
        here = next((m for m in _step_into(here, part)), None)
        if here is None:
            return []
    return _field_names(here)


def _field_names(kind: Any) -> list[str]:
    for candidate in _models_in(kind):
        return [
            f"{prefix}"
            for name, info in candidate.model_fields.items()
            for prefix in (info.alias or name, *([f"{name}_file"] if name in getattr(candidate, "secret_files", ()) else []))
        ]
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
    if get_origin(kind) in (dict, tuple, list):
        yield get_args(kind)[-1] if get_origin(kind) is dict else get_args(kind)[0]
        return
    for model in _models_in(kind):
        for name, info in model.model_fields.items():
            if part in (name, info.alias):
                yield info.annotation
                return
    for argument in get_args(kind):
        yield from _step_into(argument, part)
