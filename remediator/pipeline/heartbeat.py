"""The heartbeat: an alert that always fires, by which we know that Prometheus and Alertmanager still reach us.

Intake tells of each beat, once it is on disk; the composition root starts `work`. A beat starts no run and matches no
rule. When none comes for too long, that is told in the log, the metrics, by readiness, and in chat by one notice, which
is edited when it comes back; also where the service was started again in between. Silence is measured by the monotonic
clock and from our own start at the earliest: that we were away is not the sender's fault. Nothing here may keep an
alert out.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from remediator.errors import StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.duration import say_duration
from remediator.model.ids import Fingerprint, new_occurrence_id
from remediator.model.message import Message, Text, Tone
from remediator.model.occurrence import Closing, Occurrence, Opening, Ruling, Verdict
from remediator.pipeline.dispatch import wait_for_event
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_LOOK_AGAIN = timedelta(minutes=1)  # while it is late: another replica may have heard it
_TELL_AGAIN = timedelta(seconds=5)
_SECOND = timedelta(seconds=1)


# What is decided; pure.


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is known of the heartbeat."""

    last: datetime | None
    """When it was heard last; None if it never was."""
    silent_from: float
    """Since when it has been silent, on the monotonic clock; our own start counts as a beat."""

    def silent_for(self, monotonic: float) -> timedelta:
        """For how long it has been silent."""
        return timedelta(seconds=max(monotonic - self.silent_from, 0))


def judge_beat(alert: Alert, known: Occurrence | None, received_at: datetime) -> Verdict:
    """What one beat means: it is remembered, and nothing is ever started by it."""
    is_open = known is not None and known.closed_at is None
    if alert.status is AlertStatus.RESOLVED:
        return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED) if is_open else Verdict(Ruling.NOT_OPEN)
    if is_open:
        return Verdict(Ruling.REPEATED, hear=True)
    return Verdict(Ruling.OPENED, open=Opening(new_occurrence_id(received_at), ()))


def notice_key(name: str, last: datetime | None) -> str:
    """The key of the notice about one silence: the same after a restart, and another one for the next silence."""
    return f"heartbeat-{last:%Y%m%dT%H%M%S%f}" if last is not None else f"heartbeat-never-{name}"


def tell_lost(name: str, last: datetime | None, silence: timedelta) -> Message:
    """What people read when it has stopped coming. Without the time of now: told again, it is the same message."""
    look = "Alerts may not reach remediator: look whether Prometheus and Alertmanager run, and deliver here."
    if last is None:
        title = f"the heartbeat {name} does not come"
        text = f"It was never heard, and should be at least every {_say(silence)}. {look}"
        return Message(Tone.BAD, title, (Text(text),))
    text = f"It was heard last at {_clock_time(last)}, and should be at least every {_say(silence)}. {look}"
    return Message(Tone.BAD, f"the heartbeat {name} has stopped coming", (Text(text),))


def tell_back(name: str, last: datetime | None, heard: datetime) -> Message:
    """What the notice becomes when it comes again."""
    if last is None:
        text = f"It was heard for the first time at {_clock_time(heard)}."
        return Message(Tone.GOOD, f"the heartbeat {name} comes now", (Text(text),))
    away = _say(max(heard - last, _SECOND))
    text = f"It was not heard from {_clock_time(last)} to {_clock_time(heard)}. Alerts of that time may have come late."
    return Message(Tone.GOOD, f"the heartbeat {name} came back after {away}", (Text(text),))


def _say(duration: timedelta) -> str:
    return say_duration(timedelta(seconds=round(duration.total_seconds())) or duration)


def _clock_time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


# What is done about it.


class Heartbeat:
    """Listens for one alert by its name, and tells when it stops coming."""

    def __init__(
        self,
        name: str,
        silence: timedelta,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        channel: str,
        on_message: Callable[[], None],
    ) -> None:
        """`on_message` is called when a message was left in the store for `channel`."""
        self.name = name
        self.fingerprint = Fingerprint(f"heartbeat:{name}")
        self._silence = silence
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._channel = channel
        self._on_message = on_message
        self._pulse = Pulse(None, clock.monotonic())
        self._lost: Pulse | None = None  # as it was when it was found missing, while it is
        self._to_tell: dict[str, Message] = {}
        self._beaten = asyncio.Event()

    # Called by intake

    def mark(self, delivery: Delivery) -> Delivery:
        """The delivery with every beat as one and the same alert, whoever sends it and with whatever other labels.

        No sender can give this fingerprint: theirs always end with one that is computed.
        """
        if all(alert.name != self.name for alert in delivery.alerts):
            return delivery
        alerts = (replace(a, fingerprint=self.fingerprint) if a.name == self.name else a for a in delivery.alerts)
        return replace(delivery, alerts=tuple(alerts))

    def is_beat(self, alert: Alert) -> bool:
        """Whether an alert of a marked delivery is ours."""
        return alert.fingerprint == self.fingerprint

    def note(self, delivery: Delivery) -> None:
        """A marked delivery is on disk: if it has a beat in it, the heart beats."""
        if any(self.is_beat(alert) and alert.status is AlertStatus.FIRING for alert in delivery.alerts):
            self._hear(delivery.received_at, self._clock.monotonic())
            self._beaten.set()

    def _hear(self, at: datetime, monotonic: float) -> None:
        self._pulse = Pulse(at, monotonic)
        self._metrics.heartbeat_last.set(at.timestamp())

    # Called by the composition root

    async def recall(self) -> None:
        """Learn from the store what was heard before we started, and whether its silence was told. Before any beat."""
        last = await self._last_stored()
        if last is not None:
            self._metrics.heartbeat_last.set(last.timestamp())
        self._pulse = Pulse(last, self._clock.monotonic())
        if await self._store.has_notice(self._channel, notice_key(self.name, last)):
            self._pulse = Pulse(last, self._clock.monotonic() - self._silence.total_seconds() - 1)
            self._lose()

    async def work(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look()
            await wait_for_event(self._beaten, self._rest(), self._clock)
            self._beaten.clear()

    async def look(self) -> None:
        """Find out whether it has stopped or come back, and have that told."""
        if self._is_silent():
            await self._ask_store()
        if self._is_silent() and self._lost is None:
            self._lose()
            log.error("heartbeat_late", alertname=self.name, last_heard=self._say_last())
            key = notice_key(self.name, self._pulse.last)
            self._to_tell[key] = tell_lost(self.name, self._pulse.last, self._silence)
        elif not self._is_silent() and self._lost is not None:
            self._find(self._lost)
        await self._tell()

    @property
    def trouble(self) -> str | None:
        """Why somebody should look, while it is late."""
        if self._lost is None:
            return None
        return f"{self.name} is late: {self._say_last()}; look at Prometheus, Alertmanager and the route to here"

    @property
    def state(self) -> str:
        """How it is, in words for readiness."""
        return self.trouble or f"{self.name}: {self._say_last()}"

    def _say_last(self) -> str:
        return f"heard last at {_clock_time(self._pulse.last)}" if self._pulse.last else "never heard so far"

    def _is_silent(self) -> bool:
        return self._pulse.silent_for(self._clock.monotonic()) > self._silence

    def _lose(self) -> None:
        self._lost = self._pulse
        self._metrics.heartbeat_late.set(1)

    def _find(self, lost: Pulse) -> None:
        self._lost = None
        self._metrics.heartbeat_late.set(0)
        log.info("heartbeat_came_back", alertname=self.name, last_heard=self._say_last())
        heard = self._pulse.last or self._clock.now()
        self._to_tell[notice_key(self.name, lost.last)] = tell_back(self.name, lost.last, heard)

    def _rest(self) -> timedelta:
        """Until there is something to do, if no beat comes before."""
        if self._to_tell:
            return _TELL_AGAIN
        if self._lost is not None:
            return _LOOK_AGAIN
        left = self._silence - self._pulse.silent_for(self._clock.monotonic())
        return max(left, timedelta(0)) + timedelta(milliseconds=1)

    async def _last_stored(self) -> datetime | None:
        newest = await self._store.newest_occurrence(self.fingerprint)
        return newest.heard_at if newest is not None else None

    async def _ask_store(self) -> None:
        """Whether another process on the same store has heard it meanwhile."""
        try:
            last = await self._last_stored()
        except StoreUnavailable as error:
            log.warning("heartbeat_waits_for_store", error=str(error))
            return
        if last is not None and (self._pulse.last is None or last > self._pulse.last):
            ago = max(self._clock.now() - last, timedelta(0))
            self._hear(last, self._clock.monotonic() - ago.total_seconds())

    async def _tell(self) -> None:
        """Leave what is to be told in the outbox; what cannot be left now stays for the next look."""
        for key, message in tuple(self._to_tell.items()):
            try:
                await self._store.notify(self._channel, key, message, self._clock.now())
            except StoreUnavailable as error:
                log.warning("heartbeat_not_told_yet", error=str(error))
                return
            del self._to_tell[key]
            self._on_message()
