"""Whether something that the rule's targets need is down: while the database is, restarting its clients helps nobody.

A rule names the alerts that say so (`depends`). One that is open here counts, and one that Alertmanager has firing,
silenced or not: it is down all the same. A run whose own alert is the one that is named does not wait for itself.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

from remediator.kit.redaction import shorten
from remediator.kit.wording import say_time
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Reason
from remediator.pipeline.guards.asking import Asking, NoAnswer
from remediator.pipeline.guards.guard import Allow, Case, Hold, Review
from remediator.rules.rule import Dependency

_LOOK_AGAIN = timedelta(seconds=30)
_MOST_ALERTS = 500
"""How many open alerts of the names in question are looked through."""
_MOST_SAID = 200


class OpenAlerts(Protocol):
    """The part of the store that it asks."""

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        """See `Store`."""
        ...


class Dependencies:
    """While something fires that the rule depends on, its plans wait."""

    def __init__(self, alerts: OpenAlerts, asking: Asking | None) -> None:
        self._alerts = alerts
        self._asking = asking

    async def look(self, case: Case) -> Review:
        needed = [one for one in case.rule.depends if not one.matches(case.run.alert.labels)]
        if not needed:
            return Allow()
        here = await self._look_here(needed, case)
        if isinstance(here, Hold) or self._asking is None:
            return here
        return await _ask(self._asking, needed, case)

    async def _look_here(self, needed: Sequence[Dependency], case: Case) -> Allow | Hold:
        """What our own store has open."""
        names = sorted({name for one in needed for name in one.names})
        found = await self._alerts.open_alerts_named(names, limit=_MOST_ALERTS)
        for one in needed:
            for occurrence in found:
                if one.matches(occurrence.labels):
                    return _hold(occurrence.labels, f"fires since {say_time(occurrence.starts_at)}", case)
        if len(found) >= _MOST_ALERTS:
            what = f"{_MOST_ALERTS} alerts called {' or '.join(names)} are open, too many to look through"
            return Hold(Reason.DEPENDENCY_UNCERTAIN, case.at + _LOOK_AGAIN, what)
        return Allow()


async def _ask(asking: Asking, needed: Sequence[Dependency], case: Case) -> Review:
    """Alertmanager's word: it may know of what was never sent here."""
    for one in needed:
        found = await asking.ask(partial(asking.client.firing_like, [str(matcher) for matcher in one.matchers]))
        if isinstance(found, NoAnswer):
            return found.stand(Reason.DEPENDENCY_UNCERTAIN, case.at)
        if found:
            return _hold(found[0], "fires, as Alertmanager says", case)
    return Allow()


def _hold(labels: Mapping[str, str], how: str, case: Case) -> Hold:
    more = ", ".join(f"{name}={value!r}" for name, value in sorted(labels.items()) if name != "alertname")
    which = shorten(f"{labels.get('alertname', '')} ({more})" if more else labels.get("alertname", ""), _MOST_SAID)
    return Hold(Reason.DEPENDENCY_DOWN, case.at + _LOOK_AGAIN, f"{which} {how}; it is held until that has resolved")
