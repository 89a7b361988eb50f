"""Reads that share a statement."""

import asyncio
from collections.abc import Mapping, Sequence

from remediator.errors import StoreUnavailable
from remediator.model.ids import RunId
from remediator.storage.postgres.gathering import Gathering

A, B, C = RunId("a"), RunId("b"), RunId("c")


class Table:
    """Answers each read with the number that it has, once it may; what was asked for is noted."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, runs: Sequence[RunId]) -> Mapping[str, int]:
        self.asked.append(list(runs))
        number = len(self.asked)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
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


async def test_what_is_raised_reaches_all_that_shared_it_and_nobody_after_them() -> None:
    """Each of them tries again by itself."""
    table = Table()
    gathering = Gathering(table.read)
    table.error = StoreUnavailable("away")
    reads = await begun(table, gathering, A, B, C)
    table.may_answer.set()
    raised = await asyncio.gather(*reads, return_exceptions=True)
    table.error = None

    assert [StoreUnavailable] * 3 == [type(one) for one in raised]
    assert 3 == await gathering.get(A)


async def test_who_asks_no_more_costs_nobody_else_the_answer() -> None:
    """A run that is abandoned is one of many."""
    table = Table()
    reads = await begun(table, Gathering(table.read), A, B, B)
    reads[1].cancel()
    table.may_answer.set()
    found = await asyncio.gather(*reads, return_exceptions=True)

    assert [1, asyncio.CancelledError, 2] == [found[0], type(found[1]), found[2]]


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
