"""Whether something that the rule's targets need is down: while the database is, restarting its clients helps nobody.

A rule names the alerts that say so (`depends`). One that is open here counts, and one that Alertmanager has firing,
silenced or not: it is down all the same. Where there is no Alertmanager to ask, Prometheus is asked for those of its
rules. A run whose own alert is the one that is named does not wait for itself; of a group all alerts have to be.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.kit.redaction import shorten
from remediator.kit.wording import say_time
from remediator.model.ids import RunId
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Reason
from remediator.pipeline.guards.alert_rules import AlertRules, Rules, trouble_of
from remediator.pipeline.guards.asking import Asking, NoAnswer
from remediator.pipeline.guards.guard import Allow, Case, Hold, Review, together
from remediator.rules.rule import Dependency

_LOOK_AGAIN = timedelta(seconds=30)
_MOST_ALERTS = 500
"""How many open alerts of the names in question, and of the run's group, are looked through."""
_MOST_SAID = 200


class OpenAlerts(Protocol):
    """The part of the store that it asks."""

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        """See `Store`."""
        ...

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        """See `Store`."""
        ...


class Dependencies:
    """While something fires that the rule depends on, its plans wait."""

    def __init__(
        self, alerts: OpenAlerts, asking: Asking[AlertmanagerClient] | None, rules: AlertRules | None = None
    ) -> None:
        """`rules` of Prometheus are asked only where there is no Alertmanager to ask."""
        self._alerts = alerts
        self._asking = asking
        self._rules = rules

    async def look(self, case: Case) -> Review:
        needed = await self._needed(case)
        if not needed:
            return Allow()
        here = await self._look_here(needed, case)
        if isinstance(here, Hold):
            return here
        if self._asking is not None:
            return await _ask(self._asking, needed, case)
        return here if self._rules is None else await _ask_prometheus(self._rules, needed, case)

    async def _needed(self, case: Case) -> Sequence[Dependency]:
        """What has to be up: all but what the run is about itself, which of a group are all of its open alerts."""
        own = [one for one in case.rule.depends if one.matches(case.run.alert.labels)]
        if own and case.rule.group_by:
            found = await self._alerts.open_alerts_of(case.run.id, limit=_MOST_ALERTS + 1)
            is_all = len(found) <= _MOST_ALERTS
            own = [one for one in own if is_all and all(one.matches(occurrence.labels) for occurrence in found)]
        return [one for one in case.rule.depends if one not in own]

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


async def _ask(asking: Asking[AlertmanagerClient], needed: Sequence[Dependency], case: Case) -> Review:
    """Alertmanager's word: it may know of what was never sent here."""
    for one in needed:
        found = await asking.ask(partial(asking.client.firing_like, [str(matcher) for matcher in one.matchers]))
        if isinstance(found, NoAnswer):
            return found.stand(Reason.DEPENDENCY_UNCERTAIN, case.at, subject=_named(needed))
        if found:
            return _hold(found[0], "fires, as Alertmanager says", case)
    return Allow()


async def _ask_prometheus(rules: AlertRules, needed: Sequence[Dependency], case: Case) -> Review:
    """Prometheus' word on what its own rules raise."""
    said: list[Review] = []
    for one in needed:
        for name in one.names:
            found = await rules.of(name)
            if isinstance(found, NoAnswer):
                return found.stand(Reason.DEPENDENCY_UNCERTAIN, case.at, subject=_named(needed))
            fires = _fires(found, one, case)
            if isinstance(fires, Hold):
                return fires
            said.append(trouble_of(found, Reason.DEPENDENCY_UNCERTAIN, name, case.at) or fires)
    return together(said)


def _named(needed: Sequence[Dependency]) -> str:
    """All that has to be up: who approves without an answer does so for all of it."""
    return "; ".join(sorted(map(str, needed)))


def _fires(rules: Rules, needed: Dependency, case: Case) -> Allow | Hold:
    """Whether an alert of these rules is one that is depended on, or may be by the labels that are told of it."""
    firing = [alert.labels for rule in rules for alert in rule.alerts if alert.fires]
    for labels in firing:
        if needed.matches(labels):
            return _hold(labels, "fires, as Prometheus says", case)
    for labels in firing:
        if all(matcher.matches(labels) for matcher in needed.matchers if matcher.label in labels):
            unknown = ", ".join(str(matcher) for matcher in needed.matchers if matcher.label not in labels)
            how = f"fires, as Prometheus says, which does not tell whether {shorten(unknown, _MOST_SAID)}"
            return _hold(labels, how, case, Reason.DEPENDENCY_UNCERTAIN)
    return Allow()


def _hold(labels: Mapping[str, str], how: str, case: Case, reason: Reason = Reason.DEPENDENCY_DOWN) -> Hold:
    more = ", ".join(f"{name}={value!r}" for name, value in sorted(labels.items()) if name != "alertname")
    which = shorten(f"{labels.get('alertname', '')} ({more})" if more else labels.get("alertname", ""), _MOST_SAID)
    return Hold(reason, case.at + _LOOK_AGAIN, f"{which} {how}; it is held until that has resolved")
