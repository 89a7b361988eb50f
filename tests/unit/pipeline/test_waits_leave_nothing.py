"""What a wait leaves behind when it is over: in a storm thousands of runs wait, one time after the other."""

import asyncio
import gc
from datetime import timedelta

from remediator.model.ids import RunId
from remediator.model.priority import Priority
from remediator.pipeline.changes import Changes
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.waiting import Due
from remediator.pipeline.worker import Places, Turn
from remediator.testing.clock import VirtualClock

SECOND = timedelta(seconds=1)


async def test_nothing_of_a_wait_is_kept_while_the_next_one_goes_on() -> None:
    """Two tasks and what ended them are kilobytes, for each run that stands in line for a place again."""
    clock, changes = VirtualClock(), Changes(1)
    dispatcher = HeapDispatcher(clock)
    changes.ask(Priority.NORMAL)
    turn = Turn(Due(RunId("r"), Priority.NORMAL, None), dispatcher, Places(2), changes, clock)
    turn.enter()
    assert not turn.may_change
    gc.collect()
    before = gc.get_objects()
    known = set(map(id, before))
    waiting = asyncio.create_task(turn.wait_to_change(SECOND))
    await clock.advance(2 * SECOND)
    due = await dispatcher.next()  # it has waited, and stands in line for a place

    gc.collect()
    kept = [one for one in gc.get_objects() if id(one) not in known and isinstance(one, asyncio.Task)]
    assert [waiting] == [one for one in kept if one is not asyncio.current_task()]
    assert turn.due is due
    turn.enter()
    await waiting
