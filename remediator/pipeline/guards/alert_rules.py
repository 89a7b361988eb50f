"""What Prometheus has firing by its rules, for guards that ask it where no Alertmanager is configured.

It tells of an alert as its rule makes it. What is sent from there has more labels (`external_labels`), and may have
others (`alert_relabel_configs`): so an alert of ours is looked for by the labels that Prometheus tells, and where that
does not settle it, nothing is done without a person. It knows no silences, and nothing that somebody else has sent.
Its answer has all alerts of a name, which in a storm are very many: one answer is good for everybody for a moment.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from remediator.clients.prometheus import ActiveAlert, AlertRule, PrometheusClient
from remediator.kit.clock import Clock
from remediator.kit.redaction import shorten
from remediator.model.outcome import Reason
from remediator.pipeline.guards.asking import ASK_AGAIN, Asking, NoAnswer
from remediator.pipeline.guards.guard import Allow, Ask, Hold, Refuse, Review

_FRESH = timedelta(seconds=1)
_LOOK_AGAIN = timedelta(seconds=30)
_SHOWN = 100
_MOST_NAMES = 5

Labels = Mapping[str, str]
Rules = Sequence[AlertRule]


class AlertRules:
    """The alerting rules of one Prometheus, by the name of their alerts."""

    def __init__(self, asking: Asking[PrometheusClient], clock: Clock) -> None:
        self._asking = asking
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._told: dict[str, tuple[float, Rules]] = {}  # when it was asked for, and what it was

    async def of(self, name: str) -> Rules | NoAnswer:
        """The rules that raise alerts of that name, with their alerts; or why there is no answer."""
        async with self._one_at_a_time:
            at = self._clock.monotonic()
            self._told = {n: told for n, told in self._told.items() if at - told[0] < _FRESH.total_seconds()}
            if name in self._told:
                return self._told[name][1]
            found = await self._asking.ask(partial(self._asking.client.alert_rules, name))
            if not isinstance(found, NoAnswer):
                self._told[name] = at, found
            return found

    async def review(self, labels: Labels, at: datetime) -> Review:
        """Whether an alert with these labels fires: Allow; Refuse where it surely does not; what is not known holds,
        or is for a person where waiting does not help."""
        found = await self.of(labels.get("alertname", ""))
        if isinstance(found, NoAnswer):
            return found.stand(Reason.ALERT_UNCERTAIN, at)
        return judge(found, {name: value for name, value in labels.items() if value}, at)


def judge(rules: Rules, labels: Labels, at: datetime) -> Review:
    """What rules of an alert's name say of it. Pure."""
    current = [alert for rule in rules if not (rule.is_new or rule.trouble) for alert in rule.alerts]
    if any(alert.fires and alert.labels.items() <= labels.items() for alert in current):
        return Allow()
    if not rules:
        return _ask(f"Prometheus has no rule for alerts called {_name(labels)}: somebody else sends it, or renames it")
    trouble = trouble_of(rules, Reason.ALERT_UNCERTAIN, labels.get("alertname", ""), at)
    if trouble is not None:
        return trouble
    if any(alert.labels.items() <= labels.items() for alert in current):
        what = "in Prometheus it is pending: it does not fire for long enough yet, or began anew"
        return Hold(Reason.ALERT_UNCERTAIN, at + _LOOK_AGAIN, what)
    more = next((more for alert in current if alert.fires and (more := _lacking(alert, labels))), ())
    if more:
        names = ", ".join(shorten(name, _SHOWN) for name in more[:_MOST_NAMES])
        return _ask(f"Prometheus has one firing that may be it, but it has also {names}, which are not on this alert")
    return Refuse(Reason.NOT_FIRING)


def trouble_of(rules: Rules, reason: Reason, name: str, at: datetime) -> Hold | Ask | None:
    """What follows where not all of these rules could be worked out; None where all were."""
    said = shorten(name, _SHOWN)
    if any(rule.is_new for rule in rules):
        return Hold(reason, at + ASK_AGAIN, f"Prometheus has not worked out its rule {said} yet since it has started")
    trouble = next((rule.trouble for rule in rules if rule.trouble), "")
    if trouble:
        what = f"Prometheus cannot work out its rule {said}: {trouble}; a person has to decide"
        return Ask(reason, what, subject=said)
    return None


def _lacking(alert: ActiveAlert, labels: Labels) -> tuple[str, ...]:
    """The labels of one that may be ours that ours does not have; none where it is surely another one."""
    if any(labels.get(name, value) != value for name, value in alert.labels.items()):
        return ()
    return tuple(sorted(alert.labels.keys() - labels.keys()))


def _name(labels: Labels) -> str:
    return shorten(labels.get("alertname", ""), _SHOWN) or "(no name)"


def _ask(why: str) -> Ask:
    then = "a person has to decide (where alertmanager.url is set, that is asked instead; see prometheus.raises_alerts)"
    return Ask(Reason.ALERT_UNCERTAIN, f"{why}; {then}")
