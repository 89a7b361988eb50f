"""The systems that steps talk to, each spared by itself: so many calls at once, and a circuit breaker.

`Calls` visits a system for every call of an action. What does not answer is left alone for a while, so that steps fail
at once instead of keeping others waiting; whoever waits for a place does so in turn. All of it is in memory and this
process's own. A label can decide a host, and so the name of a system: how many are remembered is bounded for each
family, and metrics are labelled by family only. Nothing here calls a system.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

import structlog

from remediator.errors import Failed, NotAllowed, NotAsked, OutcomeUnknown, Transient
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor, shorten
from remediator.kit.wording import counted
from remediator.model.system import Stand, System, SystemState
from remediator.pipeline.breaker import Breaker, Leave, Patience
from remediator.plugins import Params, Result
from remediator.settings import SystemSettings

log = structlog.get_logger(__name__)

_MOST = 200  # systems of one family that are remembered
_FRESH = 5.0  # seconds for which a system that does not answer need not be asked the same again
_SHOWN = 200


class Manner(Enum):
    """What a call is for, which says what a breaker means to it."""

    ORDINARY = auto()
    """It needs the system: refused while the breaker is open."""
    PROBING = auto()
    """It asks whether the system answers, and that it does not is an answer too: never refused."""
    WATCHING = auto()
    """It looks whether a remedy has helped: never refused, and that the system is still away is no news."""


@dataclass(slots=True)
class Visit:
    """One call to a system."""

    waited: float
    """How many seconds it has waited for its place."""
    away: str = ""
    """Set it where the call came back, but says that the system does not answer, and why."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a probing call has found: that the system does not answer."""

    action: str
    params: Params
    result: Result
    at: float


@dataclass(slots=True)
class _Entry:
    """What is known of one system."""

    system: System
    breaker: Breaker
    places: asyncio.Semaphore
    calls: int = 0
    waiting: int = 0
    opened_at: datetime | None = None
    opened: float = 0.0  # the same by the monotonic clock
    trouble: str = ""
    found: _Found | None = None

    @property
    def is_in_use(self) -> bool:
        return self.calls > 0 or self.waiting > 0


_Family = OrderedDict[str, _Entry]  # by name, the one that was visited last at the end


class Systems:
    """Lets calls to systems through, or not."""

    def __init__(self, settings: SystemSettings, clock: Clock, metrics: Metrics, redactor: Redactor) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._redactor = redactor
        pause = settings.breaker_pause.total_seconds()
        longest = max(settings.breaker_longest_pause.total_seconds(), pause)
        self._patience = Patience(settings.breaker_failures, pause, longest)
        self._families: dict[str, _Family] = {}

    @asynccontextmanager
    async def visit(self, system: System, manner: Manner, *, patience: float) -> AsyncIterator[Visit]:
        """A place among the calls to a system, for which it waits `patience` seconds at the most.

        What the body raises says whether the system answered. Raises NotAsked where it may not be asked.
        """
        entry = self._entry(system)
        self._refuse_if_away(entry, manner)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._take_place(entry, patience)
        try:
            visit = Visit(loop.time() - began)
            if visit.waited > patience:  # the process was frozen meanwhile: a change must not begin too late
                raise self._busy(entry, patience)
            self._refuse_if_away(entry, manner)  # others may have found out meanwhile
            with self._listening(entry, manner, visit):
                yield visit
        finally:
            entry.calls -= 1
            entry.places.release()

    def recall(self, system: System, action: str, params: Params) -> tuple[Result, float] | None:
        """What the same probing call found a moment ago, and how many seconds ago, while the system is left alone."""
        entry, now = self._find(system.name), self._clock.monotonic()
        if entry is None or entry.found is None or entry.breaker.stand(now) is not Stand.OPEN:
            return None
        found = entry.found
        is_same = (found.action, found.params) == (action, params)
        return (found.result, now - found.at) if is_same and now - found.at <= _FRESH else None

    def remember(self, system: System, action: str, params: Params, result: Result) -> None:
        """Keep what a probing call has found: that the system does not answer."""
        entry = self._find(system.name)
        if entry is not None:
            entry.found = _Found(action, params, result, self._clock.monotonic())

    def states(self) -> tuple[SystemState, ...]:
        """Every system that was asked lately, those that do not answer first."""
        now = self._clock.monotonic()
        self._let_lapse(now)
        found = [_state(entry, now) for family in self._families.values() for entry in family.values()]
        return tuple(sorted(found, key=lambda state: (state.opened_at is None, state.name)))

    def summary(self) -> tuple[bool, str]:
        """Whether any system does not answer, and how many of which kind; nothing of it is a label's."""
        self._let_lapse(self._clock.monotonic())
        said, is_any_open = [], False
        for name, family in sorted(self._families.items()):
            still = sum(not entry.breaker.is_closed for entry in family.values())
            waiting = sum(entry.waiting for entry in family.values())
            is_any_open = is_any_open or still > 0
            if still:
                said.append(f"{name}: {counted(still, 'breaker')} open")
            if waiting:
                said.append(f"{name}: {counted(waiting, 'call')} waiting for a place")
        told = ", ".join(said) or "none is away"
        return is_any_open, f"{told}; see: remediator breaker list" if is_any_open else told

    def reset(self, name: str, by: str) -> bool:
        """Close the breaker of a system at once; False where there is none of that name."""
        entry = self._find(name)
        if entry is None or entry.system.is_here:
            return False
        stood = entry.breaker.stand(self._clock.monotonic())
        log.info("breaker_reset", system=self._name(entry), by=shorten(by, _SHOWN), stood=stood.value)
        self._noting(entry, entry.breaker.reset, reason="reset by hand")
        entry.trouble, entry.found = "", None
        return True

    # -- places --

    async def _take_place(self, entry: _Entry, patience: float) -> None:
        if not entry.places.locked():
            await entry.places.acquire()  # at once
            entry.calls += 1
            return
        waiting = self._metrics.calls_waiting.labels(entry.system.family)
        entry.waiting += 1
        waiting.inc()
        try:
            async with asyncio.timeout(max(patience, 0)):
                await entry.places.acquire()
        except TimeoutError:
            raise self._busy(entry, patience) from None
        finally:
            entry.waiting -= 1
            waiting.dec()
        entry.calls += 1

    def _busy(self, entry: _Entry, patience: float) -> NotAsked:
        self._metrics.calls_not_made.labels(entry.system.family, "busy").inc()
        return NotAsked(
            f"not done: {self._name(entry)} has {counted(self._settings.calls_at_once, 'call')} at once already, and "
            f"none ended within {patience:g} s; if it bears more, raise systems.calls_at_once"
        )

    # -- breakers --

    def _refuse_if_away(self, entry: _Entry, manner: Manner) -> None:
        now = self._clock.monotonic()
        self._lapse(entry, now)
        if manner is not Manner.ORDINARY or entry.system.is_here or entry.breaker.admits(now):
            return
        self._metrics.calls_not_made.labels(entry.system.family, "away").inc()
        left = entry.breaker.opens_in(now)
        then = f"it is asked again in {max(left, 0.1):.1f} s" if left else "one call asks it just now"
        raise NotAsked(
            f"not done: {self._name(entry)} did not answer {counted(entry.breaker.failures, 'time')} in a row, so it "
            f"is left alone; {then}. The last time: {entry.trouble}"
        )

    @contextmanager
    def _listening(self, entry: _Entry, manner: Manner, visit: Visit) -> Iterator[None]:
        """Learn from a call whether the system answers."""
        counts = manner is not Manner.WATCHING and not entry.system.is_here
        leave = entry.breaker.admit(self._clock.monotonic()) if counts else None
        is_told = False
        try:
            yield
            is_told = True
            self._note(entry, leave, visit.away)
        except (Transient, OutcomeUnknown, TimeoutError) as error:
            is_told = True
            self._note(entry, leave, str(error) or "no answer in time")
            raise
        except Failed as error:
            is_told = not isinstance(error, NotAllowed)  # that one is ours, and says nothing of the system
            if is_told:
                self._note(entry, leave, "")
            raise
        finally:
            if not is_told and leave is not None:  # cancelled, or wrong in itself
                entry.breaker.abandoned(leave)

    def _note(self, entry: _Entry, leave: Leave | None, trouble: str) -> None:
        if entry.system.is_here:
            return
        if not trouble:
            entry.trouble, entry.found = "", None
            self._noting(entry, entry.breaker.answered, reason="it answers")
            return
        if leave is not None:
            given = leave
            entry.trouble = shorten(" ".join(self._redactor.text(trouble[:2000]).split()), _SHOWN)
            self._noting(entry, lambda: entry.breaker.failed(given, self._clock.monotonic()))

    def _noting(self, entry: _Entry, change: Callable[[], object], reason: str = "") -> None:
        """Let the breaker change, and tell where it has opened or closed."""
        was_closed = entry.breaker.is_closed
        change()
        if was_closed == entry.breaker.is_closed:
            return
        if was_closed:
            entry.opened_at, entry.opened = self._clock.now(), self._clock.monotonic()
            log.warning(
                "breaker_opened", system=self._name(entry), failures=entry.breaker.failures, reason=entry.trouble
            )
        else:
            seconds = round(self._clock.monotonic() - entry.opened, 1)
            entry.opened_at = None
            log.info("breaker_closed", system=self._name(entry), reason=reason, seconds=seconds)
        self._count(entry.system.family)

    def _let_lapse(self, now: float) -> None:
        for family in self._families.values():
            for entry in family.values():
                self._lapse(entry, now)

    def _lapse(self, entry: _Entry, now: float) -> None:
        if not entry.breaker.is_closed:
            self._noting(entry, lambda: entry.breaker.lapse(now), reason="nobody has asked for it since")

    def _count(self, family: str) -> None:
        still = sum(not entry.breaker.is_closed for entry in self._families[family].values())
        self._metrics.breakers_open.labels(family).set(still)

    def _name(self, entry: _Entry) -> str:
        return shorten(entry.system.name, _SHOWN)

    # -- what is remembered --

    def _entry(self, system: System) -> _Entry:
        family = self._families.get(system.family)
        if family is None:
            family = self._families[system.family] = OrderedDict()
            self._metrics.calls_waiting.labels(system.family)
            if not system.is_here:
                self._count(system.family)
        entry = family.get(system.name)
        if entry is None:
            self._make_room(family)
            entry = _Entry(system, Breaker(self._patience), asyncio.Semaphore(self._settings.calls_at_once))
            family[system.name] = entry
        family.move_to_end(system.name)
        return entry

    def _make_room(self, family: _Family) -> None:
        """Forget what was visited longest ago, dull ones first; what is in use stays, even above the bound."""
        if len(family) < _MOST:
            return
        idle = [entry for entry in family.values() if not entry.is_in_use]
        forgotten = next((entry for entry in idle if entry.breaker.failures == 0), idle[0] if idle else None)
        if forgotten is not None:
            del family[forgotten.system.name]
            if not forgotten.breaker.is_closed:
                self._count(forgotten.system.family)

    def _find(self, name: str) -> _Entry | None:
        family = self._families.get(name.partition(":")[0])
        return None if family is None else family.get(name)


def _state(entry: _Entry, now: float) -> SystemState:
    breaker = entry.breaker
    return SystemState(
        name=entry.system.name,
        family=entry.system.family,
        stand=None if entry.system.is_here else breaker.stand(now),
        failures=breaker.failures,
        opened_at=entry.opened_at,
        asked_in=math.ceil(10 * breaker.opens_in(now)) / 10,  # 0 only where a call may go through
        trouble=entry.trouble,
        calls=entry.calls,
        waiting=entry.waiting,
    )
