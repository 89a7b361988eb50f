"""How often, and on how much at once, something may be changed: for everything, by pack, and by action.

The words are those of rule files, and the figures those of `model.limits`.
"""

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from remediator.model.budget import Budgets, Part, Share, Window
from remediator.model.duration import Duration
from remediator.model.limits import Limits, boundable, countable
from remediator.settings.sections.section import Section

_SHIPPED = Limits()


def _some(value: Share | None) -> Share | None:
    if value is not None and not (value.count or value.percent):
        raise ValueError("with none, every plan would be refused; set `mode_ceiling: observe` instead")
    return value


def _soon(value: timedelta) -> timedelta:
    if value > timedelta(days=1):
        raise ValueError("an alert that comes back after more than `1d` is not taken for the same problem")
    return value


def _of_variable(value: Any) -> Any:
    """A variable holds a number as text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value


# A variable holds these as they are written in the file, and not as JSON.
Often = Annotated[Budgets, AfterValidator(countable), NoDecode]
Repeated = Annotated[Window, AfterValidator(countable), NoDecode]
Much = Annotated[Part, BeforeValidator(_of_variable), NoDecode]
Many = Annotated[Part, BeforeValidator(_of_variable), AfterValidator(_some), NoDecode]
Flood = Annotated[Window, AfterValidator(boundable), AfterValidator(countable), NoDecode]
Span = Annotated[Duration, Field(ge=timedelta(0)), AfterValidator(countable)]
Soon = Annotated[Duration, Field(ge=timedelta(0)), AfterValidator(_soon)]
Positive = Annotated[Duration, Field(gt=timedelta(0)), AfterValidator(countable)]
Count = Annotated[int, Field(ge=1)]


class PartialLimits(Section):
    """The limits of one pack, or of one action; what is left out is as `limits` says."""

    per_target: Often | None = None
    """How often one rule may change one target."""
    per_rule: Often | None = None
    """How often one rule may change anything."""
    cooldown: Span | None = None
    """How long a target is left alone after another run has changed it."""
    cooldown_after_deploy: Span | None = None
    """How long it is after somebody else has deployed it, where its system shows that."""
    attempts: Repeated | None = None
    """So many changes that did not help put the target into quarantine."""
    flapping: Repeated | None = None
    """So many returns of what had just been healed end the work on a target for that time."""
    flapping_within: Soon | None = None
    """An alert that comes so soon after its target was healed counts as the same problem again."""
    max_targets: Many | None = None
    """How many targets one plan may touch: a number, or a share of their pools."""
    min_healthy: Much | None = None
    """How many members of a pool have to stay healthy during a step."""
    failures_in_row: Count | None = None
    """So many bad endings one after another open the breaker of a rule, or of an action."""
    failures_of_ten: Annotated[int, Field(ge=1, le=11)] | None = None
    """So many bad endings among the last ten do so as well; with 11 only those in a row count."""
    gated_after_failures: Count | None = None
    """So many changes in a row that failed, or of which that is not known, take from a rule to act by itself."""
    gated_after_not_healed: Count | None = None
    """So many changes in a row that did not help do so as well."""
    trial_after: Positive | None = None
    """How long an open breaker waits until it lets one change try."""
    storm: Flood | None = None
    """So many alerts of one rule within the time are a storm: new changes by it wait."""
    storm_quiet: Span | None = None
    """When no more alerts of the rule have come for so long, its storm is over."""


class LimitsSettings(Section):
    """How often, and on how much at once, something may be changed; the figures hold where nothing nearer says others.

    A remedy's own limits count first, then its rule's, then those at the top of its rule file, then those that are
    given here by pack, by action, and for everything.

    No time is longer than `30d`: what was done is not on record for longer. Of `attempts`, `flapping` and
    `gated_after_…` a count above 50 means *never*, as no more changes are looked at; `remediator check` and
    `remediator doctor` say so.
    """

    overall: Often = _SHIPPED.overall
    """How often anything may be changed, by all rules together. More is not what one machine's trouble asks for."""
    per_target: Often = _SHIPPED.per_target
    """How often one rule may change one target. Several windows count at once: `3/1h, 7/1d`."""
    per_rule: Often = _SHIPPED.per_rule
    """How often one rule may change anything."""
    cooldown: Span = _SHIPPED.cooldown
    """How long a target is left alone after another run has changed it, counted from the end of that change, so that
    what it did can show. A run's own later remedies need not wait."""
    cooldown_after_deploy: Span = _SHIPPED.cooldown_after_deploy
    """How long a target is left alone after somebody else has deployed it, where its system shows that (Docker does).
    What a person has to approve anyway is asked for at once, with the deploy. With `0s` nobody looks for deploys."""
    attempts: Repeated = _SHIPPED.attempts
    """So many changes that did not help (not healed, failed or unknown) put the target into quarantine, until a person
    has looked at it and clears it."""
    flapping: Repeated = _SHIPPED.flapping
    """So many returns of what had just been healed end the work on a target for that time: it is people's then."""
    flapping_within: Soon = _SHIPPED.flapping_within
    """An alert that comes so soon after its target was healed counts as the same problem again; a day at the most."""
    max_targets: Many = _SHIPPED.max_targets
    """How many targets one plan may touch: a number, or a share of their pools (`25%`; one is always allowed). One,
    because a rule that matches more than its author thought is the usual way in which automation becomes the outage."""
    min_healthy: Much = _SHIPPED.min_healthy
    """How many members of a pool have to stay healthy during a step: a number, or a share of them."""
    failures_in_row: Count = _SHIPPED.failures_in_row
    """So many bad endings one after another open the breaker of a rule, or of an action."""
    failures_of_ten: Annotated[int, Field(ge=1, le=11)] = _SHIPPED.failures_of_ten
    """So many bad endings among the last ten do so as well; with 11 only those in a row count."""
    gated_after_failures: Count = _SHIPPED.gated_after_failures
    """So many changes in a row that failed, or of which that is not known, take from a rule to act by itself, until a
    person promotes it: a rule that breaks things is to be looked at before it acts again."""
    gated_after_not_healed: Count = _SHIPPED.gated_after_not_healed
    """So many changes in a row that did not help do so as well."""
    trial_after: Positive = _SHIPPED.trial_after
    """How long an open breaker waits until it lets one change try; it closes when that one goes well."""
    storm: Flood = _SHIPPED.storm
    """So many alerts of one rule within that time are a storm: what the rule has begun is ended, and its new changes
    wait. What falls ill all at once has a cause in common, and each remedy by itself may make that worse."""
    storm_overall: Flood = _SHIPPED.storm_overall
    """So many alerts of all rules together are one as well: then all new changes wait. Of one rule five count at the
    most, so that a storm of one rule leaves the others alone: the figure stands for ten rules that have one at once."""
    storm_quiet: Span = _SHIPPED.storm_quiet
    """When no more alerts have come for so long, a storm is over; people can end it before. With `0s` there are no
    storms."""
    tell_within: Positive = _SHIPPED.tell_within
    """While the oldest message that chat was not told yet has waited for longer, nothing is begun without a person's
    approval: nobody would hear of it."""
    packs: dict[str, PartialLimits] = {}
    """Limits for all rules of a pack, by its name; each counts instead of the one above. The limits in the pack's own
    file count before these."""
    actions: dict[str, PartialLimits] = {}
    """Limits for plans that use an action, by its name, such as `docker.restart`. Of several actions in one plan the
    strictest figure counts, and every window."""

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        for name in ("min_healthy", "max_targets"):
            given = [share for limits in self.actions.values() if (share := getattr(limits, name)) is not None]
            if len({share.percent is None for share in given}) > 1:
                raise ValueError(f"actions: give `{name}` either always as a number or always as a share of the pool")
        return self
