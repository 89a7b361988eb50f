"""The check of an expression when it is loaded: each name, part, filter and call in it must be known.

Called by `expressions` for each expression of a rule file. It walks Jinja2's syntax tree and evaluates
nothing.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes
from pydantic import BaseModel

from remediator.documents import did_you_mean
from remediator.rules import vocabulary
from remediator.rules.kinds import (
    ANY_PART,
    UNCHECKED,
    Evidences,
    InCommon,
    Kind,
    Known,
    NoSuchPart,
    Part,
    choices_of,
    family_of,
    item_of,
    part_of,
)

ALERT_FIELDS = ("fingerprint", "name", "starts_at")
_MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Names:
    """What an expression may speak of, at the place where it stands."""

    vars: Mapping[str, Any] | None = field(default_factory=dict)
    """The variables of the pack; None where they are mistaken themselves."""
    steps: Mapping[str, type[BaseModel] | None] | None = None
    """The diagnosis steps with the models of their results; None where there is no evidence yet."""
    result: type[BaseModel] | None = None
    """The model of the result that an `expect` looks at; None anywhere else."""
    labels: frozenset[str] | None = None
    """The labels that are the same in all alerts of a group; None where a rule does not group."""
    local: Mapping[str, Kind] = field(default_factory=dict)
    """Names that are known at this one place, as `item` within `compute`."""

    def kinds(self) -> dict[str, Kind]:
        alert = dict.fromkeys(ALERT_FIELDS, "")
        known: dict[str, Kind] = {
            "labels": Mapping[str, str] if self.labels is None else InCommon("labels", self.labels),
            "annotations": Mapping[str, str] if self.labels is None else InCommon("annotations", frozenset()),
            "vars": Any if self.vars is None else Known(self.vars),
            "alert": Known(alert) if self.labels is None else InCommon("alert", self._of_alert()),
        }
        if self.steps is not None:
            known["steps"] = Evidences(self.steps)
        if self.result is not None:
            known["result"] = self.result
        return {**known, **self.local}

    def _of_alert(self) -> frozenset[str]:
        """What the alerts of a group have in common, beside labels."""
        return frozenset({"name"} if self.labels and "alertname" in self.labels else ())


def check(tree: nodes.Node, names: Names, *, is_condition: bool = False) -> list[str]:
    """Every mistake in the expression, in words. A condition is no text or number: those are nearly always true."""
    checker = _Checker(names)
    family = family_of(checker.value(tree))
    if is_condition and family not in ("", "true or false"):
        hint = f"`{spell(tree)} != ''`" if family == "text" else f"`{spell(tree)} > 0`"
        checker.mistakes.append(
            f"`{spell(tree)}` is {family}, and this takes what is true or false; compare it, as in {hint}"
        )
    return list(dict.fromkeys(checker.mistakes))


def names_in(tree: nodes.Node) -> frozenset[str]:
    """The names that the expression begins its paths with: `labels`, `vars`, …"""
    found = {name.name for name in tree.find_all(nodes.Name)}
    return frozenset(found | {tree.name} if isinstance(tree, nodes.Name) else found)


def kind_in(tree: nodes.Node, names: Names) -> Kind:
    """The kind of an expression's value, as far as it is known at load."""
    return _Checker(names).value(tree)


def parts_in(tree: nodes.Node, root: str) -> frozenset[str]:
    """The parts of one name that the expression looks at: of `steps` the ids of diagnosis steps."""
    found = set()
    parts = (nodes.Getattr, nodes.Getitem)
    for node in (*tree.find_all(parts), *([tree] if isinstance(tree, parts) else ())):
        if not (isinstance(node.node, nodes.Name) and node.node.name == root):
            continue
        if isinstance(node, nodes.Getattr):
            found.add(node.attr)
        elif isinstance(node.arg, nodes.Const):
            found.add(str(node.arg.value))
    return frozenset(found)


_NOT_HERE = {
    "steps": "`steps` cannot be used here: there is no evidence yet; use it in `diagnose`, `when`, `do` and `checks`",
    "item": "`item` is one of the things that `compute` goes through by `each`; it is known only there",
    "let": "`let` holds the values of one `compute`, within it; as evidence they are `steps.<id>.let.<name>`",
    "result": "`result` is what a check found, only `expect` has it; evidence is `steps.<id>.<field>`",
}


class _Checker:
    """Works out the kind of each part of an expression and collects what is wrong."""

    def __init__(self, names: Names) -> None:
        self._kinds = names.kinds()
        self.mistakes: list[str] = []
        self._depth = 0

    def value(self, node: nodes.Node) -> Kind:
        """The kind of a value that is used as it is, where `kind_of` may also be on the way to a part of it."""
        kind = self.kind_of(node)
        if isinstance(kind, InCommon):
            self.mistakes.append(f"`{kind.name}` as a whole differs among the alerts that this rule groups")
            return Any
        if isinstance(kind, Evidences):
            self.mistakes.append("`steps` is followed by a step's id and a field, as in `steps.state.status`")
            return Any
        return kind

    def kind_of(self, node: nodes.Node) -> Kind:
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                self.mistakes.append("this expression nests too deeply; take it apart")
                return UNCHECKED
            visit: Callable[[Any], Kind] = getattr(self, f"_{type(node).__name__.lower()}", self._unknown)
            return visit(node)
        finally:
            self._depth -= 1

    def _unknown(self, node: nodes.Node) -> Kind:
        self.mistakes.append(f"`{type(node).__name__.lower()}` cannot be used in an expression")
        return UNCHECKED

    def _all(self, node: nodes.Node) -> Kind:
        for child in node.iter_child_nodes():
            self.value(child)
        return UNCHECKED

    _and = _or = _list = _tuple = _dict = _pair = _keyword = _operand = _slice = _all

    def _const(self, node: nodes.Const) -> Kind:
        if isinstance(node.value, float) and not math.isfinite(node.value):
            self.mistakes.append("a number in it is too large to be used")
            return UNCHECKED
        return Known(node.value)

    def _name(self, node: nodes.Name) -> Kind:
        if node.name in self._kinds:
            return self._kinds[node.name]
        self.mistakes.append(self._no_such_name(node.name))
        return Any

    def _no_such_name(self, name: str) -> str:
        if name in _NOT_HERE:
            return _NOT_HERE[name]
        if name in ("null", "nil"):
            return f"`{name}` is written `none`"
        near = did_you_mean(name, self._kinds)
        if near.startswith("; known"):
            near += f"; a label is `labels.{name}`, and text stands in quotes"
        return f"`{name}` is not known here{near}"

    def _getattr(self, node: nodes.Getattr) -> Kind:
        return self._part(node.node, node.attr)

    def _getitem(self, node: nodes.Getitem) -> Kind:
        if isinstance(node.arg, nodes.Slice):
            self.value(node.arg)
            return self.value(node.node)
        argument = node.arg.node if isinstance(node.arg, nodes.Neg) else node.arg
        if isinstance(argument, nodes.Const) and isinstance(argument.value, str | int):
            return self._part(node.node, argument.value if argument is node.arg else -1)
        self.value(node.arg)
        return self._part(node.node, ANY_PART)

    def _part(self, of: nodes.Expr, part: Part) -> Kind:
        kind = self.kind_of(of)
        try:
            return part_of(kind, part, spell(of))
        except NoSuchPart as error:
            is_method = family_of(kind) == "text" and part in vocabulary.METHODS
            self.mistakes.append(f"{error}; a method is called: `{part}()`" if is_method else str(error))
            return Any

    def _call(self, node: nodes.Call) -> Kind:
        self._arguments(node)
        if not isinstance(node.node, nodes.Getattr):
            self.mistakes.append(f"`{spell(node.node)}` cannot be called")
            return UNCHECKED
        name, kind = node.node.attr, self.value(node.node.node)
        if name not in vocabulary.METHODS:
            known = did_you_mean(name, vocabulary.METHODS)
            filters = f"; there is a filter `|{name}`" if name in vocabulary.FILTERS else known
            self.mistakes.append(f"`{name}()` cannot be called in an expression{filters}")
            return UNCHECKED
        if family_of(kind) not in ("text", ""):
            self.mistakes.append(f"`{spell(node.node.node)}` is {family_of(kind)}, `{name}()` is for text")
        self._fits(f"{name}()", vocabulary.METHODS[name], node)
        return vocabulary.METHOD_KINDS[name]

    def _filter(self, node: nodes.Filter) -> Kind:
        kind = UNCHECKED if node.node is None else self.value(node.node)
        self._arguments(node)
        if node.name not in vocabulary.FILTERS:
            known = did_you_mean(node.name, vocabulary.FILTERS)
            self.mistakes.append(f"there is no filter `{node.name}` here{known}")
            return UNCHECKED
        self._fits(f"|{node.name}", vocabulary.FILTERS[node.name], node)
        if node.name in ("first", "last"):
            return item_of(kind)
        return vocabulary.FILTER_KINDS.get(node.name, UNCHECKED)

    def _test(self, node: nodes.Test) -> Kind:
        self.value(node.node)
        self._arguments(node)
        if node.name not in vocabulary.TESTS:
            known = did_you_mean(node.name, vocabulary.TESTS)
            self.mistakes.append(f"there is no test `is {node.name}` here{known}")
        else:
            self._fits(f"is {node.name}", vocabulary.TESTS[node.name], node)
        return bool

    def _arguments(self, node: nodes.Call | nodes.Filter | nodes.Test) -> None:
        for argument in (*node.args, *node.kwargs):
            self.value(argument)
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            self.mistakes.append("`*` and `**` cannot be used among arguments; write them out")

    def _fits(self, name: str, function: Callable[..., Any], node: nodes.Call | nodes.Filter | nodes.Test) -> None:
        try:
            named = {str(pair.key): None for pair in node.kwargs}
            inspect.signature(function).bind(None, *node.args, **named)
        except TypeError as error:
            self.mistakes.append(f"`{name}`: {error}")

    def _compare(self, node: nodes.Compare) -> Kind:
        left, name = self.value(node.expr), spell(node.expr)
        for operand in node.ops:
            right = self.value(operand.expr)
            families = family_of(left), family_of(right)
            if operand.op not in ("in", "notin") and all(families) and families[0] != families[1]:
                self.mistakes.append(_never_equal(name, spell(operand.expr), families))
            if operand.op in ("eq", "ne"):
                self.mistakes += _no_such_choice(name, left, right) + _no_such_choice(spell(operand.expr), right, left)
            left, name = right, spell(operand.expr)
        return bool

    def _not(self, node: nodes.Not) -> Kind:
        self.value(node.node)
        return bool

    def _concat(self, node: nodes.Concat) -> Kind:
        self._all(node)
        return str

    def _condexpr(self, node: nodes.CondExpr) -> Kind:
        if node.expr2 is None:
            self.mistakes.append("`… if …` needs its `else …`")
        self._all(node)
        return UNCHECKED

    def _calculation(self, node: nodes.BinExpr) -> Kind:
        families = family_of(self.value(node.left)), family_of(self.value(node.right))
        same = families[0] if families[0] == families[1] else ""
        if node.operator == "+" and same == "text":
            return str
        if node.operator == "-" and isinstance(node.left, nodes.Getattr) and isinstance(node.right, nodes.Name):
            name = f"{spell(node.left.node)}['{node.left.attr}-{node.right.name}']"
            self.mistakes.append(f"if `-` is a dash, write `{name}`")
        text = next((s for s, f in zip((node.left, node.right), families, strict=True) if f == "text"), None)
        if text is not None and (node.operator != "+" or all(families)):
            hint = "join text with `~`" if node.operator == "+" else f"write `{spell(text)}|int`"
            self.mistakes.append(f"`{spell(text)}` is text, `{node.operator}` is for numbers; {hint}")
        return float if same == "a number" else UNCHECKED

    _add = _sub = _mul = _div = _floordiv = _mod = _calculation

    def _pow(self, node: nodes.Pow) -> Kind:
        self.mistakes.append("`**` cannot be used in an expression")
        return self._all(node)

    def _sign(self, node: nodes.UnaryExpr) -> Kind:
        kind = self.value(node.node)
        if family_of(kind) == "text":
            self.mistakes.append(f"`{spell(node.node)}` is text and has no sign")
        return float if family_of(kind) == "a number" else UNCHECKED

    _neg = _pos = _sign


def _no_such_choice(name: str, kind: Kind, other: Kind) -> list[str]:
    """That a value is compared with a text that it never is."""
    choices = choices_of(kind)
    if not choices or not isinstance(other, Known) or not isinstance(other.value, str) or other.value in choices:
        return []
    return [f"`{name}` is never {other.value!r}{did_you_mean(other.value, choices)}"]


def _never_equal(left: str, right: str, families: tuple[str, str]) -> str:
    what = f"`{left}` is {families[0]} and `{right}` is {families[1]}, they cannot be compared"
    if set(families) == {"text", "a number"}:
        text = left if families[0] == "text" else right
        number = text.strip("'\"")
        is_quoted = text[:1] in "'\""
        return f"{what}; write `{number}` without quotes" if is_quoted else f"{what}; write `{text}|int`"
    return what


def spell(node: nodes.Node) -> str:
    """An expression's path as it was written, for messages."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Const():
            return repr(node.value)
        case nodes.Getattr():
            return f"{spell(node.node)}.{node.attr}"
        case nodes.Getitem():
            return f"{spell(node.node)}[{spell(node.arg)}]"
        case nodes.Filter() if node.node is not None:
            return f"{spell(node.node)}|{node.name}"
        case nodes.Call():
            return f"{spell(node.node)}()"
        case _:
            return "(…)"
