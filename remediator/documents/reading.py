"""Reads YAML as people expect it (the core schema of YAML 1.2), with the place of every value.

`no` and `on` are strings, only `true` and `false` are booleans, and there are no octal or base-60 surprises. Duplicate
keys, tags and aliases that grow without bound are mistakes. It never raises for bad text, and touches no file itself.
"""

import re
from typing import Any, ClassVar

import yaml

from remediator.documents.document import Document, Mistake, Path

_MAX_VALUES = 200_000  # a rule file of 200,000 values is a bomb, not a rule file
_MAX_DEPTH = 64
_MAX_OPEN_BRACKETS = 1_000  # libyaml counts its own stack, Python's loader does not


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
    if "found another document" in what:
        what = "this file holds several YAML documents (`---`); make each a file of its own"
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
