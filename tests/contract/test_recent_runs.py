"""How many runs have begun lately, and how long a storm stands: the same tests over each engine."""

from datetime import UTC, datetime, timedelta

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.facts import Started
from remediator.model.history import MOST_RUNS, Known, Recent, Standing
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import NewRun, Opening, Ruling, Verdict
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.storage.runs import Claim, Entry, Reservation
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

ME = OwnerId("me")
DIGEST = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DOWN, SLOW = RuleId("web/down"), RuleId("web/slow")


async def begin(store: Store, name: str, at: datetime, rule: RuleId = DOWN) -> Claim:
    """A run that begins at a time."""
    alert = Alert(Fingerprint(name), AlertStatus.FIRING, {"alertname": name}, {}, at)
    new = NewRun(RunId(name), rule, DIGEST, "down", "#c", Message(Tone.FIRING, "first"))
    opening = Opening(OccurrenceId(f"o-{name}"), (new,))
    await store.accept(Delivery((alert,), at), lambda _alert, _known: Verdict(Ruling.OPENED, open=opening), ME)
    return Claim(RunId(name), ME, 1, 0)


async def test_the_newest_runs_are_told_of_a_rule_and_of_all(store: Store) -> None:
    """It is what a storm is found by, whatever becomes of the runs."""
    for number in range(4):
        await begin(store, f"down-{number}", T0 + number * SECOND)
    await begin(store, "slow", T0 + 10 * SECOND, SLOW)
    asked = {
        Recent(T0 - SECOND, 10, DOWN): [3, 2, 1, 0],
        Recent(T0, 10, DOWN): [3, 2, 1],  # what began at that time is not after it
        Recent(T0 - SECOND, 2, DOWN): [3, 2],
        Recent(T0 - SECOND, MOST_RUNS + 1, SLOW): [10],
        Recent(T0 - SECOND, 10, RuleId("web/none")): [],
        Recent(T0 - SECOND, 10): [10, 3, 2, 1, 0],
        Recent(T0 - SECOND, 2): [10, 3],
        Recent(T0 - SECOND, 10, each=2): [10, 3, 2],
        Recent(T0 + 10 * SECOND, 10): [],
    }
    known = await store.known((*asked, *asked, Standing((EVERYTHING,))))

    assert asked == {one: [(at - T0).seconds for at in times] for one, times in known.begun.items()}


async def test_no_rule_hides_the_runs_of_others_however_many_it_begins(store: Store) -> None:
    """Alerts of many rules have a cause in common, also while one chatty rule begins most of the runs."""
    number = 0
    for rule in ("a", "b", "c"):
        await begin(store, rule, T0 + number * SECOND, RuleId(f"web/{rule}"))
        for _ in range(40):
            number += 1
            await begin(store, f"noise-{number}", T0 + number * SECOND, DOWN)
        number += 1
    asked = Recent(T0 - SECOND, 4, each=1)
    known = await store.known((asked, Recent(T0 - SECOND, 4, each=2), Recent(T0 - SECOND, 4)))

    found = [[(at - T0).seconds for at in times] for times in known.begun.values()]
    assert [[122, 82, 41, 0], [122, 121, 82, 41], [122, 121, 120, 119]] == found


async def test_a_start_is_judged_by_the_runs_that_there_are_then(store: Store) -> None:
    """Between the review and the start more may have come."""
    claim = await begin(store, "r1", T0)
    asked = Recent(T0 - SECOND, 5, DOWN)
    await begin(store, "r2", T0 + SECOND)
    seen: list[Known] = []
    started = Started(T0, 1, StepId("remediate.0.0"), 1, 1, T0 + MINUTE)
    assert await store.start(claim, Entry(), started, Reservation(("x",), (), (asked,), seen.append)) is None

    assert [[T0 + SECOND, T0]] == [list(known.recent(asked)) for known in seen]


def storm(at: datetime, until: datetime | None, reason: str = "5 alerts") -> Stop:
    return Stop(StopKind.STORM, EVERYTHING, reason, "remediator", at, until)


async def test_a_storm_that_stands_is_prolonged_and_keeps_its_beginning(store: Store, clock: VirtualClock) -> None:
    """Several processes find it at once, and people are to be told of one."""
    first = await store.prolong_stop(storm(T0, T0 + MINUTE))
    later = await store.prolong_stop(storm(T0 + SECOND, T0 + 2 * MINUTE, "6 alerts"))
    shorter = await store.prolong_stop(storm(T0 + SECOND, T0 + SECOND, "7 alerts"))

    assert storm(T0, T0 + MINUTE) == first
    assert storm(T0, T0 + 2 * MINUTE) == later == shorter
    assert (later,) == await store.list_stops(clock.now())


async def test_a_storm_that_was_lifted_meanwhile_stays_lifted(store: Store, clock: VirtualClock) -> None:
    """Whoever has judged before that did not know; a later one is another storm."""
    await store.prolong_stop(storm(T0, T0 + 10 * MINUTE))
    await clock.advance(MINUTE)
    await store.lift_stop(StopKind.STORM, EVERYTHING, clock.now())
    stale = await store.prolong_stop(storm(clock.now() - SECOND, T0 + 20 * MINUTE))
    lifted = await store.list_stops(clock.now())
    anew = await store.prolong_stop(storm(clock.now(), T0 + 20 * MINUTE))

    assert (None, ()) == (stale, lifted)
    assert storm(T0 + MINUTE, T0 + 20 * MINUTE) == anew


async def test_one_that_somebody_has_to_lift_is_left_as_it_is(store: Store, clock: VirtualClock) -> None:
    """It stands longer than any storm."""
    endless = storm(T0, None)
    await store.put_stop(endless)

    assert await store.prolong_stop(storm(T0 + SECOND, T0 + MINUTE)) is None
    assert (endless,) == await store.list_stops(clock.now())


async def test_a_storm_that_a_clock_has_dated_ahead_is_lifted_with_all_its_runs(
    store: Store, clock: VirtualClock
) -> None:
    """Else each of them would make the same storm again."""
    await begin(store, "now", T0)
    for number in range(3):
        await begin(store, f"ahead-{number}", T0 + number * MINUTE)
    await store.prolong_stop(storm(T0 + MINUTE, T0 + 10 * MINUTE))
    lifted = await store.lift_stop(StopKind.STORM, EVERYTHING, clock.now(), after_all=True)
    (stop,) = (await store.known((Standing((EVERYTHING,)),))).stops

    assert (True, T0 + 2 * MINUTE, T0) == (lifted, stop.at, stop.until)
