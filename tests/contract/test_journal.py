"""What holds of every store's journal of changes, and of its stops: the same tests over each engine."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from remediator.errors import Fenced
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.change import Change, Ended, Ending
from remediator.model.facts import Ended as RunEnded
from remediator.model.facts import LateFinished, Started, StepStatus
from remediator.model.history import Known, Latest, Nth, Standing, Which
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Closing, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome, Reason
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.storage.runs import Claim, Entry, Refusal, Reservation
from remediator.storage.store import Store

ME = OwnerId("me")
DIGEST = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
RULE, OTHER_RULE = RuleId("web/down"), RuleId("web/slow")
WEB, DB = "docker:local/web", "docker:local/db"
RESTART, LIMIT = "docker.restart", "docker.set_memory"


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


@pytest.mark.parametrize(
    ("before", "after"),
    [(Ending.UNKNOWN, Ending.DONE), (Ending.HEALED, Ending.HEALED), (Ending.NOT_HEALED, Ending.NOT_HEALED)],
)
async def test_late_news_settle_what_is_unknown_and_nothing_else(store: Store, before: Ending, after: Ending) -> None:
    """Whoever brings them may not know what was found out meanwhile."""
    claim = await enter(store, change("r1"))
    await store.learn(claim, Entry(endings=[Ended(1, before, T0)]))
    late = LateFinished(T0, StepId("remediate.0.0"), 1, StepStatus.DONE, "done after all")
    await store.settle_late(claim.run, late, (), [Ended(1, Ending.DONE, T0 + SECOND, settles=True)])
    of_target = Latest(Which(target=WEB), 5, T0 - SECOND)

    assert [after] == [one.ending for one in (await store.known((of_target,))).latest(of_target)]


def of_not_begun(since: datetime = T0 - SECOND) -> tuple[Nth | Latest, ...]:
    """Every way to ask for the change `change("r1")`."""
    kinds = [Which(), Which(rule=RULE), Which(target=WEB), Which(rule=RULE, target=WEB), Which(action=RESTART)]
    return (*(Nth(which, 1, since) for which in kinds), *(Latest(which, 5, since) for which in kinds))


async def test_a_change_that_was_not_begun_is_found_by_no_question(store: Store) -> None:
    """Nothing was done, so it uses up no budget, starts no cooldown, and is no try."""
    claim = await enter(store, change("r1"), change("r1", action=LIMIT, counts=False))
    questions = of_not_begun()
    before = await store.known(questions)
    await store.learn(claim, Entry(endings=[Ended(1, Ending.NOT_BEGUN, T0 + SECOND)]))
    after = await store.known((*questions, by_limit := Latest(Which(action=LIMIT), 5, T0 - SECOND)))
    seen: list[Known] = []
    await store.start(await open_run(store, "r2"), Entry(), started(), Reservation((), (), questions, seen.append))

    assert [T0] * 5 == list(before.times.values())
    assert [1] * 5 == [len(found) for found in before.changes.values()]
    for known in (after, *seen):
        assert [None] * 5 == list(known.times.values())
        assert not any(known.changes.values())
    assert () == tuple(after.latest(by_limit))


async def test_a_change_that_was_not_begun_counts_from_the_start_on_that_begins_it(store: Store) -> None:
    """A later try of the same plan does what the first one did not: it must not pass for one that was counted."""
    claim = await enter(store, change("r1"))
    await store.learn(claim, Entry(endings=[Ended(1, Ending.NOT_BEGUN, T0 + SECOND)]))
    questions = of_not_begun()
    seen: list[Known] = []
    later = change("r1", T0 + HOUR)
    other = await open_run(store, "r2")
    again = Reservation((), (later,), questions, seen.append)
    beside = Reservation((), (change("r2", T0 + HOUR, target=DB),), (Nth(Which(), 2, T0),), seen.append)
    await asyncio.gather(
        store.start(claim, Entry(), started("remediate.0.1"), again), store.start(other, Entry(), started(), beside)
    )
    known = await store.known(questions)

    assert [None] * 5 == list(seen[0].times.values())
    assert (later,) == tuple(known.latest(Latest(Which(target=WEB), 5, T0 - SECOND)))
    assert [T0 + HOUR] * 5 == list(known.times.values())
    assert T0 + HOUR == (await store.known((both := Nth(Which(), 2, T0),))).nth(both)


@pytest.mark.parametrize("known", [ending for ending in Ending if ending is not Ending.NOT_BEGUN])
async def test_what_something_is_known_of_is_never_taken_back(store: Store, known: Ending) -> None:
    """A change that may have been done counts, whoever says later that a step of it was not begun."""
    claim = await enter(store, change("r1"))
    await store.learn(claim, Entry(endings=[Ended(1, known, T0)]))
    await store.learn(claim, Entry(endings=[Ended(1, Ending.NOT_BEGUN, T0 + SECOND)]))
    of_target = Latest(Which(target=WEB), 5, T0 - SECOND)

    assert [known] == [one.ending for one in (await store.known((of_target,))).latest(of_target)]


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
    assert run is not None
    assert () == run.facts


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


@pytest.mark.parametrize("kind", [kind for kind in StopKind if kind is not StopKind.PAUSE])
async def test_one_that_was_lifted_is_put_anew_only_for_what_came_after_that(store: Store, kind: StopKind) -> None:
    """Whoever has worked it out before, and puts it late, must not undo what a person has said meanwhile."""
    stop = Stop(kind, EVERYTHING, "it failed", "remediator", T0)
    first = await store.put_stop(stop)
    await store.lift_stop(kind, EVERYTHING, T0 + SECOND)
    stale = [await store.put_stop(replace(stop, at=at)) for at in (T0, T0 + SECOND)]
    lifted = await store.list_stops(T0 + SECOND)
    later = replace(stop, at=T0 + 2 * SECOND)

    assert (True, [False, False], ()) == (first, stale, lifted)
    assert await store.put_stop(later)
    assert (later,) == await store.list_stops(T0 + 2 * SECOND)


async def test_a_pause_stands_whenever_it_was_put(store: Store) -> None:
    """A person's clock may be behind the one by which it was lifted."""
    pause = Stop(StopKind.PAUSE, EVERYTHING, "", "anna", T0)
    await store.put_stop(pause)
    await store.lift_stop(StopKind.PAUSE, EVERYTHING, T0 + HOUR)

    assert await store.put_stop(pause)
    assert (pause,) == await store.list_stops(T0)


@pytest.mark.parametrize("after_all", [True, False])
@pytest.mark.parametrize("scope", [f"target:{WEB}", f"rule:{RULE}", f"action:{RESTART}"])
async def test_what_a_clock_that_was_ahead_has_dated_came_before_a_persons_word(
    store: Store, scope: str, *, after_all: bool
) -> None:
    """Else the same endings would be counted again, until the clock is there; a trial's end is no such word."""
    ahead, kind = T0 + HOUR, StopKind.QUARANTINE
    for number, at in enumerate((T0 - SECOND, ahead, T0 + SECOND)):
        claim = await enter(store, change(f"r{number}", T0 - (5 - number) * SECOND))
        await store.learn(claim, Entry(endings=[Ended(1, Ending.FAILED, at)]))
    other = await enter(store, change("r9", T0 - SECOND, DB, OTHER_RULE, LIMIT))
    await store.learn(other, Entry(endings=[Ended(1, Ending.FAILED, ahead + HOUR)]))
    await enter(store, change("r10", T0 - SECOND))
    await store.put_stop(Stop(kind, scope, "", "remediator", T0 - SECOND))
    lifted = await store.lift_stop(kind, scope, T0, after_all=after_all)
    known = await store.known((Standing((scope,)),))
    stale = [await store.put_stop(Stop(kind, scope, "", "remediator", at)) for at in (T0, ahead)]

    assert lifted
    assert [(ahead if after_all else T0 - SECOND, T0)] == [(stop.at, stop.until) for stop in known.stops]
    assert [False, not after_all] == stale


async def test_what_came_of_a_change_is_noted_with_whatever_tells_of_it(store: Store) -> None:
    """A step's end, a pause between steps and the end of a run are different writes; of several the last one counts."""
    asked = Latest(Which(), 10, T0 - SECOND)
    claims = [await enter(store, change(f"r{number}", T0 - number * SECOND / 10)) for number in range(4)]
    told = [Ended(1, Ending.DONE, T0), Ended(1, Ending.INCONCLUSIVE, T0 + SECOND, RESTART), Ended(2, Ending.HEALED, T0)]
    over = RunEnded(T0, Outcome.HEALED, "fine")
    await asyncio.gather(
        store.learn(claims[0], Entry(endings=told)),
        store.park(claims[1], Entry(endings=[Ended(1, Ending.FAILED, T0)]), None),
        store.end(claims[2], Entry(endings=[Ended(1, Ending.HEALED, T0)]), over, keep_locks_until=None),
        store.start(claims[3], Entry(endings=[Ended(1, Ending.UNKNOWN, T0)]), started("remediate.0.1"), Reservation()),
    )

    endings = [one.ending for one in (await store.known((asked,))).latest(asked)]
    assert [Ending.INCONCLUSIVE, Ending.FAILED, Ending.HEALED, Ending.UNKNOWN] == endings


async def test_an_owner_that_has_lost_its_run_notes_no_ending(store: Store) -> None:
    """Its successor knows better what came of the step."""
    claim = await enter(store, change("r1"))
    lost = Claim(claim.run, OwnerId("other"), 1, 0)
    with pytest.raises(Fenced):
        await store.learn(lost, Entry(endings=[Ended(1, Ending.FAILED, T0)]))
    asked = Latest(Which(), 1, T0 - SECOND)

    assert [None] == [one.ending for one in (await store.known((asked,))).latest(asked)]


async def test_a_start_whose_target_is_taken_neither_enters_nor_counts(store: Store) -> None:
    """It changes nothing, so it must not use up what the others may do."""
    holder, busy, after = [await open_run(store, name) for name in ("holder", "busy", "after")]
    await store.start(holder, Entry(), started(), Reservation((WEB,)))
    asked = Nth(Which(), 1, T0 - SECOND)

    def judge(known: Known) -> Refusal | None:
        return None if known.nth(asked) is None else Refusal(Reason.BUDGET_USED)

    told = await asyncio.gather(
        store.start(busy, Entry(), started(), Reservation((WEB,), (change("busy"),), (asked,), judge)),
        store.start(after, Entry(), started(), Reservation((DB,), (change("after", target=DB),), (asked,), judge)),
    )
    entered = Latest(Which(), 5, T0 - SECOND)

    assert told[0] is not None
    assert (Reason.TARGET_BUSY, None) == (told[0].reason, told[1])
    assert ["after"] == [one.run for one in (await store.known((entered,))).latest(entered)]


async def test_a_step_of_a_plan_that_was_entered_is_not_counted_again(store: Store) -> None:
    """In the same commit as others as well."""
    first, other = await enter(store, change("r1")), await open_run(store, "r2")
    asked = Nth(Which(), 2, T0 - SECOND)
    seen: list[datetime | None] = []

    def judge(known: Known) -> Refusal | None:
        seen.append(known.nth(asked))
        return None

    await asyncio.gather(
        store.start(first, Entry(), started("remediate.0.1"), Reservation((), (change("r1"),), (asked,), judge)),
        store.start(other, Entry(), started(), Reservation((), (change("r2"),), (asked,), judge)),
    )

    assert [None, None] == seen
    assert T0 == (await store.known((asked,))).nth(asked)


async def test_a_refusal_that_asks_nothing_refuses_as_well(store: Store) -> None:
    """A judge may know enough by itself."""
    claim = await open_run(store, "r1")
    never = Reservation((WEB,), judge=lambda _known: Refusal(Reason.PAUSED))

    assert Refusal(Reason.PAUSED) == await store.start(claim, Entry(), started(), never)
    assert await store.start(await open_run(store, "r2"), Entry(), started(), Reservation((WEB,))) is None


@pytest.mark.parametrize("target", ["docker:local/" + "x" * 600, "nul\0", "żółw"], ids=["long", "nul", "letters"])
async def test_names_that_a_database_cannot_hold_as_they_are_are_found_and_told_as_they_are(
    store: Store, target: str
) -> None:
    """A stop or a budget that is missed because of a name would let a change through."""
    claim = await enter(store, change("r1", target=target))
    scope = f"target:{target}"
    await store.put_stop(Stop(StopKind.QUARANTINE, scope, f"{target} again", "anna\0", T0))
    asked = Latest(Which(target=target), 5, T0 - SECOND)
    known = await store.known((asked, Standing((scope,))))
    seen: list[Known] = []
    again = Reservation((), (change("r2", target=target),), (asked, Standing((scope,))), seen.append)
    await store.start(await open_run(store, "r2"), Entry(), started(), again)

    assert [(claim.run, target)] == [(one.run, one.target) for one in known.latest(asked)]
    assert [scope] == [stop.scope for stop in known.stops]
    assert [known] == seen
    assert await store.lift_stop(StopKind.QUARANTINE, scope, T0 + SECOND)


async def deliver(store: Store, *alerts: Alert, run: str | None = None) -> None:
    """Alerts that open; those of a run in one group."""

    def judge(alert: Alert, _known: Occurrence | None) -> Verdict:
        if alert.status is AlertStatus.RESOLVED:
            return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)
        new = NewRun(RunId(run), RULE, DIGEST, "down", "#c", Message(Tone.FIRING, "m"), run) if run else None
        opening = Opening(OccurrenceId(f"o-{alert.fingerprint}"), (new,) if new else ())
        return Verdict(Ruling.OPENED, open=opening)

    await store.accept(Delivery(alerts, T0), judge, ME)


def alert(fingerprint: str, name: str = "Down", status: AlertStatus = AlertStatus.FIRING, **labels: str) -> Alert:
    return Alert(Fingerprint(fingerprint), status, {"alertname": name, **labels}, {}, T0)


async def test_the_open_alerts_of_a_run_are_told_whole_and_the_oldest_first(store: Store) -> None:
    """Whether an alert still fires is asked by its labels: one that was cut would be found nowhere."""
    long = "x" * 5000
    await deliver(store, alert("c", instance=long), alert("b"), run="r1")
    await deliver(store, alert("other"), run="r2")
    await deliver(store, alert("a"), run="r1")
    await deliver(store, alert("b", status=AlertStatus.RESOLVED))

    found = await store.open_alerts_of(RunId("r1"), limit=10)
    assert ["c", "a"] == [one.fingerprint for one in found]
    assert long == found[0].labels["instance"]
    assert ["c"] == [one.fingerprint for one in await store.open_alerts_of(RunId("r1"), limit=1)]
    assert () == await store.open_alerts_of(RunId("nobody"), limit=1)


async def test_open_alerts_are_found_by_their_name(store: Store) -> None:
    """A database that is down is a reason to leave alone what needs it, whether it has a run or not."""
    long = "N" * 3000
    await deliver(store, alert("a", "DbDown", instance="x" * 5000), alert("b", "DbDown"), run="r1")
    await deliver(store, alert("c", "WebDown"), alert("d", long), alert("e", 'q"\\\0'), alert("f", "DbDown"))
    await deliver(store, alert("b", "DbDown", status=AlertStatus.RESOLVED))

    async def named(*names: str, limit: int = 10) -> list[str]:
        return sorted(one.fingerprint for one in await store.open_alerts_named(names, limit=limit))

    whole = [one.labels for one in await store.open_alerts_named(["DbDown"], limit=10) if one.fingerprint == "a"]
    assert ["a", "f"] == await named("DbDown")
    assert ["a", "c", "d", "f"] == await named("WebDown", "DbDown", long, "DbDown")
    assert ["e"] == await named('q"\\\0')
    assert [] == await named("dbdown", "")
    assert 1 == len(await named("DbDown", limit=1))
    assert [{"alertname": "DbDown", "instance": "x" * 5000}] == whole
