"""What holds of every store for deliveries that share a commit: each has the effect that it would have had alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Accepted, Closing, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.run import Joined, Resolved
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

ME = OwnerId("me")
RULE, UNKNOWN_RULE = Digest("d" * 64), Digest("e" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


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
    await made.remember_rules({RULE: {"pack": "p"}})
    yield made
    await made.close()


def delivery(*names: str, resolved: bool = False) -> Delivery:
    status = AlertStatus.RESOLVED if resolved else AlertStatus.FIRING
    return Delivery(
        tuple(Alert(Fingerprint(name), status, {"alertname": name}, {}, T0) for name in names), received_at=T0
    )


def judge(alert: Alert, known: Occurrence | None) -> Verdict:
    """Every alert starts a run of its name; one of that name breaks, another one breaks a constraint."""
    if alert.name == "raises":
        raise ValueError("no")
    if alert.status is AlertStatus.RESOLVED:
        return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)
    if known is not None and known.closed_at is None:
        return Verdict(Ruling.REPEATED, hear=True)
    group, _, number = alert.name.partition("-of-")
    new = NewRun(
        id=RunId(f"{alert.name}-{known.id if known else 0}"),
        rule=RuleId("p/r"),
        rule_digest=UNKNOWN_RULE if alert.name == "breaks" else RULE,
        summary="it is down",
        channel="#c",
        first_message=Message(Tone.FIRING, alert.name),
        group=group if number else "",
    )
    return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{new.id}"), (new,)))


async def take(store: Store, *deliveries: Delivery) -> list[Accepted | BaseException]:
    """Have them accepted at once; all but perhaps the first share a commit."""
    return await asyncio.gather(*(store.accept(one, judge, ME) for one in deliveries), return_exceptions=True)


@pytest.mark.parametrize("wrong", ["raises", "breaks"])
async def test_a_delivery_that_fails_spoils_nobody_elses(store: Store, wrong: str) -> None:
    """Somebody else's alerts were answered 503 otherwise, again and again, as long as the bad one is sent."""
    results = await take(store, delivery("a"), delivery("b"), delivery("c", wrong), delivery("d"), delivery("e"))

    assert isinstance(results[2], Exception)
    assert [(Ruling.OPENED,)] * 4 == [one.rulings for one in results if isinstance(one, Accepted)]
    assert [True, True, False, True, True] == [await store.newest_occurrence(name) is not None for name in "abcde"]
    assert ["a-0", "b-0", "d-0", "e-0"] == sorted([wake.run for wake in await store.wakes()])
    assert ["a", "b", "d", "e"] == sorted([post.message.title for post in await store.waiting_posts(10)])


async def test_a_delivery_sees_what_one_before_it_has_changed(store: Store) -> None:
    """The same alert from two senders, and its end, may come within one commit: it is one occurrence, and one run."""
    results = await take(
        store,
        *(delivery("x"), delivery("a"), delivery("a"), delivery("a", resolved=True), delivery("a")),
    )

    rulings = [one.rulings[0] for one in results if isinstance(one, Accepted)]
    assert [Ruling.OPENED, Ruling.OPENED, Ruling.REPEATED, Ruling.RESOLVED, Ruling.OPENED] == rulings
    assert ["a-0", "a-o-a-0", "x-0"] == sorted([wake.run for wake in await store.wakes()])
    newest = await store.newest_occurrence("a")
    assert newest is not None
    assert ("o-a-o-a-0", None) == (newest.id, newest.closed_at)
    first = await store.read_run(RunId("a-0"))
    assert first is not None
    assert [Resolved] == [type(word) for word in first.signals]


async def test_alerts_of_one_group_join_the_run_that_a_delivery_before_them_has_started(store: Store) -> None:
    """A storm of one group is one run, also where all of it comes at once."""
    results = await take(store, delivery("x"), *(delivery(f"g-of-{number}") for number in range(4)))

    created = [run for one in results if isinstance(one, Accepted) for run, _ in one.new_runs]
    assert ["x-0", "g-of-0-0"] == created
    run = await store.read_run(RunId("g-of-0-0"))
    assert run is not None
    assert [Joined(T0, 1, ({"alertname": f"g-of-{number}"},)) for number in (1, 2, 3)] == list(run.signals)

    await take(store, *(delivery(f"g-of-{number}", resolved=True) for number in range(4)))
    run = await store.read_run(RunId("g-of-0-0"))
    assert run is not None
    assert [Joined, Joined, Joined, Resolved] == [type(word) for word in run.signals]
