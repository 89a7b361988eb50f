"""Reads of single runs that share a statement: those that are asked for while one is under way are made together next.

Used by the store for what every turn of a run reads: a connection from the pool, and a way to the server and back, cost
far more than the rows of one run. A read begins after it was asked for, so it finds all that was committed before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from remediator.model.ids import RunId

T = TypeVar("T")


class Gathering(Generic[T]):
    """Reads by the id of a run. Whoever shares a statement shares what it raises."""

    def __init__(self, read: Callable[[Sequence[RunId]], Awaitable[Mapping[str, T]]]) -> None:
        self._read = read
        self._wanted: dict[RunId, asyncio.Future[T | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, run: RunId) -> T | None:
        """What is found of the run, if anything is."""
        if run not in self._wanted:
            self._wanted[run] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="postgres-gathering")
        return await asyncio.shield(self._wanted[run])  # another one may wait for the same

    async def close(self) -> None:
        """Wait for what is under way; whoever closes the connections does that first."""
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while self._wanted:
            wanted, self._wanted = self._wanted, {}
            try:
                found = await self._read(list(wanted))
            except Exception as error:
                for future in wanted.values():
                    future.set_exception(error)
            else:
                for run, future in wanted.items():
                    future.set_result(found.get(run))
