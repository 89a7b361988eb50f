"""Whether the alert still fires, asked again right before each changing step: much heals by itself meanwhile.

Alertmanager knows, where the settings name one; else Prometheus, where they name that; else what the webhook has said
last counts. Of a group, one alert that fires is enough. An alert that people have silenced is left alone until the
silence is over, as somebody works on it: only Alertmanager knows of that, so it is asked where both are there.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

from remediator.clients.alertmanager import CREATED_BY, AlertmanagerClient, AlertState, Silence
from remediator.kit.wording import counted, say_time
from remediator.model.ids import RunId
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Reason
from remediator.model.stage import by_hand, resolved
from remediator.pipeline.guards.alert_rules import AlertRules
from remediator.pipeline.guards.alert_source import ALERTMANAGER, PROMETHEUS, source_of
from remediator.pipeline.guards.asking import ASK_AGAIN, Asking, NoAnswer
from remediator.pipeline.guards.guard import Allow, Ask, Case, Hold, Refuse, Review

_MOST_ALERTS = 20
"""How many alerts of a group are asked for, one after another, until one is found that fires."""
_MOST_SILENCES = 5
_LOOK_AGAIN = timedelta(seconds=30)

Labels = Mapping[str, str]


class AlertsOfRun(Protocol):
    """The part of the store that it asks."""

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        """See `Store`."""
        ...


class StillTrue:
    """Only what still fires, and is not silenced or inhibited, is remedied."""

    def __init__(
        self, alerts: AlertsOfRun, asking: Asking[AlertmanagerClient] | None, rules: AlertRules | None = None
    ) -> None:
        """`rules` of Prometheus are asked only where there is no Alertmanager to ask."""
        self._alerts = alerts
        self._asking = asking
        self._rules = rules

    @property
    def source(self) -> str:
        """Who is asked whether an alert still fires, for people."""
        return source_of(has_alertmanager=self._asking is not None, has_prometheus=self._rules is not None)

    async def look(self, case: Case) -> Review:
        said = await self._look(case)
        if case.begun and isinstance(said, Refuse):
            return Allow()  # half a change is worse than one that ends a little late
        return said

    async def _look(self, case: Case) -> Review:
        if by_hand(case.run) is not None:
            return Allow()  # a person's word that it is needed; nobody else knows of it
        word = resolved(case.run)
        if word is not None:
            what = (
                "nothing was heard of it for too long" if word.missed else "the webhook has said that it has resolved"
            )
            if word.anew:
                what = f"another run is there for it, which {word.anew} has had begun"
            return Refuse(Reason.NOT_FIRING, f"{what} ({say_time(word.at)})")
        if self._asking is not None:
            return await _ask(self._asking, await self._open_now(case), case)
        if self._rules is not None:
            return await _ask_prometheus(self._rules, await self._open_now(case), case)
        return Allow()

    async def _open_now(self, case: Case) -> Sequence[Labels]:
        """The labels of the run's alerts that are open here; one more than are asked for."""
        if not case.rule.group_by:
            return (case.run.alert.labels,)
        found = await self._alerts.open_alerts_of(case.run.id, limit=_MOST_ALERTS + 1)
        return [occurrence.labels for occurrence in found]


async def _ask(asking: Asking[AlertmanagerClient], open_now: Sequence[Labels], case: Case) -> Review:
    """Alertmanager's word: one alert that fires, and that nothing mutes, is enough."""
    muted: Hold | None = None
    for labels in open_now[:_MOST_ALERTS]:
        state = await asking.ask(partial(asking.client.state_of, labels))
        if isinstance(state, NoAnswer):
            return state.stand(Reason.ALERT_UNCERTAIN, case.at)
        if not state.fires:
            continue
        mute = await _mute(asking, state, case)
        if not isinstance(mute, Hold):
            return mute
        muted = muted or mute
    if muted is not None:
        return muted
    return _gone(ALERTMANAGER, len(open_now), case)


async def _ask_prometheus(rules: AlertRules, open_now: Sequence[Labels], case: Case) -> Review:
    """Prometheus' word: one alert that fires is enough; one of which it cannot be told keeps the rest from refusing."""
    unsure: list[Review] = []
    for labels in open_now[:_MOST_ALERTS]:
        said = await rules.review(labels, case.at)
        if isinstance(said, Allow):
            return said
        unsure += [] if isinstance(said, Refuse) else [said]
    unsure.sort(key=lambda said: isinstance(said, Ask))  # a hold comes first: it ends by itself
    return unsure[0] if unsure else _gone(PROMETHEUS, len(open_now), case)


def _gone(who: str, count: int, case: Case) -> Hold | Refuse:
    """None of so many alerts fires that were asked for."""
    if count > _MOST_ALERTS:
        what = f"none of the {_MOST_ALERTS} alerts of the group that {who} was asked for fires, and there are more"
        return Hold(Reason.ALERT_UNCERTAIN, case.at + ASK_AGAIN, what)
    if not count:
        return Refuse(Reason.NOT_FIRING, "none of the group's alerts is open any more")
    which = "it" if count == 1 else f"any of the group's {counted(count, 'alert')}"
    return Refuse(
        Reason.NOT_FIRING, f"{who} does not have {which} firing now (it does not know what others have sent here)"
    )


async def _mute(asking: Asking[AlertmanagerClient], state: AlertState, case: Case) -> Review:
    """What stands against it in Alertmanager, which is a Hold, or nothing. What we have silenced ourselves does not."""
    if state.inhibited_by:
        by = counted(len(state.inhibited_by), "other alert")
        return Hold(Reason.SILENCED, case.at + _LOOK_AGAIN, f"inhibited by {by} as long as that fires")
    if len(state.silenced_by) > _MOST_SILENCES:
        count = len(state.silenced_by)
        return Hold(Reason.SILENCED, case.at + _LOOK_AGAIN, f"{count} silences hold for it")
    for silence_id in state.silenced_by:
        silence = await asking.ask(partial(asking.client.silence, silence_id))
        if isinstance(silence, NoAnswer):
            return silence.stand(Reason.ALERT_UNCERTAIN, case.at)
        if silence.created_by != CREATED_BY:
            return Hold(Reason.SILENCED, case.at + _LOOK_AGAIN, _say_silence(silence))
    return Allow()


def _say_silence(silence: Silence) -> str:
    until = f" until {say_time(silence.ends_at)}" if silence.ends_at else ""
    why = f": “{silence.comment}”" if silence.comment else ""
    return f"silenced by {silence.created_by or 'somebody'}{until}{why}"
