"""Makes a rule of its document, or tells every mistake in it with its place.

Called for each rule of a file when rules are loaded, and for a stored rule when a run goes on with the rule that it
started with. It evaluates nothing but expressions that read `vars` alone.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from remediator.documents import Document, Path, faults_of, value_at
from remediator.errors import BadExpression, BadRules
from remediator.model.digest import digest_of
from remediator.model.ids import RuleId
from remediator.model.matchers import Matcher, parse_matcher
from remediator.plugins import Actions, Effect
from remediator.rules import ordering
from remediator.rules.computing import COMPUTE, compile_compute, model_of
from remediator.rules.expressions import Expression, Names, Template, parse_expression, parse_template
from remediator.rules.grammar import GateShape, LimitsShape, RuleShape, RungShape, VerifyShape
from remediator.rules.reporting import Report
from remediator.rules.rule import Check, Dependency, Escalation, Gate, Limits, Rule, Rung, Step, Verify
from remediator.rules.steps import StepCompiler
from remediator.rules.trees import steps_in

T = TypeVar("T")

_STEP_ID = re.compile(r"[a-z][a-z0-9_]*")
_SPANS = ("settle", "sustain", "within", "every")
_HARMLESS: dict[str, Any] = {"name": "x", "match": ["alertname=x"], "do": [{}], "to": "x"}
_MENDINGS = 4  # a list item becomes an empty mapping first, which then lacks something


def compile_rule(document: Mapping[str, Any], actions: Actions) -> Rule:
    """The rule of a stored document (`Rule.document`). Raises BadRules, as when the actions have changed since."""
    if set(document) - {"limits"} != {"pack", "vars", "rule"}:
        raise BadRules("this is not the document of a rule; it has `pack`, `vars` and `rule`, and may have `limits`")
    pack, rule = str(document["pack"]), document["rule"]
    name = rule.get("name", "?") if isinstance(rule, Mapping) else "?"
    report = Report(Document(f"stored rule {pack}/{name}", document), ("rule",))
    variables, of_pack = document["vars"], Report(report.document, ())
    limits = read_limits(document.get("limits"), variables, of_pack)
    report.mistakes += of_pack.mistakes
    compiled = RuleCompiler(report, pack=pack, variables=variables, actions=actions, limits=limits).compile(rule)
    if compiled is None:
        raise BadRules("\n".join(map(str, sorted(set(report.mistakes)))))
    return compiled


@dataclass(frozen=True, slots=True)
class PackLimits:
    """The limits of a pack, as they are written and as they are meant."""

    raw: Any
    limits: Limits | None


def read_limits(raw: Any, variables: Mapping[str, Any] | None, report: Report) -> PackLimits | None:
    """What stands under `limits` at the top of a pack; None where nothing does, or it is mistaken, which is told."""
    if raw is None:
        return None
    try:
        shape = LimitsShape.model_validate(raw, context={"vars": variables})
    except ValidationError as error:
        report.invalid(error, LimitsShape, ("limits",))
        return None
    return PackLimits(raw, _limits(shape))


class RuleCompiler:
    """Compiles one rule and tells the mistakes in it to a report."""

    def __init__(
        self,
        report: Report,
        *,
        pack: str,
        variables: Mapping[str, Any] | None,
        actions: Actions,
        limits: PackLimits | None = None,
    ) -> None:
        """`limits` are the pack's, for its rules to go by where they do not say themselves."""
        self._report, self._pack, self._vars = report, pack, variables
        self._limits = limits
        self._steps = StepCompiler(report, actions, variables)

    def compile(self, raw: Any) -> Rule | None:
        """The rule, or None where there is a mistake in it."""
        shape = self._shape_of(raw)
        if shape is None:
            return None
        matchers = self._matchers(shape.match, ("match",))
        labels = _labels_in_common(shape.group_by, matchers)
        before = Names(self._vars, labels=labels)
        after = Names(self._vars, self._evidence_of(raw), labels=labels)
        summary = self._template(shape.summary, before, ("summary",))
        diagnose = tuple(self._diagnose(shape, after))
        self._refuse_circles(diagnose)
        rungs = tuple(self._rung(index, rung, after) for index, rung in enumerate(shape.remediate))
        self._look_at_ladder(shape)
        depends = tuple(self._depends(shape, matchers))
        verify = self._verify(shape.verify, after, ("verify",), "verify")
        if self._report.mistakes or summary is None or self._vars is None:
            return None
        document = {"pack": self._pack, "vars": self._vars, "rule": raw}
        if self._limits is not None:
            document["limits"] = self._limits.raw
        return Rule(
            id=RuleId(f"{self._pack}/{shape.name}"),
            digest=digest_of(document),
            pack=self._pack,
            name=shape.name,
            summary=summary,
            mode=shape.mode,
            matchers=matchers,
            continues=shape.continues,
            vars=self._vars,
            diagnose=diagnose,
            rungs=rungs,
            verify=verify,
            document=document,
            limits=_limits(shape.limits),
            pack_limits=self._limits.limits if self._limits is not None else None,
            escalate=tuple(Escalation(level.after, level.to) for level in shape.escalate),
            group_by=shape.group_by,
            locks=shape.lock,
            depends=depends,
            silence=shape.silence,
        )

    def _shape_of(self, raw: Any) -> RuleShape | None:
        """The rule's shape. What is wrong with it is told and mended, so that the rest is looked at in the same go."""
        data = raw
        for _ in range(_MENDINGS):
            try:
                return RuleShape.model_validate(data, context={"vars": self._vars})
            except ValidationError as error:
                if data is raw:
                    self._report.invalid(error, RuleShape)
                    data = copy.deepcopy(raw)
                for fault in faults_of(error, RuleShape, data):
                    self._report.settle(_mend(data, fault.path))
        return None

    def _evidence_of(self, raw: Mapping[str, Any]) -> dict[str, Any] | None:
        """The diagnosis steps with the models of their results, None for one that is mistaken."""
        diagnose = raw.get("diagnose", {})
        if not isinstance(diagnose, Mapping):
            return {}
        return {step_id: self._model_of(step) for step_id, step in diagnose.items()}

    def _model_of(self, step: Any) -> type[BaseModel] | None:
        if isinstance(step, Mapping) and COMPUTE in step:
            return model_of(step[COMPUTE])
        action = self._steps.action_of(step)
        return None if action is None else action.result

    def _template(self, text: str, names: Names, path: Path) -> Template | None:
        return self._try(lambda: parse_template(text, names), path)

    def _condition(self, text: str, names: Names, path: Path) -> Expression | None:
        return self._try(lambda: parse_expression(text, names, is_condition=True), path)

    def _try(self, parse: Callable[[], T], path: Path) -> T | None:
        try:
            return parse()
        except BadExpression as error:
            for line in str(error).splitlines():
                self._report.wrong(path, line)
            return None

    def _matchers(self, items: tuple[Any, ...], path: Path) -> tuple[Matcher, ...]:
        if not items:
            whose = "a rule" if path == ("match",) else "a dependency"
            self._report.wrong(path, f"{whose} without matchers would match every alert; name one")
        found: list[Matcher] = []
        for index, item in enumerate(items):
            if _is_split(items, index):
                what = f"`{item}` and `{items[index + 1]}` were one matcher, which YAML has taken apart at the comma; "
                self._report.wrong((*path, index), what + "put it in single quotes as a whole")
                continue
            if index and _is_split(items, index - 1):
                continue
            try:
                found.append(_matcher(item))
            except ValueError as error:
                self._report.wrong((*path, index), str(error))
                continue
            clash = next((m for m in found[:-1] if _exclude(m, found[-1])), None)
            if clash is not None:
                self._report.wrong((*path, index), f"this and `{clash}` never hold at the same time")
        return tuple(found)

    def _depends(self, shape: RuleShape, own: tuple[Matcher, ...]) -> Iterator[Dependency]:
        """The alerts that the rule waits for, which are asked for by their names, and are not its own."""
        for index, raw in enumerate(shape.depends):
            path: Path = ("depends", index)
            mistakes = len(self._report.mistakes)
            matchers = self._matchers(raw.match, (*path, "match"))
            if len(self._report.mistakes) > mistakes:
                continue
            names = next((m.values for m in matchers if m.label == "alertname" and m.values), None)
            if names is None:
                what = "a dependency names its alert, or several; add a matcher like 'alertname=\"PostgreSQLDown\"'"
                self._report.wrong(path, what)
                continue
            if all(_is_sure(matcher, own) for matcher in matchers):
                self._report.wrong(path, "this matches the rule's own alerts, so that it would wait for itself")
                continue
            yield Dependency(matchers, names)

    def _diagnose(self, shape: RuleShape, names: Names) -> Iterator[Step]:
        for step_id, raw in shape.diagnose.items():
            path: Path = ("diagnose", step_id)
            if not _STEP_ID.fullmatch(step_id):
                what = f"`{step_id}` is not a step's id; use a-z, 0-9 and _, and begin with a letter"
                self._report.wrong(path, what, key=True)
            self._refuse_expect(raw, path)
            step = self._diagnosis_step(step_id, raw, path, names)
            if step is not None:
                yield step

    def _diagnosis_step(self, step_id: str, raw: Mapping[str, Any], path: Path, names: Names) -> Step | None:
        full_id = f"diagnose.{step_id}"
        if COMPUTE in raw:
            timeout = self._steps.timeout_of(raw, path)
            return compile_compute(full_id, raw, path, names, self._report, timeout=timeout)
        step = self._steps.compile(full_id, raw, path, names, reads_only="`diagnose`")
        return step and replace(step, needs=steps_in(step.params))

    def _refuse_circles(self, steps: tuple[Step, ...]) -> None:
        """Diagnosis steps that wait for each other would wait for ever."""
        needs = {step.id.removeprefix("diagnose."): step.needs for step in steps}
        for circle in ordering.circles(needs):
            self._report.wrong(("diagnose", circle[0]), ordering.say_circle(circle), key=True)

    def _look_at_ladder(self, shape: RuleShape) -> None:
        """Remedies that people cannot tell apart, and those that can never have their turn."""
        seen: dict[str, int] = {}
        for index, rung in enumerate(shape.remediate):
            if rung.name is not None and seen.setdefault(rung.name, index) != index:
                self._report.wrong(("remediate", index, "name"), f"a remedy before it is called `{rung.name}` already")
            if rung.name is not None and "{{" in rung.name:
                self._report.wrong(("remediate", index, "name"), "a name is plain text, without expressions")
        last = next((i for i, rung in enumerate(shape.remediate) if rung.tell is not None and rung.when is None), None)
        if last is not None and last + 1 < len(shape.remediate):
            what = "this can never have its turn: the remedy before it tells, without a `when`, and that ends the run"
            self._report.wrong(("remediate", last + 1), what)

    def _rung(self, index: int, shape: RungShape, names: Names) -> Rung:
        path: Path = ("remediate", index)
        when = None if shape.when is None else self._condition(shape.when, names, (*path, "when"))
        tell = None if shape.tell is None else self._template(shape.tell, names, (*path, "tell"))
        steps = []
        for number, raw in enumerate(shape.do or ()):
            self._refuse_expect(raw, (*path, "do", number))
            step = self._steps.compile(f"remediate.{index}.{number}", raw, (*path, "do", number), names)
            if step is not None:
                steps.append(step)
        if shape.for_ is not None:
            self._refuse_to_last(steps, (*path, "for"))
        return Rung(
            index,
            shape.name or ", ".join(dict.fromkeys(step.action.name for step in steps)) or "tell",
            when,
            tuple(steps),
            gate=_gate(shape.gate),
            tell=tell,
            for_=shape.for_,
            every=shape.every,
            locks=shape.lock,
            limits=_limits(shape.limits),
            verify=self._verify_of_rung(index, shape, names),
        )

    def _refuse_to_last(self, steps: Sequence[Step], path: Path) -> None:
        """What cannot be put back cannot be for a while."""
        for name in dict.fromkeys(step.action.name for step in steps if step.action.stays_always):
            self._report.wrong(
                path, f"what `{name}` does cannot be put back, so it cannot be for a while; leave this out"
            )
        if steps and all(step.action.effect is Effect.READ for step in steps):
            self._report.wrong(path, "this remedy changes nothing, so there is nothing to put back; leave this out")

    def _verify_of_rung(self, index: int, shape: RungShape, names: Names) -> Verify | None:
        if shape.verify is None:
            return None
        path: Path = ("remediate", index, "verify")
        return self._verify(shape.verify, names, path, f"remediate.{index}.verify")

    def _refuse_expect(self, raw: Mapping[str, Any], path: Path) -> None:
        if "expect" in raw:
            what = "`expect` belongs to the checks of `verify`; here a step's result is only kept as evidence"
            self._report.wrong((*path, "expect"), what, key=True)

    def _verify(self, shape: VerifyShape, names: Names, path: Path, prefix: str) -> Verify:
        checks = (
            self._check(f"{prefix}.{index}", raw, names, (*path, "checks", index))
            for index, raw in enumerate(shape.checks)
        )
        found = tuple(check for check in checks if check is not None)
        return Verify(shape.settle, shape.sustain, shape.within, shape.every, found)

    def _check(self, step_id: str, raw: Mapping[str, Any], names: Names, path: Path) -> Check | None:
        step = self._steps.compile(step_id, raw, path, names, reads_only="a check")
        source = raw.get("expect")
        if not isinstance(source, str):
            what = "a check says what it expects, such as `expect: result.status == 200`"
            self._report.wrong((*path, "expect") if "expect" in raw else path, what)
            return None
        if step is None:
            return None
        expect = self._condition(source, replace(names, result=step.action.result), (*path, "expect"))
        if expect is not None and "result" not in expect.names:
            what = "this never looks at `result`, what the check finds; evidence is from before the remedy"
            self._report.wrong((*path, "expect"), what)
        return None if expect is None else Check(step, expect)


def _labels_in_common(group_by: tuple[str, ...], matchers: tuple[Matcher, ...]) -> frozenset[str] | None:
    """The labels that are the same in all alerts of a group; None where a rule does not group."""
    if not group_by:
        return None
    fixed = {m.label for m in matchers if not m.is_regex and not m.negated}
    return frozenset(group_by) | fixed


def _gate(shape: GateShape | None) -> Gate | None:
    return None if shape is None else Gate(shape.approvers, shape.quorum, shape.timeout, shape.on_timeout)


def _limits(shape: LimitsShape | None) -> Limits | None:
    if shape is None:
        return None
    return Limits(**{name: getattr(shape, name) for name in LimitsShape.model_fields})


def _matcher(item: Any) -> Matcher:
    if isinstance(item, Mapping):
        first = next(iter(item.items()), None)
        shown = f'{first[0]}="{first[1]}"' if first and first[1] is not None else 'alertname="ServiceDown"'
        raise ValueError(f"a matcher is quoted as a whole, like '{shown}'; YAML takes this for a mapping")
    if not isinstance(item, str):
        raise ValueError("a matcher is text, like 'alertname=\"ServiceDown\"'")
    return parse_matcher(item)


def _is_sure(matcher: Matcher, own: tuple[Matcher, ...]) -> bool:
    """Whether whatever has the values that a rule asks for meets this matcher as well."""
    return any(
        m.label == matcher.label and not m.is_regex and not m.negated and matcher.matches({m.label: m.value})
        for m in own
    )


def _is_split(items: tuple[Any, ...], index: int) -> bool:
    """Whether this item and the next one are the halves of a matcher that YAML has split at a comma."""
    if index + 1 >= len(items) or not all(isinstance(item, str) for item in items[index : index + 2]):
        return False
    return not _reads(items[index]) and _reads(f"{items[index]},{items[index + 1]}")


def _reads(text: str) -> bool:
    try:
        parse_matcher(text)
    except ValueError:
        return False
    return True


def _exclude(one: Matcher, other: Matcher) -> bool:
    """Whether the two contradict each other."""
    if one.label != other.label or one.is_regex or other.is_regex or (one.negated and other.negated):
        return False
    return (one.value == other.value) is (one.negated is not other.negated)


def _mend(data: Any, path: Path) -> Path:
    """Take a faulty value out of `data`, or put one there that does no harm. Gives the path of what was changed."""
    around = value_at(data, path[:-1])
    if path[-1:] == ("verify",) and isinstance(around, dict) and isinstance(around["verify"], dict):
        for span in _SPANS:  # each is well, but they do not fit together
            around["verify"].pop(span, None)
        return (*path, "within")
    if path and isinstance(around, dict):
        around.pop(path[-1], None)
        if path[-1] in _HARMLESS:
            around[path[-1]] = copy.deepcopy(_HARMLESS[str(path[-1])])
    elif path and isinstance(around, list) and isinstance(path[-1], int):
        around[path[-1]] = {}
    return path
