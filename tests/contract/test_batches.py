"""What holds of every store for writes that share a commit: each has the effect that it would have had alone."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

from remediator.errors import Fenced
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.facts import Ended, Examined, Fact, Started
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Message, Post, Tone
from remediator.model.occurrence import NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome, Reason
from remediator.model.run import Cancel, Signal
from remediator.storage.runs import NOTHING, Claim, Entry, Refusal, Reservation
from remediator.storage.store import Store

ME, OTHER = OwnerId("me"), OwnerId("other")
RULE = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = T0 + timedelta(hours=1)
ENDED = Ended(T0, Outcome.HEALED, "fine")
WEB = "docker:local/web"


async def open_runs(store: Store, count: int) -> list[Claim]:
    """New runs r0, r1, ..., each born claimed."""

    def judge(alert: Alert, _known: Occurrence | None) -> Verdict:
        new = NewRun(RunId(alert.name), RuleId("p/r"), RULE, "it is down", "#c", Message(Tone.FIRING, alert.name))
        return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{alert.name}"), (new,)))

    names = [f"r{number}" for number in range(count)]
    alerts = tuple(Alert(Fingerprint(name), AlertStatus.FIRING, {"alertname": name}, {}, T0) for name in names)
    await store.accept(Delivery(alerts, received_at=T0), judge, ME)
    return [Claim(RunId(name), ME, 1, 0) for name in names]


def of_another(claim: Claim) -> Claim:
    return dataclasses.replace(claim, owner=OTHER)


def examined(number: int = 1) -> Examined:
    return Examined(T0, number, {})


def started(step: int = 0) -> Started:
    return Started(T0, 1, StepId(f"remediate.0.{step}"), 1, 1, LATER)


async def facts_of(store: Store, *claims: Claim) -> list[tuple[Fact, ...]]:
    runs = [await store.read_run(claim.run) for claim in claims]
    return [run.facts for run in runs if run is not None]


async def signals_of(store: Store, *claims: Claim) -> list[tuple[Signal, ...]]:
    return [await store.read_signals(claim.run) for claim in claims]


async def test_of_two_starts_for_one_target_one_wins_and_the_other_hears_who_has_it(store: Store) -> None:
    """Two runs on one target is how automation becomes the outage, also where both come in one moment."""
    first, second, third = await open_runs(store, 3)
    mine, theirs, elsewhere = await asyncio.gather(
        store.start(first, Entry([examined()]), started(), Reservation((WEB, "a"))),
        store.start(second, Entry([examined()]), started(), Reservation(("z", WEB))),
        store.start(third, Entry([examined()]), started(), Reservation(("b",))),
    )
    free = await store.start(third, Entry(), started(1), Reservation(("z",)))

    assert (None, Refusal(Reason.TARGET_BUSY, f"{WEB} is held by run r0"), None) == (mine, theirs, elsewhere)
    assert free is None  # nothing stays reserved for the one that was refused
    assert [(examined(), started()), (), (examined(), started(), started(1))] == await facts_of(
        store, first, second, third
    )


async def test_a_target_that_is_given_back_can_be_had_in_the_same_moment(store: Store) -> None:
    """Whoever comes after the end of a run is not held up by it."""
    first, second = await open_runs(store, 2)
    await store.start(first, Entry(), started(), Reservation((WEB,)))
    rests, begun = await asyncio.gather(
        store.end(first, Entry([ENDED]), ENDED, keep_locks_until=None),
        store.start(second, Entry(), started(), Reservation((WEB,))),
    )

    assert (True, None) == (rests, begun)


async def test_what_a_run_gives_back_that_goes_on_can_be_had_in_the_same_moment(store: Store) -> None:
    """It gives back no more than its own, and nothing of what it takes next."""
    first, second, third = await open_runs(store, 3)
    await store.start(first, Entry(), started(), Reservation((WEB,)))
    await store.start(third, Entry(), started(), Reservation(("db",)))
    _, begun, anew, taken = await asyncio.gather(
        store.learn(first, Entry([examined()]), free_locks=True),
        store.start(second, Entry(), started(), Reservation((WEB,))),
        store.start(first, Entry(), started(1), Reservation(("cache",))),
        store.start(second, Entry(), started(1), Reservation(("db",))),
    )
    late = await store.start(third, Entry(), started(1), Reservation(("cache",)))

    assert (None, None) == (begun, anew)
    assert ["db is held by run r2", "cache is held by run r0"] == [one.detail for one in (taken, late) if one]


async def test_writes_of_a_lost_claim_leave_those_of_others_alone(store: Store) -> None:
    """A process that comes back from the dead shares its commits with nobody's trouble but its own."""
    claims = await open_runs(store, 8)
    entry = Entry([examined()], [Post("told", Message(Tone.NEUTRAL, "told"))])
    good, lost = claims[:4], claims[4:]
    results = await asyncio.gather(
        store.learn(of_another(lost[0]), entry),
        store.learn(good[0], entry),
        store.park(of_another(lost[1]), entry, LATER),
        store.park(good[1], entry, LATER),
        store.start(of_another(lost[2]), entry, started(), Reservation(("lost",))),
        store.start(good[2], entry, started(), Reservation((WEB,))),
        store.end(of_another(lost[3]), entry, ENDED, keep_locks_until=None),
        store.end(good[3], entry, ENDED, keep_locks_until=None),
        return_exceptions=True,
    )
    free = await store.start(good[0], Entry(), started(), Reservation(("lost",)))
    told = [post.run for post in await store.waiting_posts(100) if post.key == "told"]

    assert [Fenced] * 4 == [type(result) for result in results[::2]]
    assert [None, True, None, True] == results[1::2]
    assert free is None
    assert [()] * 4 == await facts_of(store, *lost)
    assert [(examined(), started()), (examined(),), (examined(), started()), (examined(),)] == await facts_of(
        store, *good
    )
    assert sorted(claim.run for claim in good) == sorted(run for run in told if run is not None)


async def test_a_start_that_is_refused_leaves_the_others_alone(store: Store) -> None:
    """A resolve of one alert, or a target that is busy, is nobody else's business."""
    signalled, busy, holder, *good = await open_runs(store, 6)
    await store.signal(signalled.run, Cancel(T0, "me"))
    await store.start(holder, Entry(), started(), Reservation((WEB,)))
    first, refused, second, taken, third = await asyncio.gather(
        store.start(good[0], Entry(), started(), Reservation(("a", "b"))),
        store.start(signalled, Entry(), started(), Reservation(("c",))),
        store.start(good[1], Entry(), started(), Reservation(("d",))),
        store.start(busy, Entry(), started(), Reservation(("e", WEB))),
        store.start(good[2], Entry(), started(), NOTHING),
    )

    assert [None] * 3 == [first, second, third]
    assert (Refusal(Reason.SIGNALLED), Refusal(Reason.TARGET_BUSY, f"{WEB} is held by run r2")) == (refused, taken)
    assert [(), (), *[(started(),)] * 3] == await facts_of(store, signalled, busy, *good)


async def test_writes_of_one_run_are_made_in_the_order_in_which_they_came(store: Store) -> None:
    """The last word is the newest, and the story is told as it happened."""
    claim, other = await open_runs(store, 2)
    titles = ["first", "second", "third"]
    entries = [
        Entry([examined(number)], [Post("told", Message(Tone.NEUTRAL, title))]) for number, title in enumerate(titles)
    ]
    *_, rests, _ = await asyncio.gather(
        store.learn(claim, entries[0]),
        store.start(claim, Entry(), started(0), Reservation((WEB,))),
        store.start(claim, Entry(), started(1), Reservation((WEB,))),
        store.learn(claim, entries[1]),
        store.park(claim, entries[2], LATER),
        store.learn(other, Entry([examined()])),
    )
    posts = {post.run: post for post in await store.waiting_posts(100) if post.key == "told"}

    assert rests
    assert [(examined(0), started(0), started(1), examined(1), examined(2)), (examined(),)] == await facts_of(
        store, claim, other
    )
    assert ("third", 3) == (posts[claim.run].message.title, posts[claim.run].version)


async def test_words_for_several_runs_reach_each_of_them(store: Store) -> None:
    """People approve many at once when there is a storm; who asks for a run that is gone hears that."""
    first, second = await open_runs(store, 2)
    await store.park(first, Entry(), LATER)
    words = [Cancel(T0, name) for name in ("ann", "ben", "cid")]
    stored = await asyncio.gather(
        store.signal(first.run, words[0]),
        store.signal(RunId("nobody"), words[0]),
        store.signal(second.run, words[1]),
        store.signal(first.run, words[2]),
    )

    assert [True, False, True, True] == list(stored)
    assert [(words[0], words[2]), (words[1],)] == await signals_of(store, first, second)
    assert {(first.run, T0), (second.run, T0)} == {(wake.run, wake.at) for wake in await store.wakes()}


async def test_a_word_that_comes_with_the_end_of_a_run_is_not_slept_over(store: Store) -> None:
    """Whichever is written first: the run is due, for what has come is still to be told."""
    first, second = await open_runs(store, 2)
    before, rests, ended, after = await asyncio.gather(
        store.signal(first.run, Cancel(T0, "me")),
        store.park(first, Entry(), LATER),
        store.end(second, Entry([ENDED]), ENDED, keep_locks_until=None),
        store.signal(second.run, Cancel(T0, "me")),
    )

    assert (True, False, True, True) == (before, rests, ended, after)
    assert {(first.run, T0), (second.run, T0)} == {(wake.run, wake.at) for wake in await store.wakes()}
