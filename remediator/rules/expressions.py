"""The one expression language: bare in `when` and `expect`, within `{{ }}` in text.

Expressions are checked and compiled when rules are loaded; after that they are only evaluated, each once.

Rules are compiled with it; the pipeline evaluates with a `Scope`. What an alert says is data here: text that
came out of an expression is never looked at again, whatever it looks like.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template as Program
from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer

from remediator.errors import BadExpression
from remediator.kit.redaction import shorten
from remediator.model.facts import Evidence
from remediator.rules import checking, vocabulary
from remediator.rules.absence import Absences
from remediator.rules.checking import Names
from remediator.rules.escaping import unescaped
from remediator.rules.kinds import Kind
from remediator.rules.sandbox import Labels, Sandbox, Steps

__all__ = ["Expression", "Names", "Scope", "Template", "kind_of", "parse_expression", "parse_template", "parts_of"]

_SANDBOX = Sandbox()
_LONGEST_SOURCE = 10_000
_CACHED = 8192
_FAILURES = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What names stand for. `steps` is the evidence by the id of its diagnosis step (`state`)."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Evidence] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    """What a check found; only while its `expect` is evaluated."""
    starts_at: datetime | None = None
    fingerprint: str = ""
    local: Mapping[str, Any] = field(default_factory=dict)
    """Names that are known at one place only, as `item` within `compute`."""

    def bind(self, names: frozenset[str], absences: Absences) -> dict[str, Any]:
        """The values of these names at the least, as the sandbox takes them."""
        bound = {
            "labels": Labels(self.labels, absences),
            "annotations": Labels(self.annotations, absences, prefix="annotations."),
            "vars": self.vars,
            "steps": Steps(self.steps),
            "result": self.result,
            **self.local,
        }
        if "alert" in names and "alert" not in self.local:
            bound["alert"] = {
                "name": self.labels.get("alertname", ""),
                "fingerprint": self.fingerprint,
                "starts_at": "" if self.starts_at is None else self.starts_at.astimezone(UTC).isoformat(),
            }
        return bound


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression, checked and compiled."""

    source: str
    names: frozenset[str]
    """What its paths begin with: `labels`, `vars`, …"""
    program: Program = field(repr=False, compare=False)
    steps: frozenset[str] = frozenset()
    """The ids of the diagnosis steps that it looks at."""

    def lets_labels_through(self, filters: tuple[str, ...]) -> bool:
        """Whether what a sender wrote comes out of it without having passed one of `filters`."""
        return unescaped(_tree_of(self.source), filters)

    def evaluate(self, scope: Scope, absences: Absences | None = None) -> Any:
        """Its value as plain data; labels that are missing are noted in `absences`.

        Raises NoEvidence where it needs a diagnosis step that failed, else BadExpression where it fails.
        """
        try:
            names = scope.bind(self.names, Absences() if absences is None else absences)
            return vocabulary.plain(_result_of(self.program, names))
        except _FAILURES as error:
            what = shorten(_one_line(str(error) or type(error).__name__), 300)
            raise BadExpression(f"`{_one_line(self.source)}` cannot be worked out: {what}") from error


@dataclass(frozen=True, slots=True)
class Template:
    """Text with expressions in it, in the order in which they stand."""

    source: str
    parts: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def is_constant(self) -> bool:
        """Whether it says the same for every alert: it has no expression, or only such as read `vars`."""
        return all(part.names <= {"vars"} for part in self.expressions)

    def render(self, scope: Scope, absences: Absences | None = None) -> Any:
        """The text; the value itself, with its type, where the template is exactly one expression.

        Raises NoEvidence and BadExpression, as `Expression.evaluate` does.
        """
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self.parts[0].evaluate(scope, absences)
        text = "".join(self._texts(scope, absences))
        if len(text.encode("utf-8", "surrogatepass")) > vocabulary.MAX_TEXT:
            limit = vocabulary.MAX_TEXT // 1024
            raise BadExpression(f"`{_one_line(self.source)}` comes to more than {limit} KiB")
        return text

    def _texts(self, scope: Scope, absences: Absences | None) -> Iterator[str]:
        for part in self.parts:
            if isinstance(part, str):
                yield part
                continue
            try:
                yield vocabulary.text_of(part.evaluate(scope, absences))
            except TypeError as error:
                raise BadExpression(f"`{_one_line(part.source)}` cannot be put into text: {error}") from error


def parse_expression(source: str, names: Names, *, is_condition: bool = False) -> Expression:
    """A bare expression. Raises BadExpression with one line for each mistake in it."""
    if source.lstrip().startswith("{{"):
        raise BadExpression("this is an expression already; write it without {{ }}")
    if "{%" in source or "{#" in source:
        raise BadExpression("there are expressions only here, no `{% … %}` and no `{# … #}`")
    return _parse(source, names, is_condition=is_condition)


def kind_of(source: str, names: Names) -> Kind:
    """The kind of the value of an expression that was parsed with these names, as far as it is known at load."""
    return checking.kind_in(_tree_of(source), names)


def parts_of(source: str, root: str) -> frozenset[str]:
    """The parts of one name that an expression looks at; none where it is no expression, which parsing it tells."""
    try:
        return checking.parts_in(_tree_of(source), root)
    except BadExpression:
        return frozenset()


def parse_template(text: str, names: Names) -> Template:
    """Text with `{{ expressions }}`. Raises BadExpression with one line for each mistake in it."""
    if not re.search(r"\{[{%#]", text):
        return Template(text, (text,))
    parts: list[str | Expression] = []
    mistakes: list[str] = []
    for is_expression, piece in _pieces(text):
        try:
            parts.append(_parse(piece, names) if is_expression else piece)
        except BadExpression as error:
            mistakes += str(error).splitlines()
    if mistakes:
        raise BadExpression("\n".join(dict.fromkeys(mistakes)))
    return Template(text, tuple(parts))


def _pieces(text: str) -> list[tuple[bool, str]]:
    """The text taken apart into what is plain (False) and what is an expression (True)."""
    pieces: list[tuple[bool, str]] = []
    inside: list[str] | None = None
    try:
        tokens = list(_SANDBOX.lex(text))
    except TemplateSyntaxError as error:
        raise BadExpression(_syntax(text, error)) from error
    for _, token, value in tokens:
        if token in ("block_begin", "comment_begin", "raw_begin"):
            raise BadExpression("there are expressions only here, no `{% … %}` and no `{# … #}`")
        if token == "variable_begin":  # noqa: S105 - Jinja2's name for `{{`
            inside = []
        elif token == "variable_end":  # noqa: S105 - Jinja2's name for `}}`
            pieces.append((True, "".join(inside or ()).strip()))
            inside = None
        elif inside is not None:
            inside.append(value)
        elif value:
            pieces.append((False, value))
    if inside is not None:
        raise BadExpression("`{{` is not closed; `}}` is missing")
    return pieces


def _parse(source: str, names: Names, *, is_condition: bool = False) -> Expression:
    if not source.strip():
        raise BadExpression("an expression is missing here")
    if len(source) > _LONGEST_SOURCE:
        raise BadExpression(f"this expression is longer than {_LONGEST_SOURCE} characters")
    tree = _tree_of(source)
    mistakes = checking.check(tree, names, is_condition=is_condition)
    if mistakes and (dashed := _DASHED.search(source)):
        mistakes = [f"a name with a dash in it is written `{dashed[1]}['{dashed[2]}']`"]
    if mistakes:
        raise BadExpression("\n".join(map(_one_line, mistakes)))
    return Expression(source.strip(), checking.names_in(tree), _program_of(source), checking.parts_in(tree, "steps"))


class _ConcatAsJoin(NodeTransformer):
    """`a ~ b` becomes `[a, b]|join`, so that it makes the same text of a value as `{{ a }}{{ b }}` does."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja2 looks for this name
        self.generic_visit(node)
        joined = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(joined, "join", [], [], None, None, lineno=node.lineno)


def _read(source: str) -> nodes.Expr:
    parser = Parser(_SANDBOX, source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        rest = parser.stream.current
        raise TemplateSyntaxError(f"it goes on with {str(rest.value)!r} after its end", rest.lineno)
    return tree


@lru_cache(maxsize=_CACHED)
def _tree_of(source: str) -> nodes.Expr:
    """The syntax tree of an expression; whoever gets it only looks at it. Raises BadExpression."""
    try:
        return _read(source)
    except TemplateSyntaxError as error:
        raise BadExpression(_syntax(source, error)) from error
    except RecursionError as error:
        raise BadExpression("this expression nests too deeply; take it apart") from error
    except ValueError as error:  # Python reads no number of so many digits
        raise BadExpression("a number in it is too large to be used") from error


@lru_cache(maxsize=_CACHED)
def _program_of(source: str) -> Program:
    """The program of an expression that was checked: a template that sets `result` and has no text."""
    tree = _ConcatAsJoin().visit(_read(source))
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)]
    template = nodes.Template(body, lineno=1)
    template.set_environment(_SANDBOX)
    return _SANDBOX.from_string(template)


def _result_of(program: Program, names: dict[str, Any]) -> Any:
    """What a program comes to. Jinja2's own way to do this copies all names twice."""
    context = program.new_context(names, shared=True)
    for _ in program.root_render_func(context):
        pass
    return context.vars["result"]


_DASHED = re.compile(r"\b(labels|annotations)\.(\w+(?:-[a-zA-Z_]\w*)+)")
_HINTS = (
    (r"&&", "write `and`"),
    (r"\|\|", "write `or`"),
    (r"!(?!=)", "write `not`"),
    (r"(?<![=!<>])=(?!=)", "two are equal by `==`"),
    (r"\$", "names have no `$`"),
    (r"\?", "write `a if … else b`"),
    (r"\blabels\.[\w.]*-", "a name with a dash in it is written `labels['…']`"),
)


def _syntax(source: str, error: TemplateSyntaxError) -> str:
    hint = next((f"; {hint}" for pattern, hint in _HINTS if re.search(pattern, source)), "")
    return _one_line(f"`{shorten(source, 200)}` is no expression: {error.message}{hint}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
