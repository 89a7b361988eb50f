"""What holds of every store's journal of changes, and of its stops: the same tests over each engine."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.change import Change, Ended, Ending
from remediator.model.facts import Started
from remediator.model.history import Known, Latest, Nth, Standing, Which
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import NewRun, Opening, Ruling, Verdict
from remediator.model.outcome import Reason
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Claim, Entry, Refusal, Reservation, Store
from remediator.testing.clock import VirtualClock

ME = OwnerId("me")
DIGEST = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
RULE, OTHER_RULE = RuleId("web/down"), RuleId("web/slow")
WEB, DB = "docker:local/web", "docker:local/db"
RESTART, LIMIT = "docker.restart", "docker.set_memory"


@pytest.fixture(params=["sqlite", "memory", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store
    if request.param == "postgresql":
        settings = StoreSettings(url=request.getfixturevalue("new_database"))
        made = PostgresStore(settings, clock=VirtualClock(T0), metrics=Metrics())
    else:
        directory = tmp_path / "store" if request.param == "sqlite" else None
        made = SqliteStore(directory, clock=VirtualClock(T0), metrics=Metrics())
    await made.open()
    await made.remember_rules({DIGEST: {"pack": "p"}})
    yield made
    await made.close()


async def open_run(store: Store, run: str) -> Claim:
    alert = Alert(Fingerprint(run), AlertStatus.FIRING, {"alertname": run}, {}, T0)
    new = NewRun(RunId(run), RULE, DIGEST, "it is down", "#c", Message(Tone.FIRING, "first"))
    opening = Opening(OccurrenceId(f"o-{run}"), (new,))
    await store.accept(Delivery((alert,), T0), lambda _alert, _known: Verdict(Ruling.OPENED, open=opening), ME)
    return Claim(RunId(run), ME, 1, 0)


def change(
    run: str, at: datetime = T0, target: str = WEB, rule: RuleId = RULE, action: str = RESTART, *, counts: bool = True
) -> Change:
    return Change(RunId(run), 1, rule, target, action, T0, at, counts)


def started(step: str = "remediate.0.0") -> Started:
    return Started(T0, 1, StepId(step), 1, 1, T0 + timedelta(minutes=1))


async def enter(store: Store, *changes: Change) -> Claim:
    """A run of its own that enters changes."""
    claim = await open_run(store, changes[0].run)
    assert await store.start(claim, Entry(), started(), Reservation(changes=changes)) is None
    return claim


async def test_the_nth_newest_change_is_counted_of_what_was_asked_for(store: Store) -> None:
    """A budget of two is used up when there is a second one in the window."""
    await enter(store, change("r1", T0))
    await enter(store, change("r2", T0 + SECOND, target=DB))
    await enter(store, change("r3", T0 + 2 * SECOND, rule=OTHER_RULE))
    before = T0 - SECOND
    asked = {
        Nth(Which(), 3, before): T0,
        Nth(Which(), 4, before): None,
        Nth(Which(), 3, T0): None,  # what began at that time is not after it
        Nth(Which(rule=RULE), 1, before): T0 + SECOND,
        Nth(Which(rule=RULE), 2, before): T0,
        Nth(Which(rule=RULE, target=WEB), 1, before): T0,
        Nth(Which(rule=RULE, target=WEB), 2, before): None,
        Nth(Which(target=WEB), 2, before): T0,
        Nth(Which(action=RESTART), 3, before): T0,
        Nth(Which(action=LIMIT), 1, before): None,
    }

    assert asked == (await store.known(tuple(asked))).times


async def test_a_plan_of_two_actions_counts_once_for_its_target(store: Store) -> None:
    """Else a limit could stop it half-way; the breaker of each action sees both."""
    await enter(store, change("r1"), change("r1", action=LIMIT, counts=False))
    everything, by_limit = Nth(Which(), 2, T0 - SECOND), Nth(Which(action=LIMIT), 1, T0 - SECOND)
    known = await store.known((everything, by_limit))

    assert (None, T0) == (known.nth(everything), known.nth(by_limit))


async def test_the_latest_changes_come_with_what_became_of_them(store: Store) -> None:
    """Attempts, flapping and breakers are judged by it."""
    claim = await enter(store, change("r1"), change("r1", action=LIMIT, counts=False))
    await enter(store, change("r2", T0 + SECOND))
    failed = Ended(1, Ending.FAILED, T0 + 2 * SECOND, action=LIMIT)
    await store.learn(claim, Entry(endings=[Ended(1, Ending.DONE, T0 + SECOND, action=RESTART), failed]))
    of_target, of_limit = Latest(Which(target=WEB), 5, T0 - SECOND), Latest(Which(action=LIMIT), 5, T0 - SECOND)
    first = await store.known((of_target, of_limit))
    await store.learn(claim, Entry(endings=[Ended(1, Ending.NOT_HEALED, T0 + 3 * SECOND)]))
    last = await store.known((of_target, of_limit))

    assert [("r2", None), ("r1", Ending.DONE)] == [(c.run, c.ending) for c in first.latest(of_target)]
    assert [(Ending.FAILED, failed.at)] == [(c.ending, c.ended_at) for c in first.latest(of_limit)]
    assert [None, Ending.NOT_HEALED] == [c.ending for c in last.latest(of_target)]
    assert [Ending.NOT_HEALED] == [c.ending for c in last.latest(of_limit)]


async def test_only_so_many_are_told(store: Store) -> None:
    for number in range(3):
        await enter(store, change(f"r{number}", T0 + number * SECOND))
    asked = Latest(Which(target=WEB), 2, T0 - SECOND)

    assert ["r2", "r1"] == [c.run for c in (await store.known((asked,))).latest(asked)]


async def test_a_start_that_the_judge_refuses_has_written_nothing(store: Store) -> None:
    claim = await open_run(store, "r1")
    until = T0 + HOUR
    asked = Nth(Which(), 1, T0 - SECOND)

    def judge(known: Known) -> Refusal | None:
        assert known.nth(asked) is None
        return Refusal(Reason.PAUSED, "not now", until)

    refusal = await store.start(claim, Entry(), started(), Reservation((WEB,), (change("r1"),), (asked,), judge))
    other = await open_run(store, "r2")

    assert Refusal(Reason.PAUSED, "not now", until) == refusal
    assert (await store.known((asked,))).nth(asked) is None
    assert await store.start(other, Entry(), started(), Reservation(locks=(WEB,))) is None
    run = await store.read_run(RunId("r1"))
    assert run is not None and () == run.facts


async def test_starts_that_come_at_once_are_judged_one_after_the_other(store: Store) -> None:
    """A budget of three lets three of ten through, however they come."""
    claims = [await open_run(store, f"r{number}") for number in range(10)]
    asked = Nth(Which(rule=RULE), 3, T0 - HOUR)

    def judge(known: Known) -> Refusal | None:
        return None if known.nth(asked) is None else Refusal(Reason.BUDGET_USED)

    starts = [
        store.start(claim, Entry(), started(), Reservation((), (change(claim.run, target=claim.run),), (asked,), judge))
        for claim in claims
    ]
    answers = await asyncio.gather(*starts)

    assert (3, 7) == (answers.count(None), answers.count(Refusal(Reason.BUDGET_USED)))


async def test_an_entry_that_is_there_stays_as_it_is(store: Store) -> None:
    """The later steps of a plan are of the change that its first step has begun."""
    claim = await enter(store, change("r1"))
    again = Reservation(changes=(change("r1", T0 + HOUR),))
    await store.start(claim, Entry(), started("remediate.0.1"), again)
    asked = Latest(Which(), 5, T0 - SECOND)

    assert (change("r1"),) == tuple((await store.known((asked,))).latest(asked))


async def test_what_stands_in_the_way_is_told_until_it_is_lifted(store: Store) -> None:
    pause = Stop(StopKind.PAUSE, EVERYTHING, "release day", "anna", T0)
    asked = Standing((EVERYTHING, f"rule:{RULE}"))
    await store.put_stop(pause)
    await store.put_stop(Stop(StopKind.PAUSE, "rule:other/one", "not asked for", "anna", T0))
    standing = await store.known((asked,))
    listed = await store.list_stops(T0)
    lifted = await store.lift_stop(StopKind.PAUSE, EVERYTHING, T0 + SECOND)
    again = await store.lift_stop(StopKind.PAUSE, EVERYTHING, T0 + 2 * SECOND)
    after = await store.known((asked,))

    assert (pause,) == tuple(standing.stops)
    assert [EVERYTHING, "rule:other/one"] == [stop.scope for stop in listed]
    assert (True, False) == (lifted, again)
    assert [T0 + SECOND] == [stop.until for stop in after.stops]
    assert ["rule:other/one"] == [stop.scope for stop in await store.list_stops(T0 + SECOND)]


async def test_a_stop_of_the_same_kind_and_scope_takes_the_place_of_the_one_before(store: Store) -> None:
    await store.put_stop(Stop(StopKind.PAUSE, EVERYTHING, "first", "anna", T0, T0 + HOUR))
    await store.put_stop(Stop(StopKind.PAUSE, EVERYTHING, "second", "ben", T0 + SECOND))

    assert (Stop(StopKind.PAUSE, EVERYTHING, "second", "ben", T0 + SECOND),) == await store.list_stops(T0 + HOUR)
