"""What must not be changed, and what alone may be: lists of targets, namespaces and labels in the settings.

Labels are somebody else's words: they can only ever take away from what is allowed. A denial always wins. Of a group
each open alert is looked at: which of them came first says nothing about the others.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Protocol

from remediator.kit.wording import counted
from remediator.model.history import Known, Question
from remediator.model.ids import RunId
from remediator.model.matchers import Matcher
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Reason
from remediator.model.pattern import Pattern
from remediator.model.plan import Effect
from remediator.model.target import Target
from remediator.pipeline.guards.guard import Allow, AlsoOfUndoing, Case, Hold, Refuse, Review
from remediator.settings import ProtectedSettings

_NAMESPACED = 4  # parts: the cluster, the namespace, the kind, the name; what belongs to no namespace has fewer
_LOOK_AGAIN = timedelta(seconds=30)
_MOST_ALERTS = 500
"""How many open alerts of a group are looked through."""


class AlertsOfRun(Protocol):
    """The part of the store that it asks."""

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        """See `Store`."""
        ...


class Protected(AlsoOfUndoing):
    """Refuses, naming the entry of the settings."""

    def __init__(self, settings: ProtectedSettings) -> None:
        deny, allow = settings.deny, settings.allow
        self._denied, self._denied_namespaces = deny.target_patterns, deny.namespace_patterns
        self._denied_labels = deny.matchers
        self._allowed, self._allowed_namespaces = allow.target_patterns, allow.namespace_patterns
        self._allowed_labels = allow.matchers

    def asks(self, case: Case) -> tuple[Question, ...]:
        del case
        return ()

    def judge(self, case: Case, known: Known) -> Review:
        del known
        if not _changes(case):
            return Allow()
        targets, labels = case.plan.targets, case.run.alert.labels
        why = (
            self._is_denied(targets)
            or self._are_denied(labels)
            or self._is_not_allowed(targets)
            or self._are_not_allowed(labels)
        )
        return Refuse(Reason.PROTECTED, why) if why else Allow()

    def why_no_target(self, target: Target) -> str:
        """What is against a target, whatever alert it is for; nothing where nothing is."""
        return self._is_denied((target,)) or self._is_not_allowed((target,))

    @property
    def goes_by_alerts(self) -> bool:
        """Whether anything is listed that is about alerts."""
        return bool(self._denied_namespaces or self._denied_labels or self._allowed_labels)

    def why_not(self, labels: Mapping[str, str]) -> str:
        """What is against an alert with these labels; nothing where nothing is."""
        return self._are_denied(labels) or self._are_not_allowed(labels)

    def _is_denied(self, targets: Iterable[Target]) -> str:
        """The entry that denies one of them; nothing where none does."""
        for target in targets:
            if found := _first(self._denied, target.name):
                return f"{target.name} is denied by `{found}` in protected.deny.targets"
            if found := _first(self._denied_namespaces, _namespace_of(target)):
                return f"{target.name} is denied by `{found}` in protected.deny.namespaces"
        return ""

    def _are_denied(self, labels: Mapping[str, str]) -> str:
        if found := _first(self._denied_namespaces, labels.get("namespace", "")):
            return f"the alert's namespace is denied by `{found}` in protected.deny.namespaces"
        for matchers in self._denied_labels:
            if _match(matchers, labels):
                return f"the alert is denied by `{_say(matchers)}` in protected.deny.labels"
        return ""

    def _is_not_allowed(self, targets: Iterable[Target]) -> str:
        """What one of them is not in; nothing where nothing is listed, or where it is among that."""
        if self._allowed or self._allowed_namespaces:
            for target in targets:
                listed = _first(self._allowed, target.name)
                if not listed and not _first(self._allowed_namespaces, _namespace_of(target)):
                    return f"{target.name} is neither in protected.allow.targets nor in protected.allow.namespaces"
        return ""

    def _are_not_allowed(self, labels: Mapping[str, str]) -> str:
        if self._allowed_labels and not any(_match(matchers, labels) for matchers in self._allowed_labels):
            known = ", ".join(f"`{_say(matchers)}`" for matchers in self._allowed_labels)
            return f"the alert matches nothing in protected.allow.labels ({known})"
        return ""


class ProtectedGroup(AlsoOfUndoing):
    """Refuses where any open alert of the run's group is one that is not to be touched."""

    def __init__(self, settings: ProtectedSettings, alerts: AlertsOfRun) -> None:
        self._protected = Protected(settings)
        self._alerts = alerts

    async def look(self, case: Case) -> Review:
        if not case.rule.group_by or not self._protected.goes_by_alerts or not _changes(case):
            return Allow()  # where there is no group, the run's one alert is judged by what the run tells of it
        found = await self._alerts.open_alerts_of(case.run.id, limit=_MOST_ALERTS + 1)
        for occurrence in found:
            if why := self._protected.why_not(occurrence.labels):
                return Refuse(Reason.PROTECTED, f"{why}; it is one of the group's {_count(len(found))}")
        if len(found) > _MOST_ALERTS:
            what = f"the group has {_count(len(found))}, too many to look whether `protected` is about one of them"
            return Hold(Reason.PROTECTED, case.at + _LOOK_AGAIN, what)
        return Allow()


def _changes(case: Case) -> bool:
    return any(step.effect is not Effect.READ for step in case.plan.steps)


def _count(alerts: int) -> str:
    more = "more than " if alerts > _MOST_ALERTS else ""
    return f"{more}{counted(min(alerts, _MOST_ALERTS), 'open alert')}"


def _first(patterns: Iterable[Pattern], name: str) -> Pattern | None:
    """The first that fits; no name fits none."""
    return next((pattern for pattern in patterns if name and pattern.matches(name)), None)


def _namespace_of(target: Target) -> str:
    """The namespace that a target is in; nothing where it is in none."""
    return target.parts[1] if target.system == "kubernetes" and len(target.parts) >= _NAMESPACED else ""


def _match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


def _say(matchers: Iterable[Matcher]) -> str:
    return ",".join(map(str, matchers))
