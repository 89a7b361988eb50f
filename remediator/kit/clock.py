"""The only place that asks what time it is. Everything above is given a `Clock` and can run in virtual time."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What time it is, and waiting for a later one."""

    def now(self) -> datetime:
        """The wall clock, in UTC: for what is stored and told."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps: for durations within this process."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait `duration`; a negative one is no wait."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(max(duration.total_seconds(), 0))
