"""What makes a storm is so many alerts, and not one that comes as often: the same tests over each engine."""

from datetime import UTC, datetime, timedelta

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.history import Recent
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Closing, NewRun, Opening, Ruling, Verdict
from remediator.storage.store import Store

DIGEST = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DOWN, SLOW = RuleId("web/down"), RuleId("web/slow")


async def come(store: Store, alert: str, run: str, at: datetime, *rules: RuleId) -> None:
    """An alert comes, or comes again, and runs of rules begin with it."""
    heard = Alert(Fingerprint(alert), AlertStatus.FIRING, {"alertname": alert}, {}, at)
    message = Message(Tone.FIRING, "first")
    runs = tuple(
        NewRun(RunId(f"{run}{place}"), rule, DIGEST, "down", "#c", message) for place, rule in enumerate(rules)
    )
    opening = Opening(OccurrenceId(f"o-{run}"), runs)

    def judge(_alert: Alert, known: object) -> Verdict:
        if known is None:
            return Verdict(Ruling.OPENED, open=opening)
        return Verdict(Ruling.REOPENED, close=Closing.RESOLVE_MISSED, open=opening)

    await store.accept(Delivery((heard,), at), judge, OwnerId("me"))


def seconds(times: object) -> list[int]:
    assert isinstance(times, (list, tuple))
    return [(at - T0).seconds for at in times]


async def test_an_alert_that_comes_and_goes_is_one(store: Store) -> None:
    """Five times the same alert is flapping: four others of its rule must not wait for that."""
    for number in range(5):
        await come(store, "flaps", f"f{number}-", T0 + number * SECOND, DOWN)
    asked = Recent(T0 - SECOND, 5, DOWN), Recent(T0 - SECOND, 5), Recent(T0 - SECOND, 5, each=5)
    more = Recent(T0 - SECOND, 6, DOWN)
    known = await store.known((*asked, more))

    assert [[4], [4], [4]] == [seconds(known.recent(one)) for one in asked]
    assert 4 == seconds(known.recent(more))[0]  # fewer than are asked for: it is not looked whose they are
    assert 6 > len(known.recent(more))


async def test_it_hides_no_other_however_often_it_comes(store: Store) -> None:
    """Among twenty returns of one alert there are four others: together they are five."""
    for number in range(20):
        await come(store, "flaps", f"f{number}-", T0 + number * SECOND, DOWN)
        if number % 5 == 0:
            await come(store, f"other-{number}", f"n{number}-", T0 + number * SECOND, DOWN)
    asked = Recent(T0 - SECOND, 5, DOWN), Recent(T0 - SECOND, 5, each=5), Recent(T0 - SECOND, 3, DOWN)
    known = await store.known(asked)

    assert [[19, 15, 10, 5, 0], [19, 15, 10, 5, 0], [19, 15, 10]] == [seconds(known.recent(one)) for one in asked]


async def test_one_alert_counts_for_each_of_its_rules(store: Store) -> None:
    """Its last time it was of one rule alone: that of the other is still its newest there."""
    await come(store, "both", "a-", T0, DOWN, SLOW)
    await come(store, "both", "b-", T0 + SECOND, SLOW)
    asked = Recent(T0 - SECOND, 1, DOWN), Recent(T0 - SECOND, 2, SLOW), Recent(T0 - SECOND, 3)
    known = await store.known(asked)

    assert [[0], [1], [1, 0]] == [seconds(known.recent(one)) for one in asked]


async def test_a_clock_that_was_set_back_hides_no_alert(store: Store) -> None:
    """What came later is dated earlier, and may lie before what is asked for: one of the two counts at least."""
    await come(store, "flaps", "a-", T0 + 10 * SECOND, DOWN)
    await come(store, "flaps", "b-", T0, DOWN)
    known = await store.known([asked := Recent(T0 + 5 * SECOND, 1, DOWN)])

    assert [10] == seconds(known.recent(asked))
