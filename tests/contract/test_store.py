"""What holds of every store: the same tests over each engine."""

import asyncio
import dataclasses
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.errors import BadSettings, Fenced
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, CutGroup, Delivery
from remediator.model.facts import Ended, Examined, Fact, Finished, Held, LateFinished, Settled, Started, StepStatus
from remediator.model.ids import (
    Digest,
    Fingerprint,
    OccurrenceId,
    OwnerId,
    RuleId,
    RunId,
    StepId,
)
from remediator.model.message import PARENT, Message, Post, Tone
from remediator.model.occurrence import Accepted, Closing, Doubt, Judge, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome, Reason
from remediator.model.priority import Priority
from remediator.model.run import Cancel, Joined, Resolved, Settle
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import CUT_GROUPS, NOTHING, Claim, Entry, OutboxState, Refusal, Reservation, Store
from remediator.testing.clock import VirtualClock

ME, OTHER = OwnerId("me"), OwnerId("other")
RULE = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def alert(name: str = "Down", status: AlertStatus = AlertStatus.FIRING) -> Alert:
    return Alert(Fingerprint(name), status, {"alertname": name}, {}, T0)


def opening(run: str, occurrence: str | None = None) -> Opening:
    message = Message(Tone.FIRING, f"first of {run}")
    new = NewRun(RunId(run), RuleId("p/r"), RULE, "it is down", "#c", message)
    return Opening(OccurrenceId(occurrence or f"o-{run}"), (new,))


async def open_run(store: Store, run: str = "r1", name: str | None = None) -> Claim:
    """A new run of an occurrence of its own, born claimed."""
    delivery = Delivery((alert(name or run),), received_at=T0)
    await store.accept(delivery, lambda _alert, _known: Verdict(Ruling.OPENED, open=opening(run)), ME)
    return Claim(RunId(run), ME, 1, 0)


def started(step: str = "remediate.0.0", attempt: int = 1) -> Started:
    return Started(T0, 1, StepId(step), attempt, 1, T0 + timedelta(minutes=1))


ENDED = Ended(T0, Outcome.HEALED, "fine")


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


async def test_a_message_waits_until_its_newest_version_is_sent(store: Store) -> None:
    """The opening message is edited while an earlier version is on its way."""
    claim = await open_run(store)
    (first,) = await store.waiting_posts(10)
    await store.learn(claim, Entry((), [Post("parent", Message(Tone.GOOD, "healed"))]))
    await store.note_sent(first.seq, first.version, "C1:1.0")
    (second,) = await store.waiting_posts(10)
    await store.note_sent(second.seq, second.version, "C1:1.0")

    assert (1, 2, "healed", "C1:1.0") == (first.version, second.version, second.message.title, second.ref)
    assert () == await store.waiting_posts(10)


async def test_the_same_message_again_is_not_sent_again(store: Store) -> None:
    """Facts that change nothing for the reader cost no edit."""
    claim = await open_run(store)
    (first,) = await store.waiting_posts(10)
    await store.note_sent(first.seq, first.version, "C1:1.0")
    await store.learn(claim, Entry((), [Post("parent", Message(Tone.FIRING, "first of r1"))]))

    assert () == await store.waiting_posts(10)


async def test_replies_know_their_thread_once_it_stands(store: Store) -> None:
    """A reply before its parent would open a thread of its own."""
    claim = await open_run(store)
    await store.learn(claim, Entry((), [Post("evidence", Message(Tone.NEUTRAL, "found"))]))
    before = await store.waiting_posts(10)
    await store.note_sent(before[0].seq, 1, "C1:1.0")
    after = await store.waiting_posts(10)

    assert [("parent", None), ("evidence", None)] == [(p.key, p.thread) for p in before]
    assert [("evidence", "C1:1.0")] == [(p.key, p.thread) for p in after]


async def next_post(
    store: Store, *, resting: Sequence[int] = (), busy: Sequence[str] = (), passed: Sequence[int] = ()
) -> str | None:
    post = await store.next_post(resting=resting, busy=busy, passed=passed)
    return None if post is None else f"{post.run}/{post.key}"


async def test_the_next_post_is_the_oldest_that_may_be_sent(store: Store) -> None:
    """What is stuck at the head must not hide what stands behind it, and a thread keeps its order."""
    claim = await open_run(store, "r1")
    await store.learn(claim, Entry((), [Post(key, Message(Tone.NEUTRAL, key)) for key in ("a", "b")]))
    await open_run(store, "r2")
    first, a, b, second = [post.seq for post in await store.waiting_posts(10)]

    assert "r1/parent" == await next_post(store)
    assert "r2/parent" == await next_post(store, resting=[first])
    assert await next_post(store, resting=[first, second]) is None
    assert await next_post(store, busy=["#c"]) is None

    await store.note_sent(first, 1, "C1:1.0")

    assert "r1/a" == await next_post(store)
    assert "r2/parent" == await next_post(store, resting=[a])
    assert "r1/b" == await next_post(store, resting=[a], passed=[a])

    await store.note_sent(a, 1, "C1:2.0")

    assert "r1/b" == await next_post(store)
    assert "r2/parent" == await next_post(store, resting=[b])


async def test_an_attempt_and_a_place_found_are_remembered(store: Store) -> None:
    """A process that dies while it sends leaves the next one what it needs to look for the message."""
    await open_run(store)
    (before,) = await store.waiting_posts(10)
    await store.note_attempt(before.seq)
    (after,) = await store.waiting_posts(10)
    await store.note_sent(before.seq, 0, "C1:1.0")
    (found,) = await store.waiting_posts(10)

    assert (False, True) == (before.attempted, after.attempted)
    assert (None, "C1:1.0") == (after.ref, found.ref)


def grouping(*, group: str = "g", rule: str = "p/r") -> Judge:
    """Opens every alert that fires for a run of one group, called after it, and closes what resolves."""

    def judge(alert: Alert, _known: Occurrence | None) -> Verdict:
        if alert.status is AlertStatus.RESOLVED:
            return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)
        new = dataclasses.replace(opening(alert.name).runs[0], group=group, rule=RuleId(rule))
        return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{alert.name}"), (new,)))

    return judge


async def fire(store: Store, *names: str, group: str = "g", rule: str = "p/r") -> Accepted:
    delivery = Delivery(tuple(map(alert, names)), received_at=T0)
    return await store.accept(delivery, grouping(group=group, rule=rule), ME)


async def resolve(store: Store, *names: str) -> Accepted:
    alerts = tuple(alert(name, AlertStatus.RESOLVED) for name in names)
    return await store.accept(Delivery(alerts, received_at=T0), grouping(), ME)


def labels(*names: str) -> tuple[dict[str, str], ...]:
    return tuple({"alertname": name} for name in names)


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


async def test_a_notice_waits_like_any_message_and_belongs_to_no_run(store: Store) -> None:
    """What concerns no alert has to reach people as surely."""
    await store.notify("#c", "rules", Message(Tone.BAD, "the rules are wrong"), T0)
    await open_run(store)
    (first, _) = await store.waiting_posts(10)

    assert (None, "#c", "the rules are wrong", 1) == (first.run, first.channel, first.message.title, first.version)
    assert OutboxState(2, T0) == await store.outbox_state()
    assert "None/rules" == await next_post(store)
    assert "r1/parent" == await next_post(store, resting=[first.seq])
    assert await next_post(store, busy=["#c"]) is None


async def test_notices_go_before_all_threads_the_oldest_first(store: Store) -> None:
    """In a storm thousands of threads wait; the one message that asks a person to look must not wait behind them."""
    await open_run(store, "r1")
    await open_run(store, "r2")
    for key in ("storm", "rules"):
        await store.notify("#c", key, Message(Tone.WAITING, key), T0)
    *_, told, other = [post.seq for post in await store.waiting_posts(10)]

    assert "None/storm" == await next_post(store)
    assert "None/rules" == await next_post(store, resting=[told])
    assert "r1/parent" == await next_post(store, resting=[told, other])

    for seq in (told, other):
        await store.note_sent(seq, 1, f"C1:{seq}")
    before = await next_post(store)
    await store.notify("#c", "storm", Message(Tone.GOOD, "it is over"), T0)

    assert ("r1/parent", "None/storm") == (before, await next_post(store))


def parent(title: str, *, is_minor: bool = False) -> Post:
    return Post(PARENT, Message(Tone.WAITING, title), is_minor)


async def test_what_is_minor_goes_last_and_does_not_count_as_waiting(store: Store) -> None:
    """In a storm there are thousands of these: nobody waits for them, and they must keep nothing else waiting."""
    for run in ("r1", "r2"):
        await store.learn(await open_run(store, run), Entry((), [parent("held", is_minor=True)]))
    await store.notify("#c", "storm", Message(Tone.WAITING, "storm"), T0)
    await open_run(store, "r3")
    order, state = [], await store.outbox_state()
    waiting = {f"{post.run}/{post.key}": post.seq for post in await store.waiting_posts(10)}
    while (key := await next_post(store)) is not None:
        order.append(key)
        await store.note_sent(waiting[key], 2, f"C1:{key}")

    assert ["None/storm", "r3/parent", "r1/parent", "r2/parent"] == order
    assert OutboxState(2, T0, 2) == state
    assert OutboxState(0, None) == await store.outbox_state()


async def test_what_is_minor_no_more_counts_from_then_on(store: Store, clock: VirtualClock) -> None:
    """It may have waited for hours before; that says nothing against chat. Its words may be the same."""
    claims = [await open_run(store, run) for run in ("r1", "r2")]
    for claim in claims:
        await store.learn(claim, Entry((), [parent("held", is_minor=True)]))
    before = await store.outbox_state()
    clock.jump(timedelta(hours=1))
    for claim, title in zip(claims, ("held", "acting"), strict=True):
        await store.learn(claim, Entry((), [parent(title)]))
    posts = await store.waiting_posts(10)

    assert OutboxState(0, None, 2) == before
    assert OutboxState(2, T0 + timedelta(hours=1)) == await store.outbox_state()
    assert [("held", 2), ("acting", 3)] == [(post.message.title, post.version) for post in posts]


async def test_a_rank_alone_sends_nothing_again(store: Store) -> None:
    """People see no difference."""
    claim = await open_run(store)
    await store.learn(claim, Entry((), [parent("held", is_minor=True)]))
    (post,) = await store.waiting_posts(10)
    await store.note_sent(post.seq, post.version, "C1:1.0")
    await store.learn(claim, Entry((), [parent("held")]))

    assert () == await store.waiting_posts(10)


async def test_what_may_have_landed_is_looked_for_since_it_was_queued_first(store: Store, clock: VirtualClock) -> None:
    """It stands where it was sent then."""
    claim = await open_run(store)
    await store.learn(claim, Entry((), [parent("held", is_minor=True)]))
    (post,) = await store.waiting_posts(10)
    await store.note_attempt(post.seq)
    clock.jump(timedelta(hours=1))
    await store.learn(claim, Entry((), [parent("acting")]))
    (post,) = await store.waiting_posts(10)

    assert T0 == post.queued_at


async def test_no_thread_is_minor_while_people_wait_for_something_in_it(store: Store) -> None:
    """A reply cannot be sent before the message that it replies to."""
    claim, other = [await open_run(store, run) for run in ("r1", "r2")]
    await store.learn(claim, Entry((), [parent("gathered"), Post("examined.1", Message(Tone.NEUTRAL, "evidence"))]))
    await store.learn(claim, Entry((), [parent("held", is_minor=True)]))
    minor = Post("ended.1", Message(Tone.NEUTRAL, "expired"), is_minor=True)
    await store.learn(other, Entry((), [parent("expired", is_minor=True), minor]))
    reply = Post("escalated.1", Message(Tone.FIRING, "escalated"))
    before = await store.outbox_state()
    await store.learn(other, Entry((), [parent("expired"), reply]))
    after = await store.outbox_state()
    seqs = {f"{post.run}/{post.key}": post.seq for post in await store.waiting_posts(10)}
    for key in ("r1/parent", "r2/parent", "r1/examined.1"):
        await store.note_sent(seqs[key], 9, "C1:1.0")

    assert (2, 2) == (before.waiting, before.minor)
    assert (4, 1) == (after.waiting, after.minor)
    assert "r2/escalated.1" == await next_post(store)
    assert "r2/ended.1" == await next_post(store, resting=[seqs["r2/escalated.1"]])


async def test_a_notice_with_the_same_key_is_edited_and_with_another_key_or_channel_is_new(store: Store) -> None:
    """The same trouble again is no news; another one is."""
    await store.notify("#c", "rules", Message(Tone.BAD, "wrong"), T0)
    (first,) = await store.waiting_posts(10)
    await store.note_sent(first.seq, first.version, "C1:1.0")
    await store.notify("#c", "rules", Message(Tone.BAD, "wrong"), T0)
    same = await store.waiting_posts(10)
    await store.notify("#c", "rules", Message(Tone.GOOD, "fine again"), T0 + timedelta(hours=1))
    await store.notify("#c", "disk", Message(Tone.BAD, "full"), T0)
    await store.notify("#d", "rules", Message(Tone.BAD, "wrong"), T0)
    edited, *others = await store.waiting_posts(10)

    assert () == same
    assert (first.seq, 2, "fine again", "C1:1.0") == (edited.seq, edited.version, edited.message.title, edited.ref)
    assert T0 + timedelta(hours=1) == edited.queued_at
    assert [("#c", "disk", None), ("#d", "rules", None)] == [(p.channel, p.key, p.ref) for p in others]


@pytest.mark.parametrize(
    ("queued", "waiting"),
    [(0, []), (1, [("#c", "old")]), (3, [("#c", "old")])],
    ids=["newer-there", "same-age", "older-there"],
)
async def test_a_notice_that_is_moved_joins_the_one_that_is_there_already(
    store: Store, queued: int, waiting: list[tuple[str, str]]
) -> None:
    """The same notice twice in one channel would contradict itself; the last word counts."""
    await store.notify("#c", "rules", Message(Tone.BAD, "new"), T0 + timedelta(hours=1))
    (there,) = await store.waiting_posts(10)
    await store.note_sent(there.seq, there.version, "C1:1.0")
    await store.notify("terminal", "rules", Message(Tone.BAD, "old"), T0 + timedelta(hours=queued))
    (moving,) = await store.waiting_posts(10)
    await store.move_thread(moving.seq, "#c")

    assert waiting == [(p.channel, p.message.title) for p in await store.waiting_posts(10)]
    assert all("C1:1.0" == p.ref for p in await store.waiting_posts(10))


async def test_a_notice_that_is_moved_is_sent_anew(store: Store) -> None:
    """Where it stood nobody looks any more."""
    await store.notify("terminal", "rules", Message(Tone.BAD, "wrong"), T0)
    (first,) = await store.waiting_posts(10)
    await store.note_attempt(first.seq)
    await store.note_sent(first.seq, first.version, "7")
    await store.move_thread(first.seq, "#c")
    (moved,) = await store.waiting_posts(10)

    assert ("#c", None, False) == (moved.channel, moved.ref, moved.attempted)


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


async def test_whether_a_notice_was_ever_queued_is_known(store: Store) -> None:
    """Whoever tells of a trouble has to know after a restart whether it was told."""
    claim = await open_run(store)
    await store.learn(claim, Entry(posts=[Post("disk", Message(Tone.BAD, "a reply of a run"))]))
    await store.notify("#c", "rules", Message(Tone.BAD, "wrong"), T0)
    (notice,) = (post for post in await store.waiting_posts(10) if post.run is None)
    await store.note_sent(notice.seq, notice.version, "C1:1.0")
    asked = [("#c", "rules"), ("#d", "rules"), ("#c", "disk")]

    assert [True, False, False] == [await store.has_notice(channel, key) for channel, key in asked]


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


# -- groups of which a delivery left alerts out --


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
