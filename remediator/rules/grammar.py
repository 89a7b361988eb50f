"""The shape of rule files: which keys there are and what each takes. What the values mean is found when compiling.

Read from YAML by `loading` and from a stored rule by `compiling`. A step is left as it stands here: its one key is the
name of an action, and only the action knows its parameters.
"""

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationInfo, model_validator

from remediator.model.duration import Duration, say_duration
from remediator.model.plan import Mode


def _not_yet(_: Any, info: ValidationInfo) -> Any:
    raise ValueError(f"`{str(info.field_name).rstrip('_')}` is not supported yet; leave it out")


def _slug(value: Any) -> Any:
    if isinstance(value, str):
        allowed = value and value[0] != "-" and not set(value) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
        if not allowed or len(value) > 63:  # noqa: PLR2004 - the length of a DNS label, which people know
            raise ValueError(
                f"{value!r} is not a name; use up to 63 of a-z, 0-9 and -, and begin with a letter or digit"
            )
    return value


def _expression(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("this takes an expression, such as `steps.state.running` or `result.status == 200`")
    return value


def _gate(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError("who approves, how many and until when is not supported yet; write `gate: true`")
    if not isinstance(value, bool):
        raise ValueError("`gate` is true or false")
    return value


def _duration(value: Any) -> Any:
    if isinstance(value, str) and "{{" in value:
        raise ValueError("an expression is not supported here yet; write the duration out, like 30s")
    return value


def _step(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"a step is an action with its parameters, such as `{value.split(':')[0]}: {{…}}`")
    return value


def _matchers(value: Any) -> Any:
    if isinstance(value, str | dict):
        raise ValueError("`match` takes a list of matchers, such as ['alertname=\"ServiceDown\"']")
    return value


NotYet = Annotated[Any, BeforeValidator(_not_yet)]
Slug = Annotated[str, BeforeValidator(_slug)]
ExpressionText = Annotated[str, BeforeValidator(_expression)]
Span = Annotated[Duration, BeforeValidator(_duration)]
StepShape = Annotated[dict[str, Any], BeforeValidator(_step)]


class Shape(BaseModel):
    """A part of a rule file. Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class RungShape(Shape):
    """One remedy: when it is tried, and what it does."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """What people see; the names of its actions where it is left out."""
    when: ExpressionText | None = None
    """An expression; without one the rung is always tried in its turn."""
    gate: Annotated[StrictBool, BeforeValidator(_gate)] = False
    """Whether a person decides on this rung, whatever the mode."""
    do: Annotated[tuple[StepShape, ...], Field(min_length=1)]
    """The steps, in order."""
    for_: NotYet = Field(default=None, alias="for")
    limits: NotYet = None
    verify: NotYet = None


class VerifyShape(Shape):
    """How it is proven that a rung helped."""

    settle: Span = timedelta(seconds=5)
    """How long to wait after the last step before the first look."""
    sustain: Span = timedelta(seconds=10)
    """How long the checks must hold without a break."""
    within: Span = timedelta(minutes=2)
    """By when, counted from the last step, it must be proven."""
    every: Span = timedelta(seconds=2)
    """How often to look."""
    checks: tuple[StepShape, ...] = ()
    """Reading steps with what is expected of each; without any the alert's own resolution is the proof."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.within <= self.settle + self.sustain:
            needed = say_duration(self.settle + self.sustain)
            raise ValueError(
                f"`within` ({say_duration(self.within)}) must be longer than `settle` and `sustain` together "
                f"({needed}), or nothing can ever be proven"
            )
        if not timedelta(0) < self.every <= self.within:
            raise ValueError("`every` must be longer than nothing and no longer than `within`")
        return self


class RuleShape(Shape):
    """One rule."""

    name: Slug
    """Its name within the pack."""
    summary: str = "{{ labels.alertname }}"
    """What has happened, in one line for people."""
    match: Annotated[tuple[Any, ...], BeforeValidator(_matchers)]
    """Matchers in Alertmanager's syntax, all of which must hold."""
    mode: Mode = Mode.GATED
    """How far it may go by itself: `observe`, `suggest`, `gated` or `auto`."""
    continues: StrictBool = Field(default=False, alias="continue")
    """Whether the rules after this one are tried as well where it matches."""
    diagnose: dict[str, StepShape] = {}
    """Reading steps by an id, all carried out at the same time."""
    remediate: tuple[RungShape, ...] = ()
    """The remedies, tried one after another."""
    verify: VerifyShape = VerifyShape()
    """How it is proven that a remedy helped."""
    limits: NotYet = None
    escalate: NotYet = None
    depends: NotYet = None


class PackShape(Shape):
    """One rule file."""

    pack: Slug
    """The name of the pack; a pack is one file."""
    vars: dict[str, Any] = {}
    """Plain values that expressions read as `vars.…`."""
    rules: Annotated[tuple[Any, ...], Field(min_length=1)]
    """The rules, tried in order."""
