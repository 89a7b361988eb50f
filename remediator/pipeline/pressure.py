"""Whether new deliveries are taken now, and why not: the backlog of due runs, and what is free on the store's disk.

Asked by the web layer before it reads a delivery, told by `/readyz`, and kept up to date by the application. It looks
and says; it never stops work that was taken. A backlog of chat messages refuses nothing: people are told late then, but
remedies go on.

Everything is refused alike, also what only resolves: the sender tries it again within seconds to minutes, the runs that
wait are worked off meanwhile whatever comes or not, and telling the two apart would take reading and parsing every
body, which is what there is no room for.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import structlog

from remediator.errors import Overloaded, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.settings import PressureSettings

log = structlog.get_logger(__name__)

_EVERY = timedelta(seconds=1)
_MIB = 1024 * 1024


class Strain(StrEnum):
    """Why nothing new is taken."""

    BACKLOG = "backlog"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Load:
    """How things stand: runs that are due and wait, and bytes free on the store's disk (None: not known)."""

    waiting: int
    free: int | None


@dataclass(frozen=True, slots=True)
class Marks:
    """Where refusing begins and where it ends; the two differ, so that it does not flicker."""

    most_waiting: int
    waiting_again: int
    least_free: int
    free_again: int

    @classmethod
    def of(cls, settings: PressureSettings) -> "Marks":
        """Half the backlog has to be worked off, and half as much more be free, before deliveries are taken again."""
        least = settings.least_free_mib * _MIB
        return cls(settings.most_waiting, settings.most_waiting // 2, least, least + least // 2)

    def judge(self, load: Load, strains: frozenset[Strain]) -> frozenset[Strain]:
        """Why nothing is taken under this load, where `strains` were the reasons until now."""
        found = set()
        if load.waiting > (self.waiting_again if Strain.BACKLOG in strains else self.most_waiting):
            found.add(Strain.BACKLOG)
        if load.free is not None and load.free < (self.free_again if Strain.DISK in strains else self.least_free):
            found.add(Strain.DISK)
        return frozenset(found)


class Pressure:
    """Remembers how things stand, and refuses deliveries while that is too much."""

    def __init__(
        self,
        *,
        waiting: Callable[[], int],
        disk: Path | None,
        settings: PressureSettings,
        clock: Clock,
        metrics: Metrics,
        unclaimed: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        """`disk`: a folder on the disk to look at; None where the store looks after its own.

        `unclaimed`: how many runs are due that no process has taken up, where several share a store.
        """
        self._waiting = waiting
        self._disk = disk
        self._marks = Marks.of(settings)
        self._clock = clock
        self._metrics = metrics
        self._unclaimed = unclaimed
        self._unclaimed_count = 0
        self._free: int | None = None
        self._strains: frozenset[Strain] = frozenset()
        for strain in Strain:
            metrics.under_pressure.labels(strain).set(0)

    def admit(self) -> None:
        """Let a delivery pass. Raises Overloaded while none is taken."""
        self._judge()
        for strain in sorted(self._strains):
            raise Overloaded(f"{self._why(strain)}; send the alerts again", reason=strain)

    @property
    def trouble(self) -> str | None:
        """Why nothing is taken now, for people; None while deliveries are taken."""
        return "; ".join(self._why(strain) for strain in sorted(self._strains)) or None

    async def work(self) -> None:
        """Look every second, so that what has become better is noticed also where nothing comes."""
        while True:
            await self.look()
            await self._clock.sleep(_EVERY)

    async def look(self) -> None:
        """See how things stand now."""
        if self._disk is not None:
            self._free = await asyncio.to_thread(_free_on, self._disk)
        if self._unclaimed is not None:
            try:
                self._unclaimed_count = await self._unclaimed()
            except StoreUnavailable as error:  # it refuses by itself then
                log.debug("unclaimed_runs_not_counted", error=str(error))
        self._judge()

    def _judge(self) -> None:
        load = Load(self._waiting() + self._unclaimed_count, self._free)
        strains = self._marks.judge(load, self._strains)
        if strains == self._strains:
            return
        for strain in sorted(strains ^ self._strains):
            refuses = strain in strains
            self._metrics.under_pressure.labels(strain).set(refuses)
            if refuses:
                log.warning("deliveries_refused", reason=strain, why=self._why(strain), waiting=load.waiting)
            else:
                log.info("deliveries_taken_again", reason=strain, waiting=load.waiting, free_bytes=load.free)
        self._strains = strains

    def _why(self, strain: Strain) -> str:
        match strain:
            case Strain.BACKLOG:
                return f"more than {self._marks.most_waiting} runs waited for a worker (pressure.most_waiting)"
            case Strain.DISK:
                least = self._marks.least_free // _MIB
                return f"less than {least} MiB were free on the disk of the store (pressure.least_free_mib)"


def _free_on(folder: Path) -> int | None:
    """Bytes that this user may still write there; None where the system does not say: the store will say it then."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
