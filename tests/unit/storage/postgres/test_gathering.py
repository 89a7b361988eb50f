"""Reads that share a statement."""

import asyncio
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from remediator.errors import StoreUnavailable
from remediator.model.ids import RunId
from remediator.storage.postgres.gathering import Gathering

A, B, C, D, E = map(RunId, "abcde")


class Table:
    """Answers each read with the number that it has, once it may; what was asked for is noted."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None
        self.spoilt: RunId | None = None  # whatever reads this one fails
        self.slow: set[RunId] = set()  # whatever reads these is not answered before it may

    async def read(self, runs: Sequence[RunId]) -> Mapping[str, int]:
        self.asked.append(list(runs))
        number = len(self.asked)
        if not self.slow or self.slow & set(runs):
            await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        if self.spoilt in runs:
            raise StoreUnavailable(f"too slow: {self.spoilt}")
        return {run: number for run in runs if run != C}


async def begun(table: Table, gathering: Gathering[int], *runs: RunId) -> list["asyncio.Task[int | None]"]:
    """Reads of these runs, all of them asked for while that of the first one is under way."""
    reads = [asyncio.create_task(gathering.get(runs[0]))]
    while not table.asked:
        await asyncio.sleep(0)
    reads += [asyncio.create_task(gathering.get(run)) for run in runs[1:]]
    await asyncio.sleep(0)
    return reads


async def test_those_that_come_while_one_is_under_way_are_read_together_next() -> None:
    """The same run as well: what is under way may have looked before the news that made somebody ask again."""
    table = Table()
    reads = await begun(table, Gathering(table.read), A, B, A, C, B)
    table.may_answer.set()
    found = await asyncio.gather(*reads)

    assert [1, 2, 2, None, 2] == found
    assert [["a"], ["b", "a", "c"]] == table.asked


async def test_what_is_raised_for_each_reaches_all_of_them_and_nobody_after_them() -> None:
    """Each of them tries again by itself."""
    table = Table()
    gathering = Gathering(table.read)
    table.error = StoreUnavailable("away")
    reads = await begun(table, gathering, A, B, C)
    table.may_answer.set()
    raised = await asyncio.gather(*reads, return_exceptions=True)
    table.error = None

    assert [StoreUnavailable] * 3 == [type(one) for one in raised]
    assert 5 == await gathering.get(A)


async def test_one_that_cannot_be_read_spoils_nobody_elses_read() -> None:
    """A run with labels of many megabytes is too slow for the server; those read with it are not."""
    table = Table()
    table.spoilt = B
    reads = await begun(table, Gathering(table.read), D, A, B, C)
    table.may_answer.set()
    found = await asyncio.gather(*reads, return_exceptions=True)

    assert [1, 3, "too slow: b", None] == [str(one) if isinstance(one, Exception) else one for one in found]
    assert [["d"], ["a", "b", "c"], ["a"], ["b"], ["c"]] == table.asked


async def test_one_that_fails_alone_is_read_once() -> None:
    """Whoever asked tries again when it is time to; to do that here as well would double what an outage costs."""
    table = Table()
    table.spoilt = A
    (read,) = await begun(table, Gathering(table.read), A)
    table.may_answer.set()

    with pytest.raises(StoreUnavailable, match="too slow: a"):
        await read
    assert [["a"]] == table.asked


async def test_a_slow_one_does_not_hold_up_the_rest() -> None:
    """Every turn of every run reads first: all of them would wait for the largest."""
    table = Table()
    table.slow = {A}
    gathering = Gathering(table.read, patience=0)
    (slow,) = await begun(table, gathering, A)
    async with asyncio.timeout(30):
        found = [await gathering.get(run) for run in (B, C, D)]
    before = slow.done()
    table.may_answer.set()

    assert [2, None, 4] == found
    assert not before
    assert 1 == await slow


async def test_so_many_are_under_way_and_no_more() -> None:
    """There are a few connections, and a slow server is not made faster by more of the same."""
    table = Table()
    gathering = Gathering(table.read, patience=0)
    reads = []
    for run in (A, B, C, D, E):
        reads.append(asyncio.create_task(gathering.get(run)))
        async with asyncio.timeout(30):
            while len(table.asked) < min(len(reads), 3):
                await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    before = list(table.asked)
    table.may_answer.set()
    found = await asyncio.gather(*reads)

    assert [["a"], ["b"], ["c"]] == before
    assert [1, 2, None, 4, 4] == found


async def test_who_asks_no_more_costs_nobody_else_the_answer() -> None:
    """A run that is abandoned is one of many."""
    table = Table()
    reads = await begun(table, Gathering(table.read), A, B, B)
    reads[1].cancel()
    table.may_answer.set()
    found = await asyncio.gather(*reads, return_exceptions=True)

    assert [1, asyncio.CancelledError, 2] == [found[0], type(found[1]), found[2]]


@pytest.mark.parametrize(("spoilt", "others"), [(A, [2, None]), (B, [1, None])], ids=["read alone", "with others"])
async def test_an_error_that_nobody_waits_for_is_not_logged(spoilt: RunId, others: list[int | None]) -> None:
    """A traceback in the log would have people look for a fault where a run was only abandoned."""
    table, logged = Table(), list[dict[str, Any]]()
    table.spoilt = spoilt
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: logged.append(context))
    gathering = Gathering(table.read)
    reads = dict(zip((A, B, C), await begun(table, gathering, A, B, C), strict=True))
    reads[spoilt].cancel()
    await asyncio.wait((reads[spoilt],))
    table.may_answer.set()
    found = await asyncio.gather(*(read for run, read in reads.items() if run != spoilt))
    await gathering.close()
    reads.clear()
    gc.collect()

    assert others == found
    assert [] == logged


async def test_closing_waits_for_what_is_under_way() -> None:
    """A task that outlives its store would be nobody's."""
    table = Table()
    gathering = Gathering(table.read)
    (read,) = await begun(table, gathering, A)
    closing = asyncio.create_task(gathering.close())
    await asyncio.sleep(0)
    before = closing.done()
    table.may_answer.set()
    await closing

    assert not before
    assert 1 == await read


async def test_closing_what_was_never_used_is_nothing() -> None:
    """A store can be closed before anything was read."""
    await Gathering(Table().read).close()
