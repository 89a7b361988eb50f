"""The shape of rule files: which keys there are and what each takes. What the values mean is found when compiling.

Read from YAML by `loading` and from a stored rule by `compiling`. A step is left as it stands here: its one key is the
name of an action, and only the action knows its parameters.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticUseDefault

from remediator.documents import Described
from remediator.errors import BadExpression
from remediator.model.budget import Budgets, Part, Share, Window
from remediator.model.duration import Duration, say_duration
from remediator.model.limits import boundable, countable
from remediator.model.plan import Mode
from remediator.rules.expressions import Names, Scope, parse_template

VERSION = 1
"""The version of the rule language. It rises when a file that was right would mean something else."""
_A_YEAR = timedelta(weeks=52)


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
    if isinstance(value, bool):
        return {} if value else None
    if not isinstance(value, dict | GateShape):
        raise ValueError("`gate` is true or false, or says who decides: {approvers: […], quorum: 1, timeout: 15m}")
    return value


def _from_vars(value: Any, info: ValidationInfo) -> Any:
    """A duration or a limit may be an expression over `vars`: those are known when rules are loaded."""
    if not (isinstance(value, str) and "{{" in value):
        return value
    variables: Mapping[str, Any] | None = (info.context or {}).get("vars")
    if variables is None:
        raise PydanticUseDefault  # the variables are mistaken themselves, and that is said there
    try:
        template = parse_template(value, Names(variables))
        is_constant = template.is_constant
        known = template.render(Scope({}, vars=variables)) if is_constant else None
    except BadExpression as error:
        raise ValueError(str(error)) from error
    if not is_constant:
        raise ValueError("only `vars` can be used here: it is settled when the rules are loaded")
    return known


def _not_none(value: Share) -> Share:
    if not (value.count or value.percent):
        raise ValueError("with none, every plan would be refused; leave the rule out, or set `mode: observe`")
    return value


def _version(value: Any) -> Any:
    if value == str(VERSION):
        raise ValueError(f"the version is a number: write {VERSION}, without quotes")
    if value != VERSION or isinstance(value, bool):
        raise ValueError(f"this is version {VERSION} of the rule language, and the file is written for {value!r}")
    return value


def _label_names(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("`group_by` takes a list of label names, such as [namespace, service]")
    if len(set(value)) != len(value):
        raise ValueError("`group_by` names a label twice")
    return value


def _step(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"a step is an action with its parameters, such as `{value.split(':')[0]}: {{…}}`")
    return value


def _matchers(value: Any) -> Any:
    if isinstance(value, str | dict):
        raise ValueError("`match` takes a list of matchers, such as ['alertname=\"ServiceDown\"']")
    return value


def _dependency(value: Any) -> Any:
    if isinstance(value, str):
        return {"match": (_named(value),)}
    if not isinstance(value, dict | DependencyShape):
        raise ValueError("`depends` takes names of alerts, or matchers: [PostgreSQLDown, {match: […]}]")
    return value


def _named(alert: str) -> str:
    """The matcher for an alert's name."""
    if not alert or "=" in alert or "{" in alert:
        raise ValueError(f"{alert!r} is not an alert's name; matchers are written {{match: ['…']}}")
    return f"alertname={json.dumps(alert, ensure_ascii=False)}"


Slug = Annotated[str, BeforeValidator(_slug)]
ExpressionText = Annotated[str, BeforeValidator(_expression)]
Span = Annotated[Duration, BeforeValidator(_from_vars)]
Positive = Annotated[Span, Field(gt=timedelta(0))]
Count = Annotated[int, Field(ge=1, strict=True), BeforeValidator(_from_vars)]
Rest = Annotated[Span, Field(ge=timedelta(0)), AfterValidator(countable)]
Often = Annotated[Budgets, BeforeValidator(_from_vars), AfterValidator(countable)]
Repeated = Annotated[Window, BeforeValidator(_from_vars), AfterValidator(countable)]
Flood = Annotated[Repeated, AfterValidator(boundable)]
Much = Annotated[Part, BeforeValidator(_from_vars)]
Some = Annotated[Much, AfterValidator(_not_none)]
StepShape = Annotated[dict[str, Any], BeforeValidator(_step)]


class Shape(Described):
    """A part of a rule file. Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    belongs: ClassVar[Mapping[str, str]] = {}
    """Keys that stand elsewhere, and where."""
    members: ClassVar[Mapping[str, str]] = {}
    """What the members of a mapping are to the names that they have, by the mapping's key."""


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


class GateShape(Shape):
    """Who decides on a remedy, how many of them, and until when."""

    approvers: tuple[Slug, ...] = ()
    """Groups of people who may decide; the setting `approval.approvers` where it is left out."""
    quorum: Count | None = None
    """How many different people have to approve; the setting `approval.quorum` where it is left out."""
    timeout: Positive | None = None
    """How long the plan waits for them; the setting `approval.timeout` where it is left out."""
    on_timeout: Literal["deny", "escalate", "auto"] | None = None
    """What happens then; the setting `approval.on_timeout` where it is left out. `auto` has the plan go by itself, but
    never what destroys something, nor beyond `mode_ceiling`, nor where a guard wants a person."""


class LimitsShape(Shape):
    """How often, and on how much at once, a rule may act. What is left out is as the settings (`limits`) say.

    No time is longer than `30d`: what was done is not on record for longer. Of `attempts` and `flapping` a count above
    50 means *never*, as no more changes are looked at; `remediator check` says so.
    """

    cooldown: Rest | None = None
    """How long a target is left alone after another run has changed it."""
    cooldown_after_deploy: Rest | None = None
    """How long it is after somebody else has deployed it, where its system shows that."""
    per_target: Often | None = None
    """How often the rule may change one target."""
    per_rule: Often | None = None
    """How often the rule may change anything."""
    attempts: Repeated | None = None
    """So many changes that did not help put the target into quarantine, until a person clears it."""
    flapping: Repeated | None = None
    """So many returns of what had just been healed end the work on a target for that time."""
    storm: Flood | None = None
    """So many alerts of the rule within that time are a storm: its new changes wait until no more come for a while."""
    max_targets: Some | None = None
    """How many targets one plan may touch: a number, or a share of the members of their pools."""
    min_healthy: Much | None = None
    """How many members of a pool must stay healthy meanwhile."""


_LIMITS = tuple(LimitsShape.model_fields)


class EscalationShape(Shape):
    """Whom to turn to when it lasts."""

    after: Span = timedelta(minutes=15)
    """How long after the alert came in; `0s` is at once."""
    to: Slug
    """The level that is told."""


def _a_while(lasts: timedelta) -> timedelta:
    if lasts > _A_YEAR:
        raise ValueError("a while is a year at the most, `52w`; what is to stay longer is for good: leave it out")
    return lasts


def _seldom(every: timedelta) -> timedelta:
    if every > _A_YEAR:
        raise ValueError("a remedy recurs once a year at the least, `52w`; leave it out if once is enough")
    if every < timedelta(hours=1):
        raise ValueError("a remedy recurs each hour at the most; how often its proof looks is `every` under `verify`")
    return every


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


_NAME = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}
Locks = Annotated[
    tuple[Slug, ...],
    BeforeValidator(_one_or_more),
    WithJsonSchema({"anyOf": [_NAME, {"type": "array", "items": _NAME}]}),
]


class RungShape(Shape):
    """One remedy: when it is tried, and what it does."""

    belongs = {
        **dict.fromkeys(_LIMITS, "under `limits`"),
        **dict.fromkeys(("approvers", "quorum", "on_timeout"), "under `gate`"),
        **dict.fromkeys(("mode", "match", "group_by", "diagnose", "escalate", "silence", "summary"), "to the rule"),
        **dict.fromkeys(("settle", "sustain", "within", "checks"), "under `verify`"),
        "timeout": "beside an action, or under `gate`",
    }

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """What people see; the names of its actions where it is left out."""
    when: ExpressionText | None = None
    """An expression; without one the rung is always tried in its turn."""
    gate: Annotated[GateShape | None, BeforeValidator(_gate)] = None
    """Whether a person decides on this rung, whatever the mode: true, or who decides and until when."""
    do: Annotated[tuple[StepShape, ...], Field(min_length=1)] | None = None
    """The steps, in order."""
    tell: Annotated[str, Field(min_length=1)] | None = None
    """Instead of steps: advice for people, with which the run ends."""
    for_: Annotated[Positive, AfterValidator(_a_while)] | None = Field(default=None, alias="for")
    """How long the change is to last before it is put back."""
    every: Annotated[Span, AfterValidator(_seldom)] | None = None
    """How often it is carried out again as long as the alert fires, an hour at the least."""
    lock: Locks = ()
    """A name, or several, beside the rule's: two plans with one of them in common are never carried out at once."""
    limits: LimitsShape | None = None
    """Limits of this remedy, each instead of the rule's."""
    verify: VerifyShape | None = None
    """How it is proven that this remedy helped, instead of the rule's way."""

    @model_validator(mode="after")
    def _do_or_tell(self) -> Self:
        if (self.do is None) == (self.tell is None):
            raise ValueError("a remedy has either steps (`do`) or advice for people (`tell`)")
        given = [name for name in ("gate", "for_", "every", "limits", "verify") if getattr(self, name) is not None]
        if self.tell is not None and given:
            raise ValueError(f"`{given[0].rstrip('_')}` belongs to a remedy with steps; this one only tells")
        if self.for_ is not None and self.every is not None:
            raise ValueError("a change for a while (`for`) cannot be one that recurs (`every`); leave one of them out")
        return self


class DependencyShape(Shape):
    """An alert that stands for something that the rule's targets need: while it fires, nothing is changed."""

    match: Annotated[tuple[Any, ...], BeforeValidator(_matchers)]
    """Matchers in Alertmanager's syntax, all of which must hold; one of them names the alert, or several: `a|b`."""


class RuleShape(Shape):
    """One rule."""

    belongs = {
        **dict.fromkeys(_LIMITS, "under `limits`"),
        **dict.fromkeys(("gate", "when", "do", "tell", "for"), "to a remedy, an item of `remediate`"),
        **dict.fromkeys(("settle", "sustain", "within", "every", "checks"), "under `verify`"),
        **dict.fromkeys(("vars", "pack", "version"), "to the top of the file"),
    }

    name: Slug
    """Its name within the pack."""
    summary: str = "{{ labels.alertname }}"
    """What has happened, in one line for people."""
    match: Annotated[tuple[Any, ...], BeforeValidator(_matchers)]
    """Matchers in Alertmanager's syntax, all of which must hold."""
    group_by: Annotated[tuple[str, ...], BeforeValidator(_label_names)] = ()
    """Names of labels: alerts that are the same in all of them share one run."""
    depends: tuple[Annotated[DependencyShape, BeforeValidator(_dependency)], ...] = ()
    """Alerts that hold its plans while they fire: names, or matchers as `{match: […]}`."""
    lock: Locks = ()
    """A name, or several, for what its targets share: two plans with one in common are never carried out at once."""
    mode: Mode = Mode.GATED
    """How far it may go by itself: `observe`, `suggest`, `gated` or `auto`."""
    continues: StrictBool = Field(default=False, alias="continue")
    """Whether the rules after this one are tried as well where it matches."""
    diagnose: dict[str, StepShape] = {}
    """Reading steps by an id, carried out at the same time, each as soon as the evidence is there that it needs."""
    remediate: tuple[RungShape, ...] = ()
    """The remedies, tried one after another."""
    verify: VerifyShape = VerifyShape()
    """How it is proven that a remedy helped."""
    limits: LimitsShape | None = None
    """How often, and on how much at once, it may act."""
    escalate: tuple[EscalationShape, ...] = ()
    """Whom to turn to when it lasts."""
    silence: Positive | None = None
    """How long at most its own alert is silenced in Alertmanager while it acts; not at all where it is left out."""

    @model_validator(mode="after")
    def _escalates_to_somebody(self) -> Self:
        if not self.escalate and any(rung.gate and rung.gate.on_timeout == "escalate" for rung in self.remediate):
            raise ValueError("`on_timeout: escalate` needs somebody to turn to; add `escalate` to the rule")
        return self


class PackShape(Shape):
    """One rule file."""

    belongs = dict.fromkeys(_LIMITS, "under `limits`")

    version: Annotated[Literal[1], BeforeValidator(_version)] = 1
    """The version of the rule language that the file is written in."""
    pack: Slug
    """The name of the pack; a pack is one file."""
    vars: dict[str, Any] = {}
    """Plain values that expressions read as `vars.…`."""
    limits: LimitsShape | None = None
    """How often, and on how much at once, its rules may act, where they do not say themselves."""
    rules: Annotated[tuple[Any, ...], Field(min_length=1)]
    """The rules, tried in order."""


class OverlayShape(Shape):
    """A file that fits a pack to one installation, without touching the pack."""

    members = {"modes": "the mode of"}

    version: Annotated[Literal[1], BeforeValidator(_version)] = 1
    """The version of the rule language that the file is written in."""
    overlay: Slug
    """The pack that it fits."""
    vars: dict[str, Any] = {}
    """Values instead of the pack's; mappings are joined, key by key."""
    modes: dict[str, Mode] = {}
    """Modes instead of those of the pack's rules, by the rule's name."""
