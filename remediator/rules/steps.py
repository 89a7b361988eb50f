"""Compiles the steps of a rule: finds the action, checks its parameters as far as they are known, keeps the templates.

Called by `compiling` for the steps of `diagnose`, of each rung's `do`, and of `verify`'s checks.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from remediator.documents import Path, did_you_mean
from remediator.errors import BadExpression
from remediator.model.ids import StepId
from remediator.plugins import Action, Actions, WrittenIn
from remediator.rules.expressions import Expression, Names, Scope, Template
from remediator.rules.grammar import Span
from remediator.rules.reporting import Report
from remediator.rules.rule import Step
from remediator.rules.trees import Tree, parse_tree

Wrong = Callable[[Path, str], None]

_SPAN: TypeAdapter[timedelta] = TypeAdapter(Span)
_NOT_YET = ("retry", "undo")
_BARE = re.compile(r"\$?\{?\s*((?:labels|annotations|vars|steps|alert)\.\w+(?:\.\w+|\[[^\]]*\])*)\s*\}?")
_OF_THE_REMEDY = ("for", "gate", "limits", "verify", "when")


class StepCompiler:
    """Compiles steps one by one and tells their mistakes to a report."""

    def __init__(self, report: Report, actions: Actions, variables: Mapping[str, Any] | None) -> None:
        self._report, self._actions, self._vars = report, actions, variables

    def compile(
        self, step_id: str, raw: Mapping[str, Any], path: Path, names: Names, *, reads_only: str = ""
    ) -> Step | None:
        """The step, or None where its action is not known. `reads_only` names the place where a step may only read."""
        timeout = self.timeout_of(raw, path)
        name = self._action_name(raw, path)
        if name is None:
            return None
        action = self._actions[name]
        if reads_only and action.changes:
            what = f"`{name}` is not a reading action (it is a `{action.effect}`); {reads_only} only reads"
            self._report.wrong((*path, name), what, key=True)
        params = self._params(action, raw[name], (*path, name), names)
        return Step(StepId(step_id), action, params, timeout)

    def action_of(self, raw: Any) -> Action | None:
        """The action that a step names, if it names one; whatever is wrong with it is said when it is compiled."""
        if not isinstance(raw, Mapping):
            return None
        named = [key for key in raw if key in self._actions]
        return self._actions[named[0]] if len(named) == 1 else None

    def _action_name(self, raw: Mapping[str, Any], path: Path) -> str | None:
        known = [key for key in raw if key in self._actions]
        others = [key for key in raw if key not in self._actions and key not in ("expect", "timeout")]
        for key in others:
            self._report.wrong((*path, key), self._say_key(key, known), key=True)
        for key in known[1:]:
            what = f"a step has one action, and this one has `{known[0]}`; make `{key}` a step of its own"
            self._report.wrong((*path, key), what, key=True)
        if not known and not others:
            self._report.wrong(path, "a step names its action, such as `docker.inspect: {container: …}`")
        return known[0] if known else None

    def _say_key(self, key: str, known: list[str]) -> str:
        if key == "compute":
            return "`compute` belongs to `diagnose`; use what it finds here, as `steps.<id>.let.<name>`"
        if key in _NOT_YET:
            return f"`{key}` is not supported yet; leave it out"
        if key in _OF_THE_REMEDY:
            return f"`{key}` belongs to the remedy, beside its `do`, not to one of its steps"
        if known and key in self._actions[known[0]].params.model_fields:
            return f"`{key}` is a parameter of `{known[0]}`; indent it below that"
        if known:
            return f"`{key}` is not known here; a step has one action (`{known[0]}`) and may have a `timeout`"
        return f"there is no action `{key}`" + did_you_mean(key, self._actions)

    def timeout_of(self, raw: Mapping[str, Any], path: Path) -> timedelta | None:
        """The time limit that a step names, if it names one; its mistakes are told to the report."""
        if "timeout" not in raw:
            return None
        try:
            timeout = _SPAN.validate_python(raw["timeout"], context={"vars": self._vars})
        except ValidationError as error:
            self._report.wrong((*path, "timeout"), error.errors()[0]["msg"].removeprefix("Value error, "))
            return None
        if timeout <= timedelta(0):
            self._report.wrong((*path, "timeout"), "a step needs some time; write it like 30s")
        return timeout

    def _params(self, action: Action, raw: Any, path: Path, names: Names) -> dict[str, Tree]:
        if raw is not None and not isinstance(raw, Mapping):
            what = f"`{action.name}` takes its parameters by name"
            first = next(iter(action.params.model_fields), None)
            self._report.wrong(path, what + (f", such as `{{{first}: …}}`" if first else ""))
            return {}
        open_paths: set[Path] = set()

        def wrong(inner: Path, what: str) -> None:
            open_paths.add(inner)
            self._report.wrong((*path, *inner), what)

        tree: dict[str, Tree] = parse_tree(raw or {}, names, wrong)
        for key, part in tree.items():
            _look_for_labels(action, key, part, wrong)
            _look_for_missing_braces(part, (key,), wrong)
        probe = {key: self._as_known(part, (key,), open_paths, wrong) for key, part in tree.items()}
        try:
            action.params.model_validate(probe)
        except ValidationError as error:
            self._report.invalid(error, action.params, path, skip=open_paths)
        return tree

    def _as_known(self, part: Tree, path: Path, open_paths: set[Path], wrong: Wrong) -> Any:
        """A parameter as far as it is known at load: a template that reads `vars` alone is, any other is open."""
        if isinstance(part, Mapping):
            return {key: self._as_known(item, (*path, key), open_paths, wrong) for key, item in part.items()}
        if isinstance(part, tuple):
            return [self._as_known(item, (*path, n), open_paths, wrong) for n, item in enumerate(part)]
        if not isinstance(part, Template):
            return part
        if part.is_constant and self._vars is not None:
            try:
                return part.render(Scope({}, vars=self._vars))
            except BadExpression as error:
                wrong(path, str(error))
        open_paths.add(path)
        return part.source


def _look_for_labels(action: Action, key: str, part: Tree, wrong: Wrong) -> None:
    """A label within a text of another language could say something of its own there."""
    info = action.params.model_fields.get(key)
    languages = [one for one in (info.metadata if info else ()) if isinstance(one, WrittenIn)]
    if not languages:
        return
    language = languages[0]
    for path, expression in _expressions_in(part, (key,)):
        if expression.lets_labels_through(language.filters):
            shown = f"{expression.source}|{language.filters[0]}"
            others = "".join(f", or with `|{name}` within a regular expression" for name in language.filters[1:])
            what = f"a label in {language.language} could change what is asked; write `{{{{ {shown} }}}}`{others}"
            wrong(path, what)


def _expressions_in(part: Tree, path: Path) -> Iterator[tuple[Path, Expression]]:
    """Every expression of a parameter, with its place."""
    if isinstance(part, Mapping):
        for key, item in part.items():
            yield from _expressions_in(item, (*path, key))
    elif isinstance(part, tuple):
        for index, item in enumerate(part):
            yield from _expressions_in(item, (*path, index))
    elif isinstance(part, Template):
        yield from ((path, expression) for expression in part.expressions)


def _look_for_missing_braces(part: Tree, path: Path, wrong: Wrong) -> None:
    """Text that is nothing but an expression without its braces would be taken as it stands."""
    if isinstance(part, Mapping):
        for key, item in part.items():
            _look_for_missing_braces(item, (*path, key), wrong)
    elif isinstance(part, tuple):
        for index, item in enumerate(part):
            _look_for_missing_braces(item, (*path, index), wrong)
    elif isinstance(part, str) and (found := _BARE.fullmatch(part)) is not None:
        inner = found[1]
        wrong(path, f'this is plain text; an expression stands in double braces: "{{{{ {inner} }}}}"')
