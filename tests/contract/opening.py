"""Alerts that open runs, for the tests of any store."""

import dataclasses
from datetime import UTC, datetime, timedelta

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.facts import Ended, Started
from remediator.model.ids import (
    Digest,
    Fingerprint,
    OccurrenceId,
    OwnerId,
    RuleId,
    RunId,
    StepId,
)
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Accepted, Closing, Judge, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome
from remediator.storage.runs import Claim
from remediator.storage.store import Store

ME, OTHER = OwnerId("me"), OwnerId("other")
RULE = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def alert(name: str = "Down", status: AlertStatus = AlertStatus.FIRING) -> Alert:
    return Alert(Fingerprint(name), status, {"alertname": name}, {}, T0)


def opening(run: str, occurrence: str | None = None) -> Opening:
    message = Message(Tone.FIRING, f"first of {run}")
    new = NewRun(RunId(run), RuleId("p/r"), RULE, "it is down", "#c", message)
    return Opening(OccurrenceId(occurrence or f"o-{run}"), (new,))


async def open_run(store: Store, run: str = "r1", name: str | None = None) -> Claim:
    """A new run of an occurrence of its own, born claimed."""
    delivery = Delivery((alert(name or run),), received_at=T0)
    await store.accept(delivery, lambda _alert, _known: Verdict(Ruling.OPENED, open=opening(run)), ME)
    return Claim(RunId(run), ME, 1, 0)


def started(step: str = "remediate.0.0", attempt: int = 1) -> Started:
    return Started(T0, 1, StepId(step), attempt, 1, T0 + timedelta(minutes=1))


ENDED = Ended(T0, Outcome.HEALED, "fine")


def grouping(*, group: str = "g", rule: str = "p/r") -> Judge:
    """Opens every alert that fires for a run of one group, called after it, and closes what resolves."""

    def judge(alert: Alert, _known: Occurrence | None) -> Verdict:
        if alert.status is AlertStatus.RESOLVED:
            return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)
        new = dataclasses.replace(opening(alert.name).runs[0], group=group, rule=RuleId(rule))
        return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{alert.name}"), (new,)))

    return judge


async def fire(store: Store, *names: str, group: str = "g", rule: str = "p/r") -> Accepted:
    delivery = Delivery(tuple(map(alert, names)), received_at=T0)
    return await store.accept(delivery, grouping(group=group, rule=rule), ME)


async def resolve(store: Store, *names: str) -> Accepted:
    alerts = tuple(alert(name, AlertStatus.RESOLVED) for name in names)
    return await store.accept(Delivery(alerts, received_at=T0), grouping(), ME)


def labels(*names: str) -> tuple[dict[str, str], ...]:
    return tuple({"alertname": name} for name in names)
