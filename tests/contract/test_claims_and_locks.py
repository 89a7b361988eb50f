"""Who has a run, what rests, and which targets are held, in every store."""

import dataclasses
from datetime import timedelta

import pytest

from remediator.errors import Fenced
from remediator.model.facts import Examined, Finished, Held, LateFinished, Settled, StepStatus
from remediator.model.ids import (
    RunId,
    StepId,
)
from remediator.model.message import Message, Post, Tone
from remediator.model.outcome import Reason
from remediator.model.priority import Priority
from remediator.model.run import Cancel, Resolved, Settle
from remediator.storage.runs import NOTHING, Claim, Entry, Refusal, Reservation
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.contract.opening import ENDED, ME, OTHER, T0, open_run, started


async def test_taking_a_run_of_another_owner_raises_the_epoch_and_shuts_that_owner_out(store: Store) -> None:
    """A process that was thought dead and comes back must not write."""
    old = await open_run(store)

    mine = await store.take(old.run, OTHER)
    again = await store.take(old.run, OTHER)

    assert mine is not None
    assert again is not None
    assert ((OTHER, 2), (OTHER, 2)) == ((mine.owner, mine.epoch), (again.owner, again.epoch))
    for write in (
        store.learn(old, Entry([Examined(T0, 1, {})])),
        store.park(old, Entry(), T0),
        store.start(old, Entry(), started(), NOTHING),
        store.end(old, Entry(), ENDED, keep_locks_until=None),
    ):
        with pytest.raises(Fenced):
            await write


async def test_taking_an_unknown_run_gives_none(store: Store) -> None:
    """A wake-up may outlive its run."""
    assert await store.take(RunId("nobody"), ME) is None
    assert not await store.signal(RunId("nobody"), Cancel(T0, "me"))


async def test_a_run_with_unread_signals_does_not_rest(store: Store) -> None:
    """A decision that comes while its owner is about to park must not be slept over."""
    claim = await open_run(store)
    await store.signal(claim.run, Cancel(T0, "me"))

    unread = await store.park(claim, Entry([Examined(T0, 1, {})]), T0 + timedelta(hours=1))
    read = await store.park(dataclasses.replace(claim, signals_read=1), Entry(), T0 + timedelta(hours=1))

    assert (False, True) == (unread, read)
    assert ((claim.run, T0 + timedelta(hours=1), Priority.NORMAL),) == await store.wakes()


async def test_nothing_starts_while_a_signal_is_unread(store: Store) -> None:
    """The resolve or the cancel may be in it."""
    claim = await open_run(store)
    await store.signal(claim.run, Cancel(T0, "me"))

    refusal = await store.start(claim, Entry([Examined(T0, 1, {})]), started(), Reservation(("docker:local/web",)))

    assert Refusal(Reason.SIGNALLED) == refusal
    run = await store.read_run(claim.run)
    assert run is not None
    assert () == run.facts


async def test_a_target_is_held_by_one_run_until_it_ends(store: Store) -> None:
    """Two runs on one target is how automation becomes the outage."""
    first, second = await open_run(store, "r1"), await open_run(store, "r2")
    lock = Reservation(("docker:local/web",))

    mine = await store.start(first, Entry(), started(), lock)
    again = await store.start(first, Entry(), started("remediate.0.1"), lock)
    theirs = await store.start(second, Entry(), started(), lock)
    await store.end(first, Entry([ENDED]), ENDED, keep_locks_until=None)
    afterwards = await store.start(second, Entry(), started(), lock)

    assert (None, None, None) == (mine, again, afterwards)
    assert theirs is not None
    assert (Reason.TARGET_BUSY, "docker:local/web is held by run r1") == (theirs.reason, theirs.detail)


async def test_a_refused_start_reserves_nothing(store: Store) -> None:
    """A plan of two targets that gets one of them would block it for nobody's good."""
    first, second, third = await open_run(store, "r1"), await open_run(store, "r2"), await open_run(store, "r3")
    await store.start(first, Entry(), started(), Reservation(("b",)))

    refused = await store.start(
        second, Entry([Held(T0, 1, 1, Reason.NO_TARGET, "", T0)]), started(), Reservation(("b", "a"))
    )
    free = await store.start(third, Entry(), started(), Reservation(("a",)))

    assert refused is not None
    assert free is None
    run = await store.read_run(second.run)
    assert run is not None
    assert () == run.facts


async def test_a_run_that_goes_on_can_give_its_targets_back(store: Store) -> None:
    """It may wait for hours before it acts on anything; only what it says itself gives them back."""
    first, second = await open_run(store, "r1"), await open_run(store, "r2")
    both, not_mine = Reservation(("a", "b")), dataclasses.replace(first, owner=OTHER)
    finished = Finished(T0, 1, StepId("remediate.0.0"), 1, StepStatus.FAILED, "no", "", 0, begun=False)
    await store.start(first, Entry(), started(), both)

    await store.learn(first, Entry([Examined(T0, 1, {})]))
    with pytest.raises(Fenced):
        await store.learn(not_mine, Entry(), free_locks=True)
    before = await store.start(second, Entry(), started(), both)
    await store.learn(first, Entry([finished]), free_locks=True)
    after = await store.start(second, Entry(), started(), both)
    anew = await store.start(first, Entry(), started(attempt=2), both)

    assert (True, None, True) == (before is not None, after, anew is not None)
    run = await store.read_run(first.run)
    assert run is not None
    assert (started(), Examined(T0, 1, {}), finished) == run.facts


async def test_the_lock_of_an_unknown_step_outlives_its_run_until_its_deadline(
    store: Store, clock: VirtualClock
) -> None:
    """The call may still be under way somewhere."""
    first, second = await open_run(store, "r1"), await open_run(store, "r2")
    await store.start(first, Entry(), started(), Reservation(("a",)))
    await store.end(first, Entry([ENDED]), ENDED, keep_locks_until=T0 + timedelta(minutes=1))

    refused = await store.start(second, Entry(), started(), Reservation(("a",)))
    assert refused is not None
    assert (
        "a is held by run r1, which has ended, and nobody saw the end of its step: `remediator runs settle r1 "
        f"done|not-done` frees it, else it is free at {T0 + timedelta(minutes=1):%Y-%m-%d %H:%M:%S} UTC"
    ) == refused.detail

    await clock.advance(timedelta(minutes=1))

    assert await store.start(second, Entry(), started(), Reservation(("a",))) is None


async def test_an_ended_run_is_due_again_only_when_something_comes(store: Store) -> None:
    """The alert's own end is told in the thread of a run that has ended."""
    claim = await open_run(store)
    rests = await store.end(claim, Entry([ENDED]), ENDED, keep_locks_until=None)
    quiet = await store.wakes()
    await store.signal(claim.run, Resolved(T0))

    assert rests
    assert () == quiet
    assert ((claim.run, T0, Priority.NORMAL),) == await store.wakes()


async def test_a_late_end_of_a_call_is_recorded_whoever_owns_the_run(store: Store) -> None:
    """It settles what happened, and must not be lost because of the fence."""
    claim = await open_run(store)
    await store.take(claim.run, OTHER)
    late = LateFinished(T0, StepId("remediate.0.0"), 1, StepStatus.DONE, "restarted")

    await store.settle_late(claim.run, late, [Post("late", Message(Tone.NEUTRAL, "late news"))])

    run = await store.read_run(claim.run)
    assert run is not None
    assert (late,) == run.facts
    assert "late" in [p.key for p in await store.waiting_posts(10)]


async def test_a_run_that_has_ended_gives_its_locks_back_when_its_end_is_written_again(store: Store) -> None:
    """What a step's unknown end kept locked is free as soon as a person has settled it."""
    first, second = await open_run(store, "r1"), await open_run(store, "r2")
    await store.start(first, Entry(), started(), Reservation(("a",)))
    await store.end(first, Entry([ENDED]), ENDED, keep_locks_until=T0 + timedelta(hours=1))
    word = Settle(T0, StepId("remediate.0.0"), 1, done=True, by="ann")
    await store.signal(first.run, word)
    busy = await store.start(second, Entry(), started(), Reservation(("a",)))
    woken = await store.take(first.run, ME)
    assert woken is not None
    again = Claim(first.run, ME, woken.epoch, 1)
    settled = Settled(T0, word.step, 1, done=True, by="ann", reason="")
    rests = await store.end(again, Entry([settled]), ENDED, keep_locks_until=None)
    run = await store.read_run(first.run)

    assert busy is not None
    assert rests
    assert await store.start(second, Entry(), started(), Reservation(("a",))) is None
    assert run is not None
    assert ([word], ["started", "ended", "settled"]) == (list(run.signals), [fact.kind for fact in run.facts])
    assert [("r2", None), ("r1", T0)] == [(line.id, line.ended_at) for line in await store.list_runs(limit=5)]
    assert [second.run] == [wake.run for wake in await store.wakes()]
