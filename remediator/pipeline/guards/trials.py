"""When the breaker of a rule or of an action lets one change try, for people. Pure.

The guard itself (`breaking`) judges each plan by its own limits. A stop is told before there is a plan: it goes by the
earliest time at which any remedy in the scope may try.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from remediator.model.change import Change, Ending
from remediator.model.ids import RuleId
from remediator.model.plan import Effect
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.effective import limits_of
from remediator.pipeline.guards.tries import tries_of
from remediator.rules.book import Book, Rule, Rung
from remediator.settings import LimitsSettings

_GOOD = (Ending.HEALED, Ending.NOT_BEGUN)


def trial_at(stop: Stop, changes: Iterable[Change], book: Book, settings: LimitsSettings) -> datetime | None:
    """From when on one change may try, given what has been changed in the stop's scope; None for another kind of stop.

    A trial that did not go well has it wait anew, and so does one that is under way.
    """
    if stop.kind is not StopKind.BREAKER:
        return None
    since = [one for one in tries_of(changes) if one.at > stop.at and one.ending not in _GOOD]
    opened = max((one.at if one.ending in (None, Ending.DONE) else one.known_at for one in since), default=stop.at)
    return max(opened, stop.at) + _pause(stop.scope, book, settings)


def _pause(scope: str, book: Book, settings: LimitsSettings) -> timedelta:
    """The shortest time after which a remedy in the scope may try."""
    pauses = [limits_of(settings, rule, rung, acts).trial_after for rule, rung, acts in _remedies(scope, book)]
    return min(pauses, default=settings.trial_after)


def _remedies(scope: str, book: Book) -> Iterator[tuple[Rule, Rung, frozenset[str]]]:
    kind, _, name = scope.partition(":")
    rule = book.get(RuleId(name)) if kind == "rule" else None
    for one in book if kind == "action" else (rule,) if rule is not None else ():
        for rung in one.rungs:
            actions = frozenset(step.action.name for step in rung.steps if step.action.effect is not Effect.READ)
            if actions and (kind == "rule" or name in actions):
                yield one, rung, actions
