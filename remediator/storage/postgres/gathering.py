"""Reads of single runs that share a statement: those that are asked for while one is under way are made together next.

Used by the store for what every turn of a run reads: a connection from the pool, and a way to the server and back, cost
far more than the rows of one run. A read begins after it was asked for, so it finds all that was committed before.

A run can be so large that its read takes seconds. So who waits for longer than a usual read takes is read beside the
one that is under way, and where a shared read fails, each is read by itself: a run spoils nobody else's read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from remediator.model.ids import RunId

T = TypeVar("T")

_MOST_AT_ONCE = 3  # statements under way; there are a few connections, and others read as well
_PATIENCE = 0.02  # seconds; a usual read takes far less, and what is asked for meanwhile shares the next one

_Wanted = dict[RunId, asyncio.Future[T | None]]


class Gathering(Generic[T]):
    """Reads by the id of a run. Whoever shares a statement that fails is read again, alone, and has its own error."""

    def __init__(
        self, read: Callable[[Sequence[RunId]], Awaitable[Mapping[str, T]]], *, patience: float = _PATIENCE
    ) -> None:
        self._read = read
        self._patience = patience
        self._wanted: _Wanted[T] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def get(self, run: RunId) -> T | None:
        """What is found of the run, if anything is."""
        if run not in self._wanted:
            self._wanted[run] = asyncio.get_running_loop().create_future()
        if not self._under_way:
            self._begin()
        found = self._wanted[run]
        await asyncio.wait((found,))  # who is cancelled leaves it as it is: another one may wait for the same
        return found.result()

    async def close(self) -> None:
        """Wait for what is under way; whoever closes the connections does that first."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _begin(self) -> None:
        """Start a statement for what is wanted at its first step, and look again in a while."""
        task = asyncio.create_task(self._work(), name="postgres-gathering")
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        self._look_later()

    def _look_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._patience, self._look)

    def _look(self) -> None:
        """Nothing has begun for a while: what is wanted meanwhile need not wait for what is under way."""
        if self._wanted and len(self._under_way) < _MOST_AT_ONCE:
            self._begin()
        else:
            self._look_later()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if self._wanted:
            self._begin()
        elif not self._under_way and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _work(self) -> None:
        wanted, self._wanted = self._wanted, {}
        if not wanted:
            return  # another one that had begun has taken all
        try:
            found = await self._read(list(wanted))
        except Exception as error:
            await self._work_alone(wanted, error)
        else:
            for run, future in wanted.items():
                future.set_result(found.get(run))

    async def _work_alone(self, wanted: _Wanted[T], error: Exception) -> None:
        """A shared read has failed, so each is read by itself; one that was alone has had its turn."""

        async def read(run: RunId, future: "asyncio.Future[T | None]") -> None:
            try:
                found = await self._read([run])
            except Exception as its_own:
                _fail(future, its_own)
            else:
                future.set_result(found.get(run))

        if len(wanted) == 1:
            for future in wanted.values():
                _fail(future, error)
        else:
            await asyncio.gather(*(read(run, future) for run, future in wanted.items()))


def _fail(future: "asyncio.Future[T | None]", error: Exception) -> None:
    """Give it the error, and look at it: where nobody waits any more, asyncio would log it as overlooked."""
    future.set_exception(error)
    future.exception()
