"""What holds of every store: what is old is forgotten, and never anything that is still needed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.change import Change
from remediator.model.facts import Ended, Examined, LateFinished, Started, StepStatus
from remediator.model.history import Latest, Standing, Which
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import NEWS, Message, Post, Tone
from remediator.model.occurrence import Closing, Doubt, NewRun, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome
from remediator.model.run import Cancel
from remediator.model.stop import Stop, StopKind
from remediator.storage.retention import JOURNAL_KEPT, Forgotten, Retention
from remediator.storage.runs import Claim, Entry, Reservation
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

ME = OwnerId("me")
RULE, OTHER_RULE = Digest("d" * 64), Digest("e" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NOW = T0 + 100 * DAY
PLENTY = 1_000_000
OLD = Retention(before=T0 + 10 * DAY, at_most=PLENTY, settled=NOW - timedelta(minutes=6))


def alert(name: str, status: AlertStatus = AlertStatus.FIRING) -> Alert:
    return Alert(Fingerprint(name), status, {"alertname": name}, {}, T0)


async def fire(store: Store, *names: str, run: str | None = None, at: datetime = T0, group: str = "") -> Claim:
    """Open an occurrence of each, with one run for all where a group is given."""
    run = run or names[0]

    def judge(alert: Alert, _known: object) -> Verdict:
        new = NewRun(RunId(run), RuleId("p/r"), RULE, "down", "#c", Message(Tone.FIRING, "down"), group)
        return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{alert.fingerprint}-{run}"), (new,)))

    await store.accept(Delivery(tuple(map(alert, names)), received_at=at), judge, ME)
    return Claim(RunId(run), ME, 1, 0)


async def resolve(store: Store, *names: str, at: datetime = T0) -> None:
    close = Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)
    alerts = tuple(alert(name, AlertStatus.RESOLVED) for name in names)
    await store.accept(Delivery(alerts, received_at=at), lambda _alert, _known: close, ME)


async def up_to_date(store: Store, claim: Claim) -> Claim:
    """The claim of an owner who has taken the run anew and read every signal."""
    run = await store.take(claim.run, claim.owner)
    assert run is not None
    return replace(claim, epoch=run.epoch, signals_read=len(run.signals))


async def end(store: Store, claim: Claim, at: datetime = T0, keep_locks_until: datetime | None = None) -> None:
    """End a run as its owner does: once it has read every signal."""
    claim = await up_to_date(store, claim)
    ended = Ended(at, Outcome.HEALED, "fine")
    assert await store.end(claim, Entry([ended]), ended, keep_locks_until=keep_locks_until)


async def send_all(store: Store) -> None:
    for post in await store.waiting_posts(PLENTY):
        await store.note_sent(post.seq, post.version, f"C1:{post.seq}")


async def finished(store: Store, name: str, at: datetime = T0) -> RunId:
    """A run of an alert that was resolved, ended and told at a time."""
    claim = await fire(store, name, at=at)
    await resolve(store, name, at=at)
    await end(store, claim, at)
    await send_all(store)
    return claim.run


async def left(store: Store) -> set[str]:
    return {run.id for run in await store.list_runs(limit=PLENTY)}


async def forget_all(
    store: Store, old: Retention = OLD, *, limit: int = 100, in_force: Sequence[Digest] = (RULE,)
) -> Forgotten:
    """Forget until there is nothing left to forget, as housekeeping does it."""
    await store.remember_rules({digest: {"pack": "p"} for digest in in_force})
    total = Forgotten()
    while done := await store.forget(old, limit=limit):
        total += done
    return total


async def test_an_old_run_goes_with_all_that_hangs_on_it(store: Store, clock: VirtualClock) -> None:
    """A store that keeps everything fills the disk, and then no alert is accepted."""
    claim = await fire(store, "a")
    await store.learn(claim, Entry([Examined(T0, 1, {})], [Post("told", Message(Tone.NEUTRAL, "looked"))]))
    await resolve(store, "a")
    await end(store, claim)
    await send_all(store)
    clock.jump(100 * DAY)

    gone = await forget_all(store)

    assert (1, 1) == (gone.runs, gone.occurrences)
    assert await store.read_run(claim.run) is None
    assert () == await store.read_signals(claim.run)
    assert await store.newest_occurrence("a") is None
    assert set() == await left(store)


async def test_what_is_younger_stays(store: Store, clock: VirtualClock) -> None:
    """The limit is exact: what ended at it is kept."""
    await finished(store, "a", OLD.before - timedelta(microseconds=1))
    await finished(store, "b", OLD.before)
    clock.jump(100 * DAY)

    await forget_all(store)

    assert {"b"} == await left(store)
    assert await store.newest_occurrence("a") is None
    assert await store.newest_occurrence("b") is not None


async def test_only_so_many_of_the_newest_are_kept(store: Store, clock: VirtualClock) -> None:
    """A storm of a night must not take the disk before the age limit comes."""
    for minute, name in enumerate("abcde"):
        await finished(store, name, T0 + 20 * DAY + timedelta(minutes=minute))
    clock.jump(100 * DAY)

    gone = await forget_all(store, Retention(OLD.before, at_most=2, settled=OLD.settled))

    assert (3, 3) == (gone.runs, gone.occurrences)
    assert {"d", "e"} == await left(store)
    assert await store.newest_occurrence("c") is None
    assert await store.newest_occurrence("d") is not None


async def test_the_count_is_exact_where_all_ended_at_once(store: Store, clock: VirtualClock) -> None:
    """A batch ends many runs in one moment: neither all of them stay, nor do all go."""
    for name in "abcde":
        await finished(store, name, T0 + 20 * DAY)
    clock.jump(100 * DAY)

    await forget_all(store, Retention(OLD.before, at_most=2, settled=OLD.settled))

    assert {"d", "e"} == await left(store)


async def test_one_call_deletes_so_many_and_the_oldest_first(store: Store, clock: VirtualClock) -> None:
    """Nobody who has to write waits for all of a year."""
    for day, name in enumerate("cab"):
        await finished(store, name, T0 + day * DAY)
    clock.jump(100 * DAY)

    gone = await store.forget(OLD, limit=2)

    assert 2 == gone.runs
    assert {"b"} == await left(store)


async def test_what_ended_just_now_stays_whatever_the_count(store: Store, clock: VirtualClock) -> None:
    """Intake tells a late duplicate from a new alert by the occurrence that has just closed."""
    clock.jump(100 * DAY)
    await finished(store, "a", OLD.settled)
    await finished(store, "b", OLD.settled - timedelta(microseconds=1))

    await forget_all(store, Retention(OLD.before, at_most=0, settled=OLD.settled))

    assert {"a"} == await left(store)
    assert await store.newest_occurrence("a") is not None


async def test_a_run_under_way_stays(store: Store, clock: VirtualClock) -> None:
    """However long a person takes to decide."""
    claim = await fire(store, "a")
    await resolve(store, "a")
    await send_all(store)
    assert not await store.park(claim, Entry(), None)
    clock.jump(100 * DAY)

    assert not await forget_all(store)

    assert {"a"} == await left(store)


async def test_a_run_whose_alert_is_open_stays(store: Store, clock: VirtualClock) -> None:
    """A repeat of the alert must find what was done, and not do it again."""
    claim = await fire(store, "a")
    await end(store, claim)
    await send_all(store)
    clock.jump(100 * DAY)

    assert not await forget_all(store)

    known = await store.newest_occurrence("a")
    assert known is not None
    assert T0 == known.runs_ended_at


async def test_a_run_of_a_group_stays_until_its_last_alert_is_resolved(store: Store, clock: VirtualClock) -> None:
    """The run stands for all of them."""
    claim = await fire(store, "a", "b", group="web")
    await resolve(store, "a")
    await end(store, claim)
    await send_all(store)
    clock.jump(100 * DAY)

    assert not await forget_all(store)
    assert await store.newest_occurrence("a") is not None

    await resolve(store, "b", at=T0 + DAY)
    assert not await forget_all(store)  # that is still to be read
    assert await store.park(await up_to_date(store, claim), Entry(), None)
    gone = await forget_all(store)

    assert (1, 2) == (gone.runs, gone.occurrences)


async def test_a_run_with_something_left_to_tell_stays(store: Store, clock: VirtualClock) -> None:
    """A message that chat did not take for weeks is still owed."""
    claim = await fire(store, "a")
    await resolve(store, "a")
    await end(store, claim)
    clock.jump(100 * DAY)

    assert not await forget_all(store)
    await send_all(store)
    gone = await forget_all(store)

    assert 1 == gone.runs


async def test_a_run_that_ended_with_a_signal_unread_stays(store: Store, clock: VirtualClock) -> None:
    """It is due, and its owner has still something to do with it."""
    run = await finished(store, "a")
    assert await store.signal(run, Cancel(T0, "somebody", ""))
    clock.jump(100 * DAY)

    assert not await forget_all(store)
    assert {"a"} == await left(store)


async def test_a_run_that_holds_a_lock_stays_until_that_lapses(store: Store, clock: VirtualClock) -> None:
    """An unknown step may still be acting on its target."""
    claim = await fire(store, "a")
    started = Started(T0, 1, StepId("remediate.0.0"), 1, 1, T0 + timedelta(minutes=1))
    assert await store.start(claim, Entry(), started, Reservation(("t",))) is None
    await resolve(store, "a")
    await end(store, claim, keep_locks_until=T0 + 100 * DAY + timedelta(hours=1))
    await send_all(store)
    clock.jump(100 * DAY)

    assert not await forget_all(store)
    clock.jump(timedelta(hours=1))
    gone = await forget_all(store)

    assert 1 == gone.runs
    other = await fire(store, "b", at=NOW)
    assert await store.start(other, Entry(), started, Reservation(("t",))) is None


async def test_what_cannot_go_keeps_nothing_else(store: Store, clock: VirtualClock) -> None:
    """One run that chat refuses for ever must not stop housekeeping."""
    for day in range(5):
        claim = await fire(store, f"stuck{day}", at=T0)
        await resolve(store, f"stuck{day}")
        await end(store, claim)
    stuck = await left(store)
    claim = await fire(store, "a", at=T0 + DAY)
    await resolve(store, "a", at=T0 + DAY)
    await end(store, claim, T0 + DAY)
    for post in await store.waiting_posts(PLENTY):
        if post.run == claim.run:
            await store.note_sent(post.seq, post.version, "C1:1")
    clock.jump(100 * DAY)

    gone = await forget_all(store, limit=1)

    assert 1 == gone.runs
    assert stuck == await left(store)


async def test_a_doubtful_alert_stays(store: Store, clock: VirtualClock) -> None:
    """It waits for an answer and may yet become an occurrence."""
    await finished(store, "a")
    doubt = Doubt(alert("a"), until=T0 + timedelta(seconds=60))
    verdict = Verdict(Ruling.DOUBTFUL, doubt=doubt)
    await store.accept(Delivery((alert("a"),), received_at=T0), lambda _alert, _known: verdict, ME)
    clock.jump(100 * DAY)

    gone = await forget_all(store)

    assert (1, 0) == (gone.runs, gone.occurrences)
    assert [doubt] == [one.doubt for one in await store.due_doubts(NOW, 10)]


async def test_an_alert_without_a_run_goes_too(store: Store, clock: VirtualClock) -> None:
    """Most alerts match no rule, and would fill the disk just as well."""
    opened = Verdict(Ruling.OPENED, open=Opening(OccurrenceId("o"), ()))
    await store.accept(Delivery((alert("a"),), received_at=T0), lambda _alert, _known: opened, ME)
    clock.jump(100 * DAY)

    assert not await forget_all(store)
    await resolve(store, "a", at=T0 + DAY)
    gone = await forget_all(store)

    assert Forgotten(occurrences=1) == gone


async def test_the_same_alert_can_come_again(store: Store, clock: VirtualClock) -> None:
    """What was forgotten leaves nothing behind that stands in the way."""
    await finished(store, "a")
    clock.jump(100 * DAY)
    await forget_all(store)

    await fire(store, "a", at=NOW)

    assert {"a"} == await left(store)


async def test_what_comes_late_for_a_forgotten_run_is_let_go(store: Store, clock: VirtualClock) -> None:
    """A process that was frozen for months must not fail over its last word."""
    run = await finished(store, "a")
    clock.jump(100 * DAY)
    await forget_all(store)
    late = LateFinished(NOW, StepId("remediate.0.0"), 1, StepStatus.DONE, "done")

    await store.settle_late(run, late, [Post("late", Message(Tone.NEUTRAL, "late"))])

    assert not await store.signal(run, Cancel(NOW, "somebody", ""))
    assert () == await store.waiting_posts(10)


async def test_rules_go_with_the_last_run_that_needs_them_unless_they_are_in_force(
    store: Store, clock: VirtualClock
) -> None:
    """A run goes on with the rule that it started with; a new one begins with a rule that is in force."""
    await store.remember_rules({OTHER_RULE: {"pack": "q"}})
    await fire(store, "a")
    clock.jump(100 * DAY)
    in_force = Digest("f" * 64)

    gone = await forget_all(store, in_force=[in_force])

    assert Forgotten(rules=1) == gone
    assert await store.rule_document(OTHER_RULE) is None
    assert await store.rule_document(RULE) is not None
    assert await store.rule_document(in_force) is not None


async def test_a_rule_that_is_remembered_again_counts_as_in_force(store: Store, clock: VirtualClock) -> None:
    """Rules of which no alert has come for months are the ones that matter most."""
    await store.remember_rules({OTHER_RULE: {"pack": "q"}})
    clock.jump(100 * DAY)

    await forget_all(store, in_force=[OTHER_RULE])

    assert await store.rule_document(RULE) is None
    assert await store.rule_document(OTHER_RULE) is not None


async def test_old_notices_go_once_they_are_sent(store: Store, clock: VirtualClock) -> None:
    """They belong to no run, so no run takes them along."""
    await store.notify("#c", "old", Message(Tone.BAD, "rules are wrong"), T0)
    await send_all(store)
    await store.notify("#c", "owed", Message(Tone.BAD, "rules are wrong again"), T0)
    await store.notify("#c", "young", Message(Tone.BAD, "and again"), OLD.before)
    clock.jump(100 * DAY)

    gone = await forget_all(store)

    assert Forgotten(notices=1) == gone
    assert ["owed", "young"] == [post.key for post in await store.waiting_posts(10)]


async def test_of_what_other_places_were_told_so_much_is_kept_as_of_runs(store: Store, clock: VirtualClock) -> None:
    """They are told several things of each run, and nobody edits those later; what is edited stays."""
    for number in range(5):
        at = T0 + 20 * DAY + number * timedelta(minutes=1)
        await store.notify("notify:mail", f"{NEWS}r{number}.ended", Message(Tone.GOOD, "healed"), at)
    await store.notify("#c", "storm", Message(Tone.BAD, "a storm"), T0 + 20 * DAY)
    await send_all(store)
    await store.notify("notify:mail", f"{NEWS}r0.asked", Message(Tone.GOOD, "waits"), T0 + 20 * DAY)
    clock.jump(100 * DAY)

    gone = await forget_all(store, replace(OLD, at_most=2))
    left = [number for number in range(5) if await store.has_notice("notify:mail", f"{NEWS}r{number}.ended")]

    assert (Forgotten(notices=3), [3, 4]) == (gone, left)
    assert await store.has_notice("#c", "storm")
    assert ["news.r0.asked"] == [post.key for post in await store.waiting_posts(10)]


async def test_alerts_are_accepted_while_much_is_forgotten(store: Store, clock: VirtualClock) -> None:
    """Both write, and neither spoils the other's."""
    for number in range(50):
        await finished(store, f"old{number:02}")
    clock.jump(100 * DAY)

    forgetting = asyncio.create_task(forget_all(store, limit=7))
    await asyncio.gather(*(fire(store, f"new{number:02}", at=NOW) for number in range(50)))
    gone = await forgetting

    assert 50 == gone.runs
    assert {f"new{number:02}" for number in range(50)} == await left(store)


async def test_the_size_is_told(store: Store) -> None:
    """What grows has to be seen before the disk is full."""
    assert 0 < await store.size()


async def entered(store: Store, run: str, at: datetime) -> None:
    """A run that began a change at a time, and is long over."""
    claim = await fire(store, run, at=at)
    started = Started(at, 1, StepId("remediate.0.0"), 1, 1, at)
    change = Change(claim.run, 1, RuleId("p/r"), "t", "a", at, at)
    assert await store.start(claim, Entry(), started, Reservation(changes=(change,))) is None
    await resolve(store, run, at=at)
    await end(store, claim, at)
    await send_all(store)


EVER = Latest(Which(), 50, T0 - DAY)


@pytest.mark.parametrize(
    ("before", "edge"),
    [(NOW - DAY, NOW - JOURNAL_KEPT), (NOW - 40 * DAY, NOW - 40 * DAY)],
    ids=["as-long-as-guards-look", "as-long-as-runs"],
)
async def test_the_journal_is_kept_as_long_as_guards_look_back_whatever_becomes_of_the_runs(
    store: Store, clock: VirtualClock, before: datetime, edge: datetime
) -> None:
    """A busy store keeps its runs for a day; a budget of a month must still count what they did."""
    await entered(store, "old", edge - timedelta(microseconds=1))
    await entered(store, "young", edge)
    clock.jump(100 * DAY)

    gone = await forget_all(store, Retention(before, PLENTY, OLD.settled))

    assert (2 if before > edge else 1, 1) == (gone.runs, gone.changes)
    assert ["young"] == [change.run for change in (await store.known((EVER,))).latest(EVER)]


async def test_a_long_journal_goes_in_pieces(store: Store, clock: VirtualClock) -> None:
    """The oldest first, as many as one call may delete; the calls go on until all of it is gone."""
    claim = await fire(store, "a")
    started = Started(T0, 1, StepId("remediate.0.0"), 1, 1, T0)
    changes = [Change(claim.run, 1, RuleId("p/r"), f"t{n}", "a", T0, T0 + timedelta(seconds=n)) for n in range(250)]
    await store.start(claim, Entry(), started, Reservation(changes=tuple(changes)))
    clock.jump(100 * DAY)

    first = await store.forget(OLD, limit=220)
    left_over = (await store.known((EVER,))).latest(EVER)

    assert 220 == first.changes
    assert [f"t{n}" for n in range(249, 219, -1)] == [change.target for change in left_over]
    assert 30 == (await forget_all(store)).changes


async def test_stops_that_are_long_over_go_and_those_that_stand_stay(store: Store, clock: VirtualClock) -> None:
    """When one was lifted tells which failures still count, for as long as anything does."""
    edge = NOW - JOURNAL_KEPT
    ends = {"over": edge - timedelta(microseconds=1), "late": edge, "open": None}
    for scope, until in ends.items():
        await store.put_stop(Stop(StopKind.PAUSE, scope, "", "anna", T0, until))
    clock.jump(100 * DAY)

    gone = await forget_all(store, Retention(NOW, PLENTY, OLD.settled))

    assert Forgotten(stops=1) == gone
    assert {"late", "open"} == {stop.scope for stop in (await store.known((Standing(tuple(ends)),))).stops}
