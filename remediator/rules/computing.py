"""`compute` in `diagnose`: works out values from evidence, or goes through a list and counts what holds.

A construct of the language and no registered action: an action knows nothing of rules. `compiling` makes a step of it
that the pipeline carries out like any other. It only evaluates expressions: it reaches nothing, and what it may go
through, keep and show is bounded.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, InstanceOf, ValidationError, create_model, model_validator
from typing_extensions import TypedDict

from remediator.documents import Path
from remediator.errors import BadExpression, Failed, NoEvidence
from remediator.kit.redaction import shorten
from remediator.model.ids import StepId
from remediator.model.plan import Effect
from remediator.plugins import Action, ActionContext, Params, Result
from remediator.rules import ordering
from remediator.rules.absence import Absences
from remediator.rules.expressions import Expression, Names, Scope, kind_of, parse_expression, parts_of
from remediator.rules.grammar import ExpressionText, Shape
from remediator.rules.kinds import Kind, family_of, is_surely_no_list, item_of
from remediator.rules.reporting import Report
from remediator.rules.rule import Rendered, Step

COMPUTE = "compute"
MOST_ITEMS = 1000
_MOST_NAMES = 32
_MOST_EXAMPLES = 20
_TIMEOUT = timedelta(seconds=5)
_ERRORS_KEPT = 3
_ERROR_LIMIT = 200
_PART_LIMIT = 200  # characters of one value of an example
_EXAMPLES_ROOM = 8_000  # characters of all examples together, so that the counts are never cut to make room for them
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KINDS: Mapping[str, Kind] = {"text": str, "a number": float, "true or false": bool}


class ComputeShape(Shape):
    """What `compute` takes."""

    each: ExpressionText | None = None
    """A list to go through; expressions see one of its items as `item`. Without it, values are worked out once."""
    let: dict[str, ExpressionText] = Field(default_factory=dict, max_length=_MOST_NAMES)
    """Values by name; each sees the others as `let.<name>`, and is worked out after those that it needs."""
    count: dict[str, ExpressionText] = Field(default_factory=dict, max_length=_MOST_NAMES)
    """Conditions by name; counted is for how many items each holds."""
    examples: Annotated[int, Field(ge=0, le=_MOST_EXAMPLES)] = 3
    """How many items are kept to be shown, for each count."""
    show: Annotated[tuple[str, ...], Field(max_length=_MOST_NAMES)] = ()
    """Which fields of such an item are kept; all of them where it is left out."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.each is None and self.count:
            raise ValueError("`count` counts the items of a list; say which one by `each`")
        if self.each is not None and not self.count:
            raise ValueError("`each` goes through a list to count its items; say by `count` which ones")
        if self.each is None and not self.let:
            raise ValueError("nothing is worked out here; name a value by `let`, or go through a list by `each`")
        return self


class Computing(Params):
    """What is to be worked out, and the evidence that it is worked out from."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    each: str | None
    """The list to go through, as it stands in the rule."""
    let: dict[str, str]
    """The expressions of the values, as they stand in the rule."""
    count: dict[str, str]
    """The conditions, as they stand in the rule."""
    scope: InstanceOf[Scope] = Field(exclude=True, repr=False)
    """What they see; never shown or stored."""


class Worked(Result):
    """Values that were worked out."""

    let: Mapping[str, Any]
    """The values by their names."""

    def brief(self) -> str:
        return _said(self.let)


class Counted(Result):
    """How many items of a list each condition holds for."""

    total: int
    """How many items were looked at."""
    left_out: int
    """How many more there are, which were not."""
    failed: int
    """For how many the expressions could not be worked out; these are in no count."""
    counts: Mapping[str, int]
    """For how many each condition holds."""
    examples: Mapping[str, Any]
    """The first items of each count: `item`, as far as it is shown, and `let`."""
    errors: tuple[str, ...]
    """Why the first ones failed."""

    def brief(self) -> str:
        whole = f"{self.total} of {self.total + self.left_out} items" if self.left_out else _items(self.total)
        said = [f"{name} {count}{_share(count, self.total)}" for name, count in self.counts.items()]
        if self.failed:
            said.append(f"failed {self.failed}")
        return f"{whole}: {', '.join(said)}"

    def detail(self) -> str:
        lines = [f"{name}: {_say_example(one)}" for name, kept in self.examples.items() for one in kept]
        return "\n".join([*lines, *(f"failed: {error}" for error in self.errors)])


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _share(count: int, total: int) -> str:
    return f" ({min(100 * count / total, 99):.2g} %)" if 0 < count < total else ""


def _said(values: Any) -> str:
    if not isinstance(values, Mapping):
        return _say_value(values)
    return ", ".join(f"{name}: {_say_value(value)}" for name, value in values.items())


def _say_example(example: Mapping[str, Any]) -> str:
    said = _said(example["item"])
    return f"{said} (worked out: {_said(example['let'])})" if example["let"] else said


def _say_value(value: Any) -> str:
    match value:
        case str():
            return shorten(" ".join(value.split()), _PART_LIMIT)
        case float():
            return f"{value:.6g}"
    return shorten(json.dumps(value, ensure_ascii=False), _PART_LIMIT)


def model_of(raw: Any) -> type[Result]:
    """The model of what a `compute` finds, as far as it can be told from what stands in the rule."""
    shape: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
    let, count = _names_in(shape.get("let")), _names_in(shape.get("count"))
    if shape.get("each") is None:
        return create_model("Worked", __base__=Worked, let=(_mapping("Let", dict.fromkeys(let, Any)), ...))
    return create_model(
        "Counted",
        __base__=Counted,
        counts=(_mapping("Counts", dict.fromkeys(count, int)), ...),
        examples=(_mapping("Examples", dict.fromkeys(count, list[Any])), ...),
    )


def _names_in(raw: Any) -> list[str]:
    return [str(name) for name in raw] if isinstance(raw, Mapping) else []


def _mapping(name: str, keys: Mapping[str, Kind]) -> Any:
    """The type of a mapping whose keys are all known. Names of any kind may be keys, which a model's fields may not."""
    make: Any = TypedDict
    return make(name, dict(keys))


@dataclass(frozen=True, slots=True)
class Program:
    """A `compute`, checked and compiled."""

    result: type[Result]
    each: Expression | None = None
    let: Mapping[str, Expression] = field(default_factory=dict)
    count: Mapping[str, Expression] = field(default_factory=dict)
    examples: int = 0
    show: tuple[str, ...] = ()

    @property
    def steps(self) -> frozenset[str]:
        """The ids of the diagnosis steps that it looks at."""
        own = () if self.each is None else (self.each,)
        return frozenset().union(*(one.steps for one in (*own, *self.let.values(), *self.count.values())))

    async def perform(self, _: ActionContext, params: Computing) -> Result:
        """Work it out. Raises BadExpression, and Failed where there is no list or nothing of it could be used."""
        if self.each is None:
            return self.result(let=await self._lets(params.scope, {}))
        items = await _work_out(self.each, params.scope)
        if not isinstance(items, list):
            raise Failed(f"`{self.each.source}` is no list now, and `each` goes through one")
        tally = _Tally(self)
        for number, item in enumerate(items[:MOST_ITEMS], 1):
            await tally.add(number, item, params.scope)
        if items and tally.failed == len(items[:MOST_ITEMS]):
            raise Failed(f"not one of {_items(len(items))} could be worked out; {tally.errors[0]}")
        return self.result(
            total=len(items[:MOST_ITEMS]),
            left_out=len(items[MOST_ITEMS:]),
            failed=tally.failed,
            counts=tally.counts,
            examples=tally.examples,
            errors=tuple(tally.errors),
        )

    async def _lets(self, scope: Scope, local: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, expression in self.let.items():
            values[name] = await _work_out(expression, replace(scope, local={**local, "let": values}))
        return values

    async def judge(self, item: Any, scope: Scope) -> tuple[dict[str, Any], list[str]]:
        """What was worked out of an item, and the names of the conditions that hold. Raises BadExpression."""
        values = await self._lets(scope, {"item": item})
        within = replace(scope, local={"item": item, "let": values})
        holding = []
        for name, condition in self.count.items():
            verdict = await _work_out(condition, within)
            if not isinstance(verdict, bool):
                raise BadExpression(f"`{condition.source}` came to {_say_value(verdict)}, not to true or false")
            if verdict:
                holding.append(name)
        return values, holding


async def _work_out(expression: Expression, scope: Scope) -> Any:
    """Its value. A label that is missing is no value: as evidence, nobody would see any more that it was missing."""
    absences = Absences()
    value = expression.evaluate(scope, absences)
    if absences.names:
        missing = ", ".join(sorted(absences.names))
        raise BadExpression(f"`{expression.source}` needs a label that the alert lacks: {missing}; use `|default(…)`")
    await asyncio.sleep(0)  # others have their turn, and the time limit its chance
    return value


class _Tally:
    """What was found of the items so far."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.failed = 0
        self.errors: list[str] = []
        self.counts = dict.fromkeys(program.count, 0)
        self.examples: dict[str, list[Any]] = {name: [] for name in program.count}
        self._room = _EXAMPLES_ROOM

    async def add(self, number: int, item: Any, scope: Scope) -> None:
        """Judge an item. One that cannot be is failed as a whole: a half of it could be taken for the whole."""
        try:
            values, holding = await self._program.judge(item, scope)
        except NoEvidence:
            raise
        except BadExpression as error:
            self.failed += 1
            if len(self.errors) < _ERRORS_KEPT:
                self.errors.append(shorten(f"item {number}: {error}", _ERROR_LIMIT))
            return
        for name in holding:
            self.counts[name] += 1
            self._keep(name, item, values)

    def _keep(self, name: str, item: Any, values: Mapping[str, Any]) -> None:
        if len(self.examples[name]) >= self._program.examples or self._room <= 0:
            return
        example = {"item": self._shown(item), "let": {key: _small(value) for key, value in values.items()}}
        self._room -= len(json.dumps(example))
        if self._room > 0:
            self.examples[name].append(example)

    def _shown(self, item: Any) -> Any:
        if not isinstance(item, Mapping):
            return _small(item)
        names = [name for name in self._program.show if name in item] if self._program.show else list(item)
        return {name: _small(item[name]) for name in names[:_MOST_NAMES]}


def _small(value: Any) -> Any:
    """A value that is short enough to be kept; a long one as text, cut."""
    if isinstance(value, str):
        return shorten(value, _PART_LIMIT)
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list) else ""
    return value if len(text) <= _PART_LIMIT else shorten(text, _PART_LIMIT)


@dataclass(frozen=True, slots=True)
class ComputeStep(Step):
    """A step that works something out of evidence."""

    program: Program = field(kw_only=True)

    def render(self, scope: Scope) -> Rendered:
        """The same expressions for each alert; only what they see differs."""
        each, let, count = self.program.each, self.program.let, self.program.count
        params = Computing(
            each=None if each is None else each.source,
            let={name: one.source for name, one in let.items()},
            count={name: one.source for name, one in count.items()},
            scope=scope,
        )
        return Rendered(params, Absences().names)


def _say(params: Computing) -> str:
    if params.each is None:
        return f"work out {', '.join(params.let)}"
    return f"go through {params.each} and count {', '.join(params.count)}"


def compile_compute(
    step_id: str, raw: Mapping[str, Any], path: Path, names: Names, report: Report, *, timeout: timedelta | None
) -> ComputeStep:
    """The step of a `compute`; its mistakes are told to the report."""
    for key in raw:
        if key not in (COMPUTE, "timeout", "expect"):
            what = f"a step has one thing to do, and this one computes; make `{key}` a step of its own"
            report.wrong((*path, key), what, key=True)
    program = _Compiler(report, (*path, COMPUTE), names).compile(raw[COMPUTE])
    action = Action(
        name=COMPUTE,
        effect=Effect.READ,
        idempotent=True,
        timeout=_TIMEOUT,
        params=Computing,
        result=program.result,
        sentence="Works out values from evidence.",
        perform=program.perform,
        resolve=None,
        nature=None,
        say=_say,
    )
    return ComputeStep(StepId(step_id), action, {}, timeout, program.steps, program=program)


def _sources(raw: Mapping[str, Any], key: str) -> dict[str, str]:
    """The expressions under a key; what is none is told of with the shape."""
    found = raw.get(key)
    items = found.items() if isinstance(found, Mapping) else ()
    return {str(name): source for name, source in items if isinstance(source, str)}


class _Compiler:
    """Compiles one `compute`, each expression with the names that are known where it stands."""

    def __init__(self, report: Report, path: Path, names: Names) -> None:
        self._report, self._path, self._names = report, path, names
        self._local: dict[str, Kind] = {}

    def compile(self, raw: Any) -> Program:
        result = model_of(raw)
        if not isinstance(raw, Mapping):
            what = "`compute` takes `let`, or `each` and `count`, such as {let: {percent: steps.ratio.value * 100}}"
            self._report.wrong(self._path, what)
            return Program(result)
        shape = self._shape_of(raw)
        each = self._each(raw["each"]) if isinstance(raw.get("each"), str) else None
        let = self._lets(_sources(raw, "let"))
        count = self._counts(_sources(raw, "count"))
        return Program(result, each, let, count, shape.examples, shape.show)

    def _shape_of(self, raw: Mapping[str, Any]) -> ComputeShape:
        """The shape, or a harmless one where it is mistaken, so that the expressions are looked at in the same go."""
        try:
            return ComputeShape.model_validate(raw)
        except ValidationError as error:
            self._report.invalid(error, ComputeShape, self._path)
            return ComputeShape(let={"x": "1"})

    def _each(self, source: str) -> Expression | None:
        parsed = self._parse(source, self._names, (*self._path, "each"))
        self._local["item"] = Any
        if parsed is None:
            return None
        kind = kind_of(source, self._names)
        if is_surely_no_list(kind):
            what = f"`{parsed.source}` is {family_of(kind) or 'no list'}, and `each` goes through a list"
            self._report.wrong((*self._path, "each"), what)
            return parsed
        item = item_of(kind)
        self._local["item"] = item if isinstance(item, type) else Any
        return parsed

    def _here(self) -> Names:
        return replace(self._names, local=self._local)

    def _lets(self, sources: Mapping[str, str]) -> dict[str, Expression]:
        """The values in the order in which they are worked out; the kind of each is known to those after it."""
        needs = {name: parts_of(source, "let") for name, source in sources.items()}
        for circle in ordering.circles(needs):
            self._report.wrong((*self._path, "let", circle[0]), ordering.say_circle(circle), key=True)
        kinds: dict[str, Kind] = dict.fromkeys(sources, Any)
        found = {}
        for name in ordering.in_turn(needs):
            self._local["let"] = _mapping("Let", kinds)
            parsed = self._parse(sources[name], self._here(), self._named("let", name))
            if parsed is not None:
                found[name] = parsed
                kinds[name] = _KINDS.get(family_of(kind_of(sources[name], self._here())), Any)
        if kinds:
            self._local["let"] = _mapping("Let", kinds)
        return found

    def _counts(self, sources: Mapping[str, str]) -> dict[str, Expression]:
        parsed = {
            name: self._parse(source, self._here(), self._named("count", name), is_condition=True)
            for name, source in sources.items()
        }
        return {name: one for name, one in parsed.items() if one is not None}

    def _named(self, key: str, name: str) -> Path:
        path = (*self._path, key, name)
        if not _NAME.fullmatch(name):
            self._report.wrong(path, f"`{name}` is no name; use a-z, 0-9 and _, and begin with a letter", key=True)
        return path

    def _parse(self, source: str, names: Names, path: Path, *, is_condition: bool = False) -> Expression | None:
        try:
            return parse_expression(source, names, is_condition=is_condition)
        except BadExpression as error:
            for line in str(error).splitlines():
                self._report.wrong(path, line)
            return None
