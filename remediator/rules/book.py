"""The book: all rules that are loaded, compiled so that an alert meets only the few that it may match.

The pipeline's matching asks it for every new occurrence. Pure; thousands of rules cost little, because each rule is
filed under one of the values that it asks for, its alertname where it names one.
"""

from collections.abc import Iterator, Mapping, Sequence

from remediator.model.ids import RuleId
from remediator.model.matchers import Matcher
from remediator.rules.compiling import compile_rule
from remediator.rules.rule import Check, Gate, Rendered, Rule, Rung, Step, Verify

__all__ = ["Book", "Check", "Gate", "Rendered", "Rule", "Rung", "Step", "Verify", "compile_rule"]

_Filed = tuple[int, Rule]


class Book:
    """Rules in the order of their files; those of one pack stand together."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._by_id = {rule.id: rule for rule in self.rules}
        self._filed: dict[str, dict[str, list[_Filed]]] = {}  # label, value: the rules that ask for it
        self._loose: list[_Filed] = []  # rules that ask for no value
        for place, rule in enumerate(self.rules):
            self._file(place, rule)

    def _file(self, place: int, rule: Rule) -> None:
        key = _key_of(rule)
        if key is None:
            self._loose.append((place, rule))
            return
        drawers = self._filed.setdefault(key.label, {})
        for value in set(key.values or ()):
            drawers.setdefault(value, []).append((place, rule))

    def match(self, labels: Mapping[str, str]) -> tuple[Rule, ...]:
        """The rules for an alert: of each pack the first that matches, and the next ones as long as they continue."""
        matched: list[Rule] = []
        settled: set[str] = set()
        for _, rule in self._candidates(labels):
            if rule.pack in settled or not rule.matches(labels):
                continue
            matched.append(rule)
            if not rule.continues:
                settled.add(rule.pack)
        return tuple(matched)

    def _candidates(self, labels: Mapping[str, str]) -> list[_Filed]:
        found = list(self._loose)
        for label, by_value in self._filed.items():
            found += by_value.get(labels.get(label, ""), ())
        return sorted(found, key=_place_of) if len(found) > 1 else found

    def get(self, rule_id: RuleId) -> Rule | None:
        """The rule of that id, as it is now; a run keeps the one that it started with."""
        return self._by_id.get(rule_id)

    def __len__(self) -> int:
        return len(self.rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)


def _place_of(filed: _Filed) -> int:
    return filed[0]


def _key_of(rule: Rule) -> Matcher | None:
    """The matcher that a rule is filed under: the one on its alertname, else the first that asks for known values."""
    asking = [matcher for matcher in rule.matchers if matcher.values is not None]
    return next((m for m in asking if m.label == "alertname"), asking[0] if asking else None)
