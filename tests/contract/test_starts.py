"""Starts that share a commit have the effect that they would have had one after another, on the other store."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.change import Change, Ended, Ending
from remediator.model.facts import Ended as RunEnded
from remediator.model.facts import Started
from remediator.model.history import Known, Latest, Nth, Question, Standing, Which
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome, Reason
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore, run_writes
from remediator.storage.postgres.keys import bounded
from remediator.storage.postgres.run_writes import Start
from remediator.storage.runs import Claim, Entry, Refusal, Reservation
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

ME, DIGEST = OwnerId("me"), Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RULES = [RuleId("p/a"), RuleId("p/b")]
TARGETS = ["t0", "t1", "t2", "t3", "long" * 200]
ACTIONS = ["restart", "limit"]
ROUNDS, STARTS = 12, 10
EVERYTHING_EVER = (Latest(Which(), 50, T0 - SECOND), *(Latest(Which(action=name), 50, T0 - SECOND) for name in ACTIONS))


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        await store.remember_rules({DIGEST: {"pack": "p"}})
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def connected(url: str) -> "AsyncIterator[asyncpg.Connection]":
    link: asyncpg.Connection = await asyncpg.connect(url, server_settings={"search_path": "remediator"})
    try:
        yield link
    finally:
        await link.close()


async def open_runs(store: Store, names: Sequence[str]) -> None:
    def judge(alert: Alert, _known: Occurrence | None) -> Verdict:
        new = NewRun(RunId(alert.name), RULES[0], DIGEST, "down", "#c", Message(Tone.FIRING, "m"))
        return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{alert.name}"), (new,)))

    alerts = tuple(Alert(Fingerprint(name), AlertStatus.FIRING, {"alertname": name}, {}, T0) for name in names)
    await store.accept(Delivery(alerts, received_at=T0), judge, ME)


class Plans:
    """Plans, limits and what is asked, at random: dense, so that limits are met again and again."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def _which(self) -> Which:
        pick = self._random.choice
        rule, target = pick(RULES), pick(TARGETS)
        return pick([Which(), Which(rule), Which(None, target), Which(rule, target), Which(action=pick(ACTIONS))])

    def _at(self, round_: int) -> datetime:
        """Clocks differ, and a plan may have waited: what is entered later need not have been begun later."""
        return T0 + (round_ + self._random.randint(-2, 2)) * SECOND

    def _question(self, round_: int) -> Question:
        since = self._at(round_) - self._random.choice([1, 4, 60]) * SECOND
        match self._random.randint(0, 3):
            case 0:
                return Latest(self._which(), self._random.randint(1, 12), since)
            case 1:
                return Standing((EVERYTHING, f"target:{self._random.choice(TARGETS)}"))
            case _:
                return Nth(self._which(), self._random.randint(1, 12), since)

    def start(self, run: RunId, round_: int) -> Start:
        pick = self._random
        rule, at = pick.choice(RULES), self._at(round_)
        targets = pick.sample(TARGETS, pick.choice([0, 1, 1, 2]))
        changes = [
            Change(run, round_, rule, target, action, T0, at, counts=not place)
            for target in targets
            for place, action in enumerate(pick.sample(ACTIONS, pick.randint(1, 2)))
        ]
        questions = tuple(dict.fromkeys(self._question(round_) for _ in range(pick.randint(0, 5))))
        locks = tuple(targets) if pick.random() < 0.8 else ()
        step = Started(T0, round_, StepId(f"remediate.0.{pick.randint(0, 10**9)}"), 1, 1, T0 + SECOND)
        reservation = Reservation(locks, tuple(changes), questions)
        return Start(T0, Claim(run, ME, 1, 0), Entry(), step, reservation)


def as_kept(known: Known) -> Known:
    """With the names of targets as PostgreSQL keeps them: it tells a long one whole only where it was asked for."""
    changes = {
        one: [replace(change, target=bounded(change.target)) for change in found]
        for one, found in known.changes.items()
    }
    return replace(known, changes=changes)


def watched(start: Start, seen: list[object]) -> Start:
    """The same, with a judge that notes what it was told, and refuses where a budget is used up or a stop stands."""

    def judge(known: Known) -> Refusal | None:
        seen.append((start.claim.run, as_kept(known)))
        used_up = [at for at in known.times.values() if at is not None]
        if known.stops or used_up:
            return Refusal(Reason.BUDGET_USED, "", max(used_up, default=None))
        return None

    return replace(start, reservation=replace(start.reservation, judge=judge))


@pytest.mark.parametrize("seed", range(6))
async def test_starts_of_one_commit_are_judged_as_if_each_had_been_alone(seed: int, new_database: str) -> None:
    """PostgreSQL judges a whole commit with one look at the journal; nobody may be able to tell."""
    plans = Plans(seed)
    settings = StoreSettings(url=new_database, timeout=timedelta(seconds=20))
    clock = VirtualClock(T0)
    told: list[object] = []
    together: list[object] = []
    outcomes: set[Reason | None] = set()
    async with (
        opened(PostgresStore(settings, clock=clock, metrics=Metrics())) as batched,
        opened(SqliteStore(None, clock=clock, metrics=Metrics())) as single,
        connected(new_database) as db,
    ):
        names = [f"r{number}" for number in range(ROUNDS * STARTS)]
        for store in (batched, single):
            await open_runs(store, names)
            await store.put_stop(Stop(StopKind.QUARANTINE, f"target:{TARGETS[-1]}", "", "me", T0))
        for round_ in range(ROUNDS):
            # Some go on with a plan whose changes are entered already.
            own = [RunId(name) for name in names[round_ * STARTS : (round_ + 1) * STARTS]]
            starts = [plans.start(run, round_) for run in own]
            again = [plans.start(RunId(name), 0) for name in names[STARTS - 3 : STARTS] if round_]
            starts = [*starts, *again]
            writes = [watched(start, together) for start in starts]
            async with db.transaction():
                answers = await run_writes.make_all(db, writes)
            order = [place for places in run_writes.rounds(writes) for place in places]
            alone = [
                await single.start(one.claim, one.entry, one.started, one.reservation)
                for one in (watched(starts[place], told) for place in order)
            ]

            assert alone == [answers[place] for place in order]
            outcomes.update(one.reason if one else None for one in alone)
            assert told == together
            assert as_kept(await single.known(EVERYTHING_EVER)) == as_kept(await batched.known(EVERYTHING_EVER))
            for store in (batched, single):
                await end_some(store, own[: STARTS // 2], round_)

    assert {None, Reason.BUDGET_USED, Reason.TARGET_BUSY} == outcomes


async def end_some(store: Store, runs: Sequence[RunId], round_: int) -> None:
    """Some note what came of it, and give their targets back, so that there is more to start."""
    for run in runs:
        over = RunEnded(T0, Outcome.HEALED, "fine")
        entry = Entry(endings=[Ended(round_, Ending.HEALED, T0)])
        await store.end(Claim(run, ME, 1, 0), entry, over, keep_locks_until=None)
