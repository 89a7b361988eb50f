"""Says what the rules make of an alert: which match, which do not and why, and what a run would do, as far as known.

Called by the command that explains. Pure: it looks nothing up and does nothing; what only a look at the world can tell
(results of diagnosis, targets) is named as unknown. `rehearsal` finds that out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from remediator.clients import Clients
from remediator.model.alert import Alert
from remediator.model.ids import RuleId
from remediator.model.matchers import Matcher
from remediator.model.plan import Mode
from remediator.pipeline.outlook import Foresight, Outlook
from remediator.rules.book import Book, Rule

_NEAREST = 3  # misses of one pack that are worth showing
_ALIKE = 0.75  # how much of a text two have in common, at the least, so that one may be meant for the other


class Standing(StrEnum):
    """What became of a rule."""

    MATCHES = "matches"
    FAILS = "does not match"
    PASSED_OVER = "an earlier rule of its pack has won"


@dataclass(frozen=True, slots=True)
class Seen:
    """A matcher, and what it has met: the label's value, None where the alert has no such label."""

    matcher: Matcher
    value: str | None
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule in the face of an alert."""

    rule: Rule
    standing: Standing
    seen: tuple[Seen, ...]
    """Every matcher, in the rule's order."""
    winner: RuleId | None = None
    """The rule that this one was passed over for."""
    group_key: tuple[tuple[str, str], ...] = ()
    outlook: Outlook | None = None
    """For a rule that matches."""

    @property
    def failed(self) -> Seen | None:
        """The first matcher that failed."""
        return next((seen for seen in self.seen if not seen.holds), None)


@dataclass(frozen=True, slots=True)
class Explanation:
    """An alert with every rule of the book, in the book's order."""

    alert: Alert
    rules: tuple[RuleView, ...]
    is_heartbeat: bool = False
    """Whether it is taken as the heartbeat: then no rule is asked, and nothing is started."""

    @property
    def matching(self) -> tuple[RuleView, ...]:
        return tuple(view for view in self.rules if view.standing is Standing.MATCHES)

    @property
    def near(self) -> tuple[RuleView, ...]:
        """The rules that would have matched or nearly did, a few of each pack, in the book's order."""
        alike, by_pack = self._alike(), dict[str, list[RuleView]]()
        for view in self.rules:
            if view.standing is Standing.PASSED_OVER or (view.standing is Standing.FAILS and _is_near(view, alike)):
                by_pack.setdefault(view.rule.pack, []).append(view)
        kept = {id(view) for views in by_pack.values() for view in sorted(views, key=_distance)[:_NEAREST]}
        return tuple(view for view in self.rules if id(view) in kept)

    def _alike(self) -> Mapping[str, frozenset[str]]:
        """By label, the values that rules ask for and that the alert's may be a misspelling of."""
        wanted: dict[str, set[str]] = {}
        for seen in (seen for view in self.rules for seen in view.seen):
            if not seen.holds and not seen.matcher.negated:
                wanted.setdefault(seen.matcher.label, set()).update(seen.matcher.values or ())
        labels = self.alert.labels
        return {
            name: frozenset(get_close_matches(labels.get(name, ""), values, n=len(values) or 1, cutoff=_ALIKE))
            for name, values in wanted.items()
        }


def explain(alert: Alert, book: Book, *, ceiling: Mode, clients: Clients, heartbeat: str | None = None) -> Explanation:
    """What every rule of the book makes of an alert. `clients` are asked for nothing but what steps would do.

    `heartbeat` is the name of the alert that is taken as the heartbeat, where there is one.
    """
    matching = {rule.id for rule in book.match(alert.labels)}
    winners: dict[str, RuleId] = {}
    views = []
    for rule in book:
        seen = tuple(_look(matcher, alert) for matcher in rule.matchers)
        key = tuple((name, alert.labels.get(name, "")) for name in rule.group_by)
        if rule.id in matching:
            outlook = Foresight(alert, rule, clients, ceiling).outlook()
            views.append(RuleView(rule, Standing.MATCHES, seen, None, key, outlook))
            if not rule.continues:
                winners[rule.pack] = rule.id
        elif all(one.holds for one in seen):
            views.append(RuleView(rule, Standing.PASSED_OVER, seen, winners.get(rule.pack), key))
        else:
            views.append(RuleView(rule, Standing.FAILS, seen, None, key))
    return Explanation(alert, tuple(views), is_heartbeat=heartbeat is not None and alert.name == heartbeat)


def _look(matcher: Matcher, alert: Alert) -> Seen:
    return Seen(matcher, alert.labels.get(matcher.label) or None, matcher.matches(alert.labels))


def _is_near(view: RuleView, alike: Mapping[str, frozenset[str]]) -> bool:
    """Whether the alert has something that the rule asks for, or what may be a misspelling of it."""
    return any(_is_asked_for(one, alike) for one in view.seen if not one.matcher.negated and one.value)


def _is_asked_for(seen: Seen, alike: Mapping[str, frozenset[str]]) -> bool:
    if seen.holds:
        return seen.matcher.value not in (".*", ".+")
    return not alike[seen.matcher.label].isdisjoint(seen.matcher.values or ())


def _distance(view: RuleView) -> tuple[int, bool]:
    """How far a rule is from matching; one for another alertname is further."""
    failed = [one.matcher.label for one in view.seen if not one.holds]
    return len(failed), "alertname" in failed
