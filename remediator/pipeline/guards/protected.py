"""What must not be changed, and what alone may be: lists of targets, namespaces and labels in the settings.

Labels are somebody else's words: they can only ever take away from what is allowed. A denial always wins.
"""

from collections.abc import Iterable, Mapping

from remediator.model.history import Known, Question
from remediator.model.matchers import Matcher
from remediator.model.outcome import Reason
from remediator.model.pattern import Pattern
from remediator.model.plan import Effect
from remediator.model.target import Target
from remediator.pipeline.guards.guard import Allow, Case, Refuse, Review
from remediator.settings import ProtectedSettings

_NAMESPACED = 4  # parts: the cluster, the namespace, the kind, the name; what belongs to no namespace has fewer


class Protected:
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
        if all(step.effect is Effect.READ for step in case.plan.steps):
            return Allow()
        targets, labels = case.plan.targets, case.run.alert.labels
        why = self._is_denied(targets, labels) or self._is_not_allowed(targets, labels)
        return Refuse(Reason.PROTECTED, why) if why else Allow()

    def _is_denied(self, targets: Iterable[Target], labels: Mapping[str, str]) -> str:
        """The entry that denies it; nothing where none does."""
        for target in targets:
            if found := _first(self._denied, target.name):
                return f"{target.name} is denied by `{found}` in protected.deny.targets"
            if found := _first(self._denied_namespaces, _namespace_of(target)):
                return f"{target.name} is denied by `{found}` in protected.deny.namespaces"
        if found := _first(self._denied_namespaces, labels.get("namespace", "")):
            return f"the alert's namespace is denied by `{found}` in protected.deny.namespaces"
        for matchers in self._denied_labels:
            if _match(matchers, labels):
                return f"the alert is denied by `{_say(matchers)}` in protected.deny.labels"
        return ""

    def _is_not_allowed(self, targets: Iterable[Target], labels: Mapping[str, str]) -> str:
        """What it is not in; nothing where nothing is listed, or where it is among that."""
        if self._allowed or self._allowed_namespaces:
            for target in targets:
                listed = _first(self._allowed, target.name)
                if not listed and not _first(self._allowed_namespaces, _namespace_of(target)):
                    return f"{target.name} is neither in protected.allow.targets nor in protected.allow.namespaces"
        if self._allowed_labels and not any(_match(matchers, labels) for matchers in self._allowed_labels):
            known = ", ".join(f"`{_say(matchers)}`" for matchers in self._allowed_labels)
            return f"the alert matches nothing in protected.allow.labels ({known})"
        return ""


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
