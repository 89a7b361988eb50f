"""YAML documents whose every value knows its place, so that a mistake can be shown as `file:line:column`.

YAML is read as people expect it (the core schema of YAML 1.2): `no` and `on` are strings, only `true` and
`false` are booleans, and there are no octal or base-60 surprises. Duplicate keys, tags and aliases that grow
without bound are mistakes. Used by settings and rule files; it reads text and touches no file itself.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]

_MAX_VALUES = 200_000  # a rule file of 200,000 values is a bomb, not a rule file
_MAX_DEPTH = 64
_MAX_OPEN_BRACKETS = 1_000  # libyaml counts its own stack, Python's loader does not


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in one file: its place, and what is wrong and probably meant. Line 0: not in any line."""

    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        place = self.file if self.line == 0 else f"{self.file}:{self.line}:{self.column}"
        return _on_one_line(f"{place}: {self.what}")


def _on_one_line(text: str) -> str:
    """What a file or its name holds may not take over a terminal, nor write a line of its own into a log."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data with the places of its values and keys; what could not be read is in `mistakes`."""

    name: str
    data: Any
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    key_places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()
    broken: frozenset[Path] = frozenset()
    """Values that could not be read. That is said already, so nothing more is said of them."""

    @classmethod
    def empty(cls, name: str) -> "Document":
        return cls(name, {})

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path` (of its key, if asked), or of what is nearest around it."""
        if key and path in self.key_places:
            return self.key_places[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))

    def mistake(self, path: Path, what: str, *, key: bool = False) -> Mistake:
        """A mistake at `path`; data that was never text is told by the path itself."""
        if not self.places:
            return Mistake(self.name, 0, 0, f"{'.'.join(map(str, path))}: {what}" if path else what)
        line, column = self.place(path, key=key)
        return Mistake(self.name, line, column, what)

    def is_broken(self, path: Path) -> bool:
        """Whether the value at `path`, or one around it, could not be read."""
        return any(path[: len(broken)] == broken for broken in self.broken)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one where PyYAML has it
    """Only composes nodes; the core schema of YAML 1.2 decides what a plain scalar is."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


_CORE = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")

for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(
        _tag, re.compile(rf"(?:{_pattern})\Z"), list(_first) + ([""] if "null" in _tag else [])
    )


def read_document(text: str, *, name: str) -> Document:
    """Read one YAML document. It never raises for bad text: the mistakes are in the result."""
    if _nests_too_deep(text):
        return Document(name, None, mistakes=(Mistake(name, 1, 1, "this file nests its values too deeply"),))
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        return Document(name, None, mistakes=(_not_yaml(name, text, error),))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        what = f"this is not YAML: {' '.join(str(error).split())}"
        return Document(name, None, mistakes=(Mistake(name, 1, 1, what),))
    if root is None:
        return Document(name, {}, places={(): (1, 1)})
    reader = _Reader(name)
    data = reader.read(root, ())
    return Document(name, data, reader.places, reader.key_places, tuple(reader.mistakes), frozenset(reader.broken))


def _nests_too_deep(text: str) -> bool:
    """Whether so many brackets open without closing that a parser could exhaust its stack."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = max(depth + (1 if bracket in "[{" else -1), 0)
        if depth > _MAX_OPEN_BRACKETS:
            return True
    return False


def _not_yaml(name: str, text: str, error: yaml.MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    what = f"this is not YAML: {error.problem or error.context}"
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    near = [lines[n] for n in (line - 2, line - 1) if 0 <= n < len(lines)]
    if any(re.search(r"(?:^|[:-]) *\{\{", one) for one in near):
        what += '; a value that begins with {{ is quoted as a whole: "{{ … }}"'
    elif "did not find expected ',' or" in what and any('"' in one and "'" not in one for one in near):
        what += "; quote each item as a whole in single quotes, like 'alertname=\"ServiceDown\"'"
    elif "could not find expected ':'" in what:
        what += "; is a colon missing, or is the line above indented differently?"
    elif "mapping values are not allowed" in what:
        what += "; a text with `: ` in it is quoted"
    elif any("\u00a0" in one for one in near):
        what += "; there is a no-break space near here, which looks like a space; type it anew"
    elif any("\t" in one[: len(one) - len(one.lstrip())] for one in near):
        what += "; indent with spaces, not with tabs"
    return Mistake(name, line, column, what)


class _Reader:
    """Makes plain data of composed nodes and remembers where each value stood."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[Path, tuple[int, int]] = {}
        self.key_places: dict[Path, tuple[int, int]] = {}
        self.mistakes: list[Mistake] = []
        self.broken: set[Path] = set()
        self._count = 0
        self._gave_up = False

    def _wrong(self, node: yaml.Node, path: Path, what: str, *, broken: bool = True) -> None:
        mark = node.start_mark
        self.mistakes.append(Mistake(self.name, mark.line + 1, mark.column + 1, what))
        if broken:
            self.broken.add(path)

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        if self._gave_up or self._count > _MAX_VALUES or len(path) > _MAX_DEPTH:
            return self._give_up(node)
        self.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            if not node.tag.endswith(":seq"):
                self._wrong(node, path, f"the tag {node.tag} is not known here")
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _give_up(self, node: yaml.Node) -> None:
        """Say once that it is too much; the whole document counts as not read."""
        if not self._gave_up:
            self._wrong(node, (), "this file is too large or too deep; do aliases (`*name`) repeat each other?")
        self._gave_up = True

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        if not node.tag.endswith(":map"):
            self._wrong(node, path, f"the tag {node.tag} is not known here")
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._bad_key(node, key_node, path)
                continue
            key = str(key_node.value)
            if key == "<<" and not key_node.style:
                what = "merge keys (`<<`) are not supported; write the values out"
                self._wrong(key_node, path, what, broken=False)
                continue
            if key in data:
                line = self.key_places[*path, key][0]
                what = f"`{key}` stands twice; the first one is in line {line}"
                self._wrong(key_node, path, what, broken=False)
                continue
            self.key_places[*path, key] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            data[key] = self.read(value_node, (*path, key))
        return data

    def _bad_key(self, node: yaml.Node, key: yaml.Node, path: Path) -> None:
        """Most often an expression without quotes: YAML takes `{{ x }}` for a mapping within a mapping."""
        if isinstance(key, yaml.MappingNode) and key.flow_style:
            what = 'braces without quotes are a mapping in YAML; quote an expression as a whole: "{{ … }}"'
            what += ", and write it without braces in `when` and `expect`"
            self._wrong(node, path, what)
        else:
            self._wrong(key, path, "a key is a plain word, not a list or a mapping")

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        text = str(node.value)
        match node.tag.rpartition(":")[2]:
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return self._number(node, path, int, text)
            case "float":
                return self._number(node, path, float, text)
            case _:
                what = f"the tag {node.tag} is not known here"
                self._wrong(node, path, what + "; quote the value if the exclamation mark belongs to it")
                return text

    def _number(self, node: yaml.Node, path: Path, kind: type[int] | type[float], text: str) -> Any:
        if _LEADING_ZERO.fullmatch(text):
            plain = text.lstrip("+-0") or "0"
            self._wrong(node, path, f"{text} begins with a zero, which some read as octal; write {plain}, or quote it")
            return 0
        try:
            number = kind(text)
        except ValueError:
            self._wrong(node, path, "this number is too long; quote it if it is text")
            return 0
        if number in (float("inf"), float("-inf")):
            self._wrong(node, path, "this number is too large")
            return 0
        return number


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
    faulty = {fault.path[:-1] for fault in found if fault.path}
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
    context = detail.get("ctx", {})
    if detail["type"] in _SAID:
        return f"{name} {_SAID[detail['type']].format_map(context)}"
    match detail["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return _say_unknown(str(path[-1]), model, path[:-1])
        case "value_error":
            return str(context.get("error", detail["msg"]))
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
