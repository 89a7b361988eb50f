"""The closed room in which expressions are evaluated: what they can reach, and nothing else.

Jinja2's immutable sandbox, with less in it: no globals, items before attributes and no attributes at all but a
few methods of text, and operators that cannot be made to fill the memory. An alert's values pass as data.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from remediator.errors import NoEvidence
from remediator.kit.redaction import shorten
from remediator.model.facts import Evidence
from remediator.rules import vocabulary
from remediator.rules.absence import Absences


class Labels(Mapping[str, str]):
    """Labels or annotations of an alert. A missing one, or an empty one, which is the same, is noted."""

    def __init__(self, values: Mapping[str, str], absences: Absences, prefix: str = "") -> None:
        self._values, self._absences, self._prefix = values, absences, prefix

    def __getitem__(self, name: str) -> str:
        if not isinstance(name, str):
            raise KeyError(name)
        return self._values.get(name, "") or self._absences.note(self._prefix + name)

    def __contains__(self, name: object) -> bool:
        return bool(isinstance(name, str) and self._values.get(name, ""))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Steps:
    """The evidence by the id of its diagnosis step."""

    evidence: Mapping[str, Evidence]

    def result_of(self, step: str) -> Mapping[str, Any]:
        """What the step found. Raises NoEvidence where it failed."""
        found = self.evidence.get(step)
        if found is None:
            raise NoEvidence(f"there is no evidence of the diagnosis step `{step}`")
        if not found.ok:
            raise NoEvidence(f"the diagnosis step `{step}` ({found.action}) has failed: {found.brief}")
        return found.result


@dataclass(frozen=True, slots=True)
class Method:
    """A harmless method of text, bound to its text."""

    call: Callable[..., Any]
    text: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.text, *args, **kwargs)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 with only what `vocabulary` names."""

    intercepted_binops = frozenset({"*", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            optimized=False,  # nothing is evaluated at load
            keep_trailing_newline=True,
            cache_size=0,
        )
        self.globals.clear()
        self.filters = dict(vocabulary.FILTERS)
        self.tests = dict(vocabulary.TESTS)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """None, whatever Jinja2 has; looking into none costs least, too."""
        del d
        return {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, str) and attribute in vocabulary.METHODS:
            return Method(vocabulary.METHODS[attribute], obj)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj  # still refused wherever it is used, but `default` and `is defined` can look at it
        if isinstance(obj, Steps):
            return obj.result_of(argument)
        try:
            if isinstance(obj, Mapping):
                return obj[argument]
            if isinstance(obj, list | tuple | str) and isinstance(argument, int):
                return obj[argument]
        except (LookupError, TypeError):
            pass
        return self.undefined(f"nothing is found under {shorten(repr(argument), 80)}", obj=obj, name=argument)

    def is_safe_callable(self, obj: Any) -> bool:
        return isinstance(obj, Method)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not (_is_number(left) and _is_number(right)):
            raise SecurityError(f"`{operator}` is for two numbers")
        return super().call_binop(context, operator, left, right)
