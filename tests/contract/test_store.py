"""What holds of every store: the same tests over each engine."""

import asyncio
import dataclasses
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from remediator.errors import BadSettings, Fenced
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, CutGroup, Delivery
from remediator.model.facts import Examined, Fact, Finished, LateFinished, Settled, StepStatus
from remediator.model.ids import (
    OccurrenceId,
    RunId,
    StepId,
)
from remediator.model.occurrence import Closing, Doubt, Occurrence, Opening, Ruling, Verdict
from remediator.model.priority import Priority
from remediator.model.run import Resolved
from remediator.storage.intake import CUT_GROUPS
from remediator.storage.runs import Entry
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.contract.opening import ENDED, ME, OTHER, RULE, T0, alert, fire, open_run, opening, resolve


async def test_an_accepted_alert_is_there_with_its_run_and_its_first_message(store: Store) -> None:
    """202 is answered on the strength of this."""
    await open_run(store)

    run = await store.read_run(RunId("r1"))
    posts = await store.waiting_posts(10)

    assert run is not None
    assert ("p/r", ME, 1, "it is down") == (run.rule, run.owner, run.epoch, run.summary)
    assert alert("r1") == run.alert
    assert [("parent", "first of r1")] == [(p.key, p.message.title) for p in posts]
    assert [RunId("r1")] == [wake[0] for wake in await store.wakes()]


async def test_the_judge_sees_what_the_same_delivery_has_written(store: Store) -> None:
    """A body can carry an alert and its resolution; the second one must find the first."""
    seen: list[Occurrence | None] = []

    def judge(alert: Alert, known: Occurrence | None) -> Verdict:
        seen.append(known)
        if known is None:
            return Verdict(Ruling.OPENED, open=opening("r1"))
        return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)

    delivery = Delivery((alert(), alert(status=AlertStatus.RESOLVED)), received_at=T0)
    accepted = await store.accept(delivery, judge, ME)

    assert (Ruling.OPENED, Ruling.RESOLVED) == accepted.rulings
    assert seen[0] is None
    assert seen[1] is not None
    assert (RunId("r1"),) == accepted.signalled_runs


async def test_a_judge_that_breaks_leaves_nothing_behind(store: Store) -> None:
    """All or nothing: half a delivery would be answered 503 and then be half repeated."""

    def judge(alert: Alert, known: Occurrence | None) -> Verdict:
        if alert.name == "B":
            raise ValueError("no")
        return Verdict(Ruling.OPENED, open=opening("r1"))

    with pytest.raises(ValueError, match="no"):
        await store.accept(Delivery((alert("A"), alert("B")), received_at=T0), judge, ME)

    assert await store.newest_occurrence("A") is None
    assert await store.read_run(RunId("r1")) is None


async def test_writes_that_share_a_commit_do_not_share_their_errors(store: Store) -> None:
    """One refused write of a batch must not cost the others."""
    claim = await open_run(store)
    wrong = dataclasses.replace(claim, owner=OTHER)
    entry = Entry([Examined(T0, 1, {})])

    results = await asyncio.gather(
        store.learn(wrong, Entry([Examined(T0, 9, {})])), store.learn(claim, entry), return_exceptions=True
    )

    assert [Fenced, type(None)] == [type(r) for r in results]
    run = await store.read_run(claim.run)
    assert run is not None
    assert (Examined(T0, 1, {}),) == run.facts


async def test_a_closed_occurrence_signals_its_runs_and_makes_them_due(store: Store) -> None:
    """Verification and a pending approval depend on hearing of the resolve."""
    claim = await open_run(store)
    assert await store.park(claim, Entry(), T0 + timedelta(hours=1))
    close = Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)

    await store.accept(Delivery((alert("r1", AlertStatus.RESOLVED),), received_at=T0), lambda _alert, _known: close, ME)

    assert (Resolved(T0),) == await store.read_signals(claim.run)
    assert ((claim.run, T0, Priority.NORMAL),) == await store.wakes()
    closed = await store.newest_occurrence("r1")
    assert closed is not None
    assert T0 == closed.closed_at


async def test_an_occurrence_knows_when_its_last_run_ended(store: Store) -> None:
    """Whether a later start means a missed resolve is decided on this."""
    claim = await open_run(store)
    before = await store.newest_occurrence("r1")
    await store.end(claim, Entry([ENDED]), ENDED, keep_locks_until=None)
    after = await store.newest_occurrence("r1")

    assert before is not None
    assert after is not None
    assert (None, T0) == (before.runs_ended_at, after.runs_ended_at)


async def test_a_doubt_is_kept_until_it_is_due_and_dropped(store: Store) -> None:
    """A doubtful alert is not lost: it waits in the store."""
    await open_run(store)
    doubt = Doubt(alert("r1"), until=T0 + timedelta(seconds=60))
    delivery = Delivery((alert("r1"),), received_at=T0)
    await store.accept(delivery, lambda _alert, _known: Verdict(Ruling.DOUBTFUL, doubt=doubt), ME)

    early = await store.due_doubts(T0 + timedelta(seconds=59), 10)
    due = await store.due_doubts(T0 + timedelta(seconds=60), 10)
    await store.accept(delivery, lambda _alert, _known: Verdict(Ruling.NOT_OPEN, drop_doubt=True), ME)

    assert () == early
    assert [doubt] == [occurrence.doubt for occurrence in due]
    assert () == await store.due_doubts(T0 + timedelta(seconds=60), 10)


async def test_runs_are_listed_newest_first_and_by_outcome(store: Store) -> None:
    """`runs list` is where a person looks first."""
    first = await open_run(store, "r1")
    await open_run(store, "r2")
    await store.end(first, Entry([ENDED]), ENDED, keep_locks_until=None)

    assert ["r2", "r1"] == [r.id for r in await store.list_runs(limit=10)]
    assert ["r1"] == [r.id for r in await store.list_runs(limit=10, outcome="healed")]
    assert ["r2"] == [r.id for r in await store.list_runs(limit=10, active=True)]
    assert ["r2"] == [r.id for r in await store.list_runs(limit=1)]


async def test_runs_tell_who_has_them(store: Store) -> None:
    """With several processes it tells whose log to read."""
    await open_run(store, "r1")

    assert [ME] == [run.owner for run in await store.list_runs(limit=10)]


async def test_runs_with_a_step_that_nobody_knows_the_end_of_are_found(store: Store) -> None:
    """After a crash an operator goes through them; those that have healed all the same are among them."""
    text = 'said {"status":"unknown"} and "status":"unknown"'
    known: dict[str, Fact] = {
        "late": LateFinished(T0, StepId("remediate.0.0"), 1, StepStatus.DONE, "restarted"),
        "settled": Settled(T0, StepId("remediate.0.0"), 1, done=True, by="ann", reason=""),
        "another": Settled(T0, StepId("remediate.0.1"), 1, done=True, by="ann", reason=""),
    }
    for name in ("done", "unknown", "active", *known):
        claim = await open_run(store, name)
        status = StepStatus.DONE if name == "done" else StepStatus.UNKNOWN
        finished = Finished(T0, 1, StepId("remediate.0.0"), 1, status, text, text, 1.0)
        facts: list[Fact] = [finished, known[name]] if name in known else [finished]
        await store.learn(claim, Entry(facts))
        if name != "active":
            await store.end(claim, Entry([ENDED]), ENDED, keep_locks_until=None)
    found = await store.list_runs(limit=10, unsettled=True)

    assert {"unknown", "another", "active"} == {run.id for run in found}
    assert ["active"] == [run.id for run in await store.list_runs(limit=10, active=True, unsettled=True)]
    assert {"unknown", "another"} == {r.id for r in await store.list_runs(limit=9, outcome="healed", unsettled=True)}
    assert 1 == len(await store.list_runs(limit=1, unsettled=True))


async def test_occurrences_are_listed_newest_first_with_what_their_alerts_said(store: Store) -> None:
    """`alerts` is where a person looks for an alert that no rule is for."""
    close = Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)
    await open_run(store, "r1")
    await open_run(store, "r2")
    noted = dataclasses.replace(alert("r3"), annotations={"summary": "it is down"})
    unmatched = Opening(OccurrenceId("o-r3"), ())
    await store.accept(Delivery((noted,), received_at=T0), lambda _a, _k: Verdict(Ruling.OPENED, open=unmatched), ME)
    await store.accept(Delivery((alert("r2", AlertStatus.RESOLVED),), received_at=T0), lambda _a, _k: close, ME)
    listed = await store.list_occurrences(limit=10)

    assert ["r3", "r2", "r1"] == [found.fingerprint for found in listed]
    assert ({"alertname": "r3"}, {"summary": "it is down"}) == (listed[0].labels, listed[0].annotations)
    assert [None, T0, None] == [found.closed_at for found in listed]
    assert ["r3", "r1"] == [found.fingerprint for found in await store.list_occurrences(limit=10, only_open=True)]
    assert ["r3"] == [found.fingerprint for found in await store.list_occurrences(limit=1)]


async def test_a_list_of_alerts_cuts_what_is_very_long(store: Store) -> None:
    """A label can be as long as a body: a list of hundreds of those would fill the memory. By itself it is whole."""
    long = {"alertname": "Long", "a": "x" * 100_000, **{f"l{n}": "y" * 999 for n in range(100)}}
    noted = dataclasses.replace(alert("r1"), labels=long, annotations={"note": "z" * 100_000})
    opening = Opening(OccurrenceId("o-r1"), ())
    await store.accept(Delivery((noted,), received_at=T0), lambda _a, _k: Verdict(Ruling.OPENED, open=opening), ME)
    (listed,) = await store.list_occurrences(limit=10)
    whole = await store.newest_occurrence(noted.fingerprint)

    assert whole is not None
    assert (long, noted.annotations) == (whole.labels, whole.annotations)
    assert "Long" == listed.labels["alertname"]
    assert len(str((listed.labels, listed.annotations))) < 12_000


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """The point of a store."""
    first = SqliteStore(tmp_path, clock=VirtualClock(T0), metrics=Metrics())
    await first.open()
    await first.remember_rules({RULE: {"pack": "p"}})
    await open_run(first)
    await first.close()

    second = SqliteStore(tmp_path, clock=VirtualClock(T0), metrics=Metrics())
    await second.open()
    run = await second.read_run(RunId("r1"))
    rule = await second.rule_document(RULE)
    await second.close()

    assert run is not None
    assert {"pack": "p"} == rule


async def test_a_second_process_is_refused_with_the_reason(tmp_path: Path) -> None:
    """Two processes on one embedded store would each act on every run."""
    first = SqliteStore(tmp_path, clock=VirtualClock(T0), metrics=Metrics())
    second = SqliteStore(tmp_path, clock=VirtualClock(T0), metrics=Metrics())
    await first.open()

    with pytest.raises(BadSettings, match="another remediator is using the store"):
        await second.open()

    await first.close()
    await second.close()


async def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """Writing to tables that we do not know would lose what a newer version keeps there."""
    with sqlite3.connect(tmp_path / "remediator.sqlite3") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    store = SqliteStore(tmp_path, clock=VirtualClock(T0), metrics=Metrics())

    with pytest.raises(BadSettings, match="written by a newer remediator"):
        await store.open()

    await store.close()


async def test_the_store_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """Alerts and evidence are not everybody's to read."""
    store = SqliteStore(tmp_path / "new", clock=VirtualClock(T0), metrics=Metrics())
    await store.open()
    modes = {p.name: p.stat().st_mode & 0o077 for p in [tmp_path / "new", *(tmp_path / "new").glob("*.sqlite3*")]}
    await store.close()

    assert {0} == set(modes.values())


async def cut(store: Store, group: str, *, missing: int = 1, at: datetime = T0) -> None:
    labels = {"alertname": group}
    delivery = Delivery((), at, receiver="r", group_key=group, group_labels=labels, truncated=missing)
    await store.accept(delivery, lambda _alert, _known: Verdict(Ruling.REPEATED), ME)


def one_cut(group: str, missing: int = 1, at: datetime = T0, tries: int = 0) -> CutGroup:
    return CutGroup("r", group, {"alertname": group}, missing, at, tries)


async def test_what_a_delivery_left_out_is_kept_with_it_and_the_newest_word_counts(store: Store) -> None:
    """It was answered 202, so its sender thinks that all is well."""
    await cut(store, "one", missing=3)
    await cut(store, "two", at=T0 + timedelta(minutes=1))
    await cut(store, "one", missing=5)
    now = await store.due_cut_groups(T0, 10)
    later = await store.due_cut_groups(T0 + timedelta(minutes=1), 10)

    assert (one_cut("one", 5),) == now
    assert (one_cut("one", 5), one_cut("two", at=T0 + timedelta(minutes=1))) == later


async def test_a_group_that_was_asked_for_in_vain_waits_for_its_time(store: Store) -> None:
    later = T0 + timedelta(minutes=5)
    await cut(store, "one")
    await store.put_off_cut_group(one_cut("one"), later)
    now, then = await store.due_cut_groups(T0, 10), await store.due_cut_groups(later, 10)
    await store.drop_cut_group(*then)

    assert ((), (one_cut("one", at=later, tries=1),)) == (now, then)
    assert () == await store.due_cut_groups(later, 10)


async def test_what_came_meanwhile_is_not_lost_with_what_was_fetched(store: Store) -> None:
    """The newer delivery of the group left something out as well."""
    newer = T0 + timedelta(seconds=1)
    await cut(store, "one")
    await cut(store, "one", missing=9, at=newer)
    await store.drop_cut_group(one_cut("one"))
    await store.put_off_cut_group(one_cut("one"), T0 + timedelta(hours=1))

    assert (one_cut("one", 9, at=newer),) == await store.due_cut_groups(newer, 10)


async def test_only_so_many_groups_wait_and_the_oldest_gives_way(store: Store) -> None:
    """Who sends them makes up the names of their groups."""
    for number in range(CUT_GROUPS + 3):
        await cut(store, f"g{number}", at=T0 + timedelta(seconds=number))
    left = await store.due_cut_groups(T0 + timedelta(days=1), 2 * CUT_GROUPS)

    assert [f"g{number}" for number in range(3, CUT_GROUPS + 3)] == [group.group_key for group in left]


async def test_what_was_not_heard_of_for_long_is_found(store: Store) -> None:
    """Somebody has to close what nobody resolves."""
    await open_run(store, "r1", "a")
    await fire(store, "b")
    await resolve(store, "b")

    assert ["a"] == [one.fingerprint for one in await store.unheard(T0 + timedelta(seconds=1), 10)]
    assert () == await store.unheard(T0, 10)
