"""What holds of every store for deliveries that share a commit: each has the effect that it would have had alone."""

import asyncio
from datetime import UTC, datetime

import pytest

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Accepted, Closing, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.run import Joined, Resolved
from remediator.storage import changes
from remediator.storage.store import Store

ME = OwnerId("me")
RULE, UNKNOWN_RULE = Digest("d" * 64), Digest("e" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def alert(name: str, *, resolved: bool = False) -> Alert:
    status = AlertStatus.RESOLVED if resolved else AlertStatus.FIRING
    return Alert(Fingerprint(name), status, {"alertname": name}, {}, T0)


def delivery(*names: str, resolved: bool = False) -> Delivery:
    return Delivery(tuple(alert(name, resolved=resolved) for name in names), received_at=T0)


def mixed(names: str) -> Delivery:
    """A delivery of a group of which some alerts were left out; those with a minus before them are resolved."""
    alerts = tuple(alert(name.lstrip("-"), resolved=name.startswith("-")) for name in names.split())
    return Delivery(alerts, received_at=T0, receiver="us", group_key="k", truncated=3)


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


LARGE = "a g-of-1 a -h-of-0 b -a g-of-2 a -old h-of-1 -b g-of-3 h-of-2 g-of-4 -h-of-1 g-of-5 g-of-6 -h-of-2"
RULINGS = "opened opened repeated resolved opened resolved opened opened resolved opened resolved opened opened opened"
THE_LAST = "resolved opened opened resolved"


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 100])
async def test_a_large_delivery_leads_to_the_same_whatever_its_pieces(
    store: Store, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    """It is written piece by piece, and where one ends is chance: repeats, joins and ends go across."""
    monkeypatch.setattr(changes, "PIECE", piece)
    await take(store, mixed("old g-of-0 h-of-0"))
    (large,) = await take(store, mixed(LARGE))

    created = ["a-0", "b-0", "a-o-a-0", "h-of-1-0"]
    told = ["h-of-0-0", "a-0", "old-0", "b-0", "h-of-1-0", "g-of-0-0", "h-of-1-0"]
    assert isinstance(large, Accepted)
    assert f"{RULINGS} {THE_LAST}".split() == list(large.rulings)
    assert created == [run for run, _ in large.new_runs]
    assert told == list(large.signalled_runs)
    words = {run: await words_of(store, run) for run in ("g-of-0-0", "h-of-0-0", "h-of-1-0", "a-0", "a-o-a-0")}
    joined = Joined(T0, 6, tuple({"alertname": f"g-of-{number}"} for number in range(1, 6)))
    over = Resolved(T0, None, missed=False)
    second = Joined(T0, 1, ({"alertname": "h-of-2"},))
    assert {"g-of-0-0": [joined], "h-of-0-0": [over], "h-of-1-0": [over, second], "a-0": [over], "a-o-a-0": []} == words
    still_open = {one.fingerprint for one in await store.list_occurrences(limit=100, only_open=True)}
    assert {"a", *(f"g-of-{number}" for number in range(7))} == still_open
    assert [("k", 3)] == [(group.group_key, group.missing) for group in await store.due_cut_groups(at=T0, limit=9)]


async def test_a_large_delivery_that_fails_has_written_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first pieces were written before its last one was judged. Sent again, it begins anew."""
    monkeypatch.setattr(changes, "PIECE", 2)
    results = await take(store, delivery("x"), delivery("a", "b", "c", "d", "raises"), delivery("y"))

    assert isinstance(results[1], ValueError)
    assert ["x-0", "y-0"] == sorted([wake.run for wake in await store.wakes()])
    assert ["x", "y"] == sorted([one.fingerprint for one in await store.list_occurrences(limit=9, only_open=False)])
    (again,) = await take(store, delivery("a", "b", "c", "d"))
    assert isinstance(again, Accepted)
    assert [Ruling.OPENED] * 4 == list(again.rulings)


async def words_of(store: Store, run: str) -> list[object]:
    found = await store.read_run(RunId(run))
    assert found is not None
    return list(found.signals)
