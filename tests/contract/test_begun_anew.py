"""An alert that fires still is opened anew by a person: one commit, and both its runs know of it."""

import asyncio
import dataclasses

import pytest

from remediator.model.alert import Alert, Delivery
from remediator.model.ids import OccurrenceId, RunId
from remediator.model.occurrence import Closing, Occurrence, Opening, Ruling, Verdict
from remediator.model.run import Again, Resolved
from remediator.storage.runs import Claim, Entry
from remediator.storage.store import Store
from tests.contract.opening import ENDED, ME, T0, alert, fire, open_run, opening

AGAIN = Again(T0, "ann", "the disk is back")


async def test_both_runs_are_told_who_has_asked(store: Store) -> None:
    """The old one ends with its alert, as far as it is concerned; the new one is born with the word."""
    await open_run(store, "r1")
    await store.end(Claim(RunId("r1"), ME, 1, 0), Entry([ENDED]), ENDED, keep_locks_until=None)
    verdict = Verdict(
        Ruling.REOPENED, close=Closing.RUN_ANEW, open=opening("r2", "o-again"), again=dataclasses.replace(AGAIN)
    )
    accepted = await store.accept(Delivery((alert("r1"),), received_at=T0), lambda _alert, _known: verdict, ME)
    newest = await store.newest_occurrence("r1")

    assert ((RunId("r2"), "p/r"),) == accepted.new_runs
    assert (Resolved(T0, anew="ann", why=AGAIN.reason),) == await store.read_signals(RunId("r1"))
    assert (AGAIN,) == await store.read_signals(RunId("r2"))
    assert newest is not None
    assert ("o-again", None, None) == (newest.id, newest.closed_at, newest.runs_ended_at)
    assert ["r2"] == [run.id for run in await store.runs_of(newest.id)]
    assert ["r1"] == [run.id for run in await store.runs_of(OccurrenceId("o-r1"))]
    # born with a word, it is carried on by who has read it, and by nobody who has not
    assert not await store.park(Claim(RunId("r2"), ME, 1, 0), Entry(), None)
    assert await store.park(Claim(RunId("r2"), ME, 1, 1), Entry(), None)


async def test_the_alerts_of_a_group_share_the_new_run(store: Store) -> None:
    """As they did before; the old run has none left, and hears of that once."""
    await fire(store, "a", "b")
    await store.end(Claim(RunId("a"), ME, 1, 1), Entry([ENDED]), ENDED, keep_locks_until=None)
    new = [dataclasses.replace(opening(f"{name}2").runs[0], group="g") for name in "ab"]
    verdicts = {
        name: Verdict(
            Ruling.REOPENED, close=Closing.RUN_ANEW, open=Opening(OccurrenceId(f"o-{name}2"), (one,)), again=AGAIN
        )
        for name, one in zip("ab", new, strict=True)
    }
    delivery = Delivery((alert("a"), alert("b")), received_at=T0)
    accepted = await store.accept(delivery, lambda given, _known: verdicts[given.name], ME)

    assert ["a2"] == [run for run, _ in accepted.new_runs]
    assert ["joined", "resolved"] == [signal.kind for signal in await store.read_signals(RunId("a"))]
    assert ["again", "joined"] == [signal.kind for signal in await store.read_signals(RunId("a2"))]
    assert ["a", "b"] == [one.fingerprint for one in await store.open_alerts_of(RunId("a2"), limit=5)]


async def test_where_one_alert_is_refused_nothing_is_begun(store: Store) -> None:
    """Half a group begun anew would leave the rest of it with a run that is over."""
    await fire(store, "a", "b")
    await store.end(Claim(RunId("a"), ME, 1, 1), Entry([ENDED]), ENDED, keep_locks_until=None)

    def judge(given: object, _known: object) -> Verdict:
        if getattr(given, "name", "") == "b":
            raise ValueError("a run of it is under way")
        return Verdict(Ruling.REOPENED, close=Closing.RUN_ANEW, open=opening("a2", "o-a2"), again=AGAIN)

    with pytest.raises(ValueError, match="under way"):
        await store.accept(Delivery((alert("a"), alert("b")), received_at=T0), judge, ME)

    assert ["a"] == [run.id for run in await store.list_runs(limit=5)]
    assert ["joined"] == [signal.kind for signal in await store.read_signals(RunId("a"))]


async def test_of_two_who_ask_at_once_one_is_refused(store: Store) -> None:
    """Each has seen that no run is under way; the commit of the one is seen by the other."""
    await open_run(store, "r1")
    await store.end(Claim(RunId("r1"), ME, 1, 0), Entry([ENDED]), ENDED, keep_locks_until=None)
    read = await store.newest_occurrence("r1")
    assert read is not None
    before = read.id

    async def ask(run: str) -> bool:
        def judge(_alert: Alert, known: Occurrence | None) -> Verdict:
            if known is None or known.id != before:
                raise ValueError("just now")
            return Verdict(Ruling.REOPENED, close=Closing.RUN_ANEW, open=opening(run), again=AGAIN)

        try:
            await store.accept(Delivery((alert("r1"),), received_at=T0), judge, ME)
        except ValueError:
            return False
        return True

    done = await asyncio.gather(*(ask(f"again{number}") for number in range(8)))

    assert 1 == sum(done)
    assert 2 == len(await store.list_runs(limit=20))
