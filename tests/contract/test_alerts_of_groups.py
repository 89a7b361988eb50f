"""Alerts of one group share a run, in every store."""

import dataclasses
from datetime import timedelta

import pytest

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import (
    OccurrenceId,
    RuleId,
    RunId,
)
from remediator.model.occurrence import Closing, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Reason
from remediator.model.priority import Priority
from remediator.model.run import Cancel, Joined
from remediator.storage.runs import Claim, Entry, Refusal, Reservation
from remediator.storage.store import Store
from tests.contract.opening import ENDED, ME, T0, alert, fire, grouping, labels, opening, resolve, started


async def test_alerts_of_one_group_share_a_run(store: Store) -> None:
    """Fifty alerts of one cause are one story and one remedy."""
    names = [f"a{number}" for number in range(50)]
    accepted = await fire(store, *names)

    assert ((RunId("a0"), "p/r"),) == accepted.new_runs
    assert (RunId("a0"),) == accepted.signalled_runs
    assert (Ruling.OPENED,) * 50 == accepted.rulings
    assert (Joined(T0, 49, labels(*names[1:6])),) == await store.read_signals(RunId("a0"))
    assert ["a0"] == [run.id for run in await store.list_runs(limit=10)]
    assert ["parent"] == [post.key for post in await store.waiting_posts(10)]
    assert all([await store.newest_occurrence(name) is not None for name in names])


async def test_an_alert_joins_the_run_of_its_group_while_that_is_under_way(store: Store) -> None:
    """A run that rests is woken, so that the alert is told."""
    await fire(store, "a")
    claim = Claim(RunId("a"), ME, 1, 0)
    assert await store.park(claim, Entry(), T0 + timedelta(hours=1))
    accepted = await fire(store, "b")
    wakes = await store.wakes()
    woken = await store.take(claim.run, ME)
    assert woken is not None
    rests = await store.park(dataclasses.replace(claim, epoch=woken.epoch), Entry(), T0 + timedelta(hours=1))

    assert ((), (RunId("a"),)) == (accepted.new_runs, accepted.signalled_runs)
    assert ((claim.run, T0, Priority.NORMAL),) == wakes
    assert not rests
    assert (Joined(T0, 1, labels("b")),) == await store.read_signals(claim.run)


@pytest.mark.parametrize(
    ("group", "rule"), [("other", "p/r"), ("g", "p/other"), ("", "p/r")], ids=["group", "rule", "no-group"]
)
async def test_other_groups_and_rules_have_runs_of_their_own(store: Store, group: str, rule: str) -> None:
    """What their runs do is not for this alert."""
    await fire(store, "a", group="g" if group else "")
    accepted = await fire(store, "b", group=group, rule=rule)

    assert ((RunId("b"), RuleId(rule)),) == accepted.new_runs
    assert () == accepted.signalled_runs


async def test_a_run_hears_of_the_end_when_all_its_alerts_have_ended(store: Store) -> None:
    """One of fifty that resolves heals nobody else."""
    await fire(store, "a", "b")
    await fire(store, "c")
    first = await resolve(store, "a", "c")
    again = await resolve(store, "a")
    last = await resolve(store, "b")
    signals = await store.read_signals(RunId("a"))

    assert ((), (), (RunId("a"),)) == (first.signalled_runs, again.signalled_runs, last.signalled_runs)
    assert ["joined", "joined", "resolved"] == [signal.kind for signal in signals]


async def test_an_alert_that_resolves_in_the_delivery_in_which_it_joined_ends_nothing(store: Store) -> None:
    """The others of its group are open."""
    await fire(store, "a")
    alerts = (alert("b"), alert("b", AlertStatus.RESOLVED))
    await store.accept(Delivery(alerts, received_at=T0), grouping(), ME)

    assert ["joined"] == [signal.kind for signal in await store.read_signals(RunId("a"))]


async def test_the_end_of_all_alerts_is_heard_after_the_run_as_well(store: Store) -> None:
    """Told once, in the thread of the run that has ended."""
    await fire(store, "a", "b")
    claim = Claim(RunId("a"), ME, 1, 1)
    rests = await store.end(claim, Entry([ENDED]), ENDED, keep_locks_until=None)
    first, last = await resolve(store, "a"), await resolve(store, "b")

    assert rests
    assert ((), (claim.run,)) == (first.signalled_runs, last.signalled_runs)
    assert ((claim.run, T0, Priority.NORMAL),) == await store.wakes()


async def test_an_alert_joins_before_the_end_of_a_run_or_gets_another(store: Store) -> None:
    """There is no moment at which it is swallowed."""
    await fire(store, "a")
    claim = Claim(RunId("a"), ME, 1, 0)
    before = await fire(store, "b")
    rests = await store.end(claim, Entry([ENDED]), ENDED, keep_locks_until=None)
    wakes = await store.wakes()
    after = await fire(store, "c")

    assert ((), (claim.run,)) == (before.new_runs, before.signalled_runs)
    assert not rests  # the one that joined is still to be told of
    assert ((claim.run, T0, Priority.NORMAL),) == wakes
    assert (((RunId("c"), "p/r"),), ()) == (after.new_runs, after.signalled_runs)


async def test_a_run_whose_alerts_have_all_ended_is_joined_by_none(store: Store) -> None:
    """It is about to end as resolved, and would take the new alert with it."""
    await fire(store, "a")
    await resolve(store, "a")
    accepted = await fire(store, "b")

    assert ((RunId("b"), "p/r"),) == accepted.new_runs
    assert ["resolved"] == [signal.kind for signal in await store.read_signals(RunId("a"))]


@pytest.mark.parametrize(
    ("names", "runs", "signals"),
    [(["a"], ["a2", "a"], ["resolved"]), (["a", "b"], ["a"], ["joined", "joined"])],
    ids=["the-only-one", "one-of-two"],
)
async def test_an_alert_whose_resolve_was_missed_comes_back_to_its_group(
    store: Store, names: list[str], runs: list[str], signals: list[str]
) -> None:
    """Its old occurrence closes and its new one opens in one go."""
    await fire(store, *names)
    new = dataclasses.replace(opening("a2").runs[0], group="g")
    verdict = Verdict(Ruling.REOPENED, close=Closing.RESOLVE_MISSED, open=Opening(OccurrenceId("o-again"), (new,)))
    await store.accept(Delivery((alert("a"),), received_at=T0), lambda _alert, _known: verdict, ME)

    assert sorted(runs) == sorted(run.id for run in await store.list_runs(limit=10))
    assert signals == [signal.kind for signal in await store.read_signals(RunId("a"))]


async def test_every_alert_of_a_group_knows_when_its_run_ended(store: Store) -> None:
    """A repeat of any of them is judged on it."""
    await fire(store, "a", "b")
    await fire(store, "c")
    before = [await store.newest_occurrence(name) for name in ("a", "b", "c")]
    await store.end(Claim(RunId("a"), ME, 1, 2), Entry([ENDED]), ENDED, keep_locks_until=None)
    after = [await store.newest_occurrence(name) for name in ("a", "b", "c")]

    assert [None] * 3 == [known.runs_ended_at for known in before if known is not None]
    assert [T0] * 3 == [known.runs_ended_at for known in after if known is not None]


async def test_alerts_that_join_do_not_keep_a_run_from_acting(store: Store) -> None:
    """In a storm there would be another one at each try; anything else that came does keep it."""
    await fire(store, "a")
    claim = Claim(RunId("a"), ME, 1, 0)
    await fire(store, "b")
    joined = await store.start(claim, Entry(), started(), Reservation(("docker:local/web",)))
    await store.signal(claim.run, Cancel(T0, "me"))
    await fire(store, "c")
    cancelled = await store.start(claim, Entry(), started("remediate.0.1"), Reservation(("docker:local/web",)))
    read = dataclasses.replace(claim, signals_read=2)
    after_reading = await store.start(read, Entry(), started("remediate.0.1"), Reservation(("docker:local/web",)))

    assert joined is None
    assert Refusal(Reason.SIGNALLED) == cancelled
    assert after_reading is None


async def test_a_storm_that_joins_carries_only_the_labels_that_are_told(store: Store) -> None:
    """Everything that has come to a run is read again and again, and a label can be as long as a body."""
    for number in range(20):
        await fire(store, f"a{number}", f"b{number}")
    signals = await store.read_signals(RunId("a0"))

    assert [1, *[2] * 19] == [signal.count for signal in signals if isinstance(signal, Joined)]
    assert [1, 2, 2, 2, 2, *[0] * 15] == [len(signal.labels) for signal in signals if isinstance(signal, Joined)]


async def test_a_judge_that_breaks_takes_back_what_has_joined(store: Store) -> None:
    """All or nothing, for groups as well."""
    await fire(store, "a")
    usual = grouping()

    def judge(alert: Alert, known: Occurrence | None) -> Verdict:
        if alert.name == "c":
            raise ValueError("no")
        return usual(alert, known)

    with pytest.raises(ValueError, match="no"):
        await store.accept(Delivery((alert("b"), alert("c")), received_at=T0), judge, ME)
    accepted = await resolve(store, "a")

    assert (RunId("a"),) == accepted.signalled_runs
    assert ["resolved"] == [signal.kind for signal in await store.read_signals(RunId("a"))]
