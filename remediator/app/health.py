"""The checks of /readyz: whether alerts can be accepted, and what is degraded and why.

Asked by the health pages, by a command in Slack, and by itself for the metric. A check waits for nothing but
our own store, and briefly; what keeps no alerts out is shown as degraded, and is no reason to be taken for not ready.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from remediator.app.start_warnings import not_configured
from remediator.clients.reach import Reach
from remediator.errors import RemediatorError
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor, shorten
from remediator.model.duration import say_duration
from remediator.pipeline.heartbeat import Heartbeat
from remediator.pipeline.noted_head import REMEDY
from remediator.pipeline.outbox import Outbox
from remediator.pipeline.pressure import Pressure
from remediator.pipeline.reloading import Reloader
from remediator.pipeline.replicas import Alone, Replicas
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.store_check import StoreCheck
from remediator.pipeline.systems import Systems
from remediator.settings import Settings
from remediator.storage.outbox import OutboxStore
from remediator.web.health import Health, HealthCheck
from remediator.web.slack.socket import SocketMode

_OUTBOX_LATE = 60.0  # seconds that a chat message may wait before readiness says so
_EVERY = timedelta(seconds=15)
_CLOCK_WRONG = timedelta(minutes=1)  # a difference to the machine's clock that people should know of
_PATIENCE = 3.0  # seconds for one look at something of ours


class HealthChecks:
    """Looks at everything that readiness depends on, and at what people should know of."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: OutboxStore,
        store_check: StoreCheck,
        pressure: Pressure,
        rulebook: Rulebook,
        reloader: Reloader,
        outbox: Outbox,
        replicas: Alone | Replicas,
        heartbeat: Heartbeat | None,
        socket_mode: SocketMode | None,
        systems: Systems,
        reach: Reach,
        clock: Clock,
        metrics: Metrics,
        redactor: Redactor,
        died: Callable[[], str | None],
        audit: Callable[[], str],
    ) -> None:
        """`died`: the name of a part that has died, if any. `audit`: what is wrong with the audit journal."""
        self._settings = settings
        self._store = store
        self._store_check = store_check
        self._pressure = pressure
        self._rulebook = rulebook
        self._reloader = reloader
        self._outbox = outbox
        self._replicas = replicas
        self._heartbeat = heartbeat
        self._socket_mode = socket_mode
        self._systems = systems
        self._reach = reach
        self._clock = clock
        self._metrics = metrics
        self._redactor = redactor
        self._died = died
        self._audit = audit

    async def look(self) -> Health:
        """Whether alerts can be accepted, and what is degraded and why."""
        store, chat = await asyncio.gather(self._check_store(), self._check_chat())
        checks = (store, self._check_pressure(), self._check_parts(), self._check_rules(), chat)
        degraded = tuple(
            HealthCheck(what, ok=True, degraded=True, detail=remedy) for what, remedy in not_configured(self._settings)
        )
        ready = all(check.ok for check in checks)
        self._metrics.ready.set(ready)
        more = (
            *self._check_replicas(),
            *self._check_heartbeat(),
            *self._check_socket(),
            *degraded,
            *self._check_reach(),
            self._check_systems(),
            *self._check_clock(),
            *self._check_audit(),
        )
        return Health(ready, (*checks, *more))

    async def watch(self) -> None:
        """Keep the metric `remediator_ready` true, whoever asks, and know which other services answer."""
        while True:
            await asyncio.gather(self.look(), self._reach.look())
            await self._clock.sleep(_EVERY)

    async def _check_store(self) -> HealthCheck:
        trouble = await self._store_check.trouble()
        return HealthCheck("store", ok=trouble is None, detail=trouble or "writable")

    def _check_pressure(self) -> HealthCheck:
        """While deliveries are refused, another replica takes them, if a load balancer goes by readiness."""
        trouble = self._pressure.trouble
        return HealthCheck("pressure", ok=trouble is None, detail=trouble or "deliveries are taken")

    def _check_parts(self) -> HealthCheck:
        if (died := self._died()) is not None:
            return HealthCheck("parts", ok=False, detail=f"{died} has died; restart the service")
        return HealthCheck("parts", ok=True, detail="all running")

    def _check_rules(self) -> HealthCheck:
        """Files with mistakes keep no alerts out: the rules from before are in force."""
        count, trouble = len(self._rulebook.book), self._reloader.trouble
        detail = f"{count} loaded" + (f"; the files are not in force: {trouble.why}" if trouble else "")
        return HealthCheck("rules", ok=True, degraded=count == 0 or trouble is not None, detail=detail)

    async def _check_chat(self) -> HealthCheck:
        """Chat never keeps alerts out: what waits is told later."""
        try:
            async with asyncio.timeout(_PATIENCE):
                state = await self._store.outbox_state()
        except (RemediatorError, TimeoutError) as error:
            return HealthCheck("chat", ok=True, degraded=True, detail=str(error) or "the store does not answer")
        age = (self._clock.now() - state.oldest).total_seconds() if state.oldest else 0.0
        late = age > _OUTBOX_LATE or self._outbox.trouble is not None
        why = f": {shorten(self._redactor.text(self._outbox.trouble), 200)}" if self._outbox.trouble else ""
        behind = f", and {state.minor} behind these" if state.minor else ""
        detail = f"{state.waiting} waiting, the oldest {age:.0f} s{behind}{why}"
        return HealthCheck("chat", ok=True, degraded=late, detail=detail)

    def _check_replicas(self) -> tuple[HealthCheck, ...]:
        """Who shares the store; nothing where nobody can."""
        if isinstance(self._replicas, Alone):
            return ()
        return (HealthCheck("replicas", ok=True, detail=self._replicas.state),)

    def _check_heartbeat(self) -> tuple[HealthCheck, ...]:
        """That alerts have stopped coming keeps none out."""
        if self._heartbeat is None:
            return ()
        late = self._heartbeat.trouble is not None
        return (HealthCheck("heartbeat", ok=True, degraded=late, detail=self._heartbeat.state),)

    def _check_socket(self) -> tuple[HealthCheck, ...]:
        """That nobody can decide in Slack for a while keeps no alerts out: the terminal and the API are there."""
        if self._socket_mode is None:
            return ()
        trouble = self._socket_mode.trouble
        told = "connected" if trouble is None else shorten(self._redactor.text(trouble), 200)
        return (HealthCheck("slack socket", ok=True, degraded=trouble is not None, detail=told),)

    def _check_reach(self) -> tuple[HealthCheck, ...]:
        """What the last look found, so that readiness itself waits for no other service."""
        return tuple(
            HealthCheck(name, ok=True, degraded=bool(trouble), detail=trouble or "answers")
            for name, trouble in self._reach.troubles.items()
        )

    def _check_systems(self) -> HealthCheck:
        """What steps have found out; one that does not answer keeps no alerts out."""
        is_any_away, told = self._systems.summary()
        return HealthCheck("systems", ok=True, degraded=is_any_away, detail=told)

    def _check_audit(self) -> tuple[HealthCheck, ...]:
        """That somebody has changed the journal, or its key, keeps no alerts out."""
        trouble = self._audit()
        return (HealthCheck("audit", ok=True, degraded=True, detail=f"{trouble}; {REMEDY}"),) if trouble else ()

    def _check_clock(self) -> tuple[HealthCheck, ...]:
        """That the machine's clock was set keeps nothing from working; but what is stored and told has other times."""
        ahead = self._clock.ahead
        if abs(ahead) < _CLOCK_WRONG:
            return ()
        told = f"the machine's clock was set by {'-' if ahead < timedelta(0) else '+'}{say_duration(abs(ahead))} since"
        remedy = "the start; it is followed by a hundredth of the time that passes, or at once by a restart"
        return (HealthCheck("clock", ok=True, degraded=True, detail=f"{told} {remedy}"),)
