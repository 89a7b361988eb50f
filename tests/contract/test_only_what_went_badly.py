"""What went well needs no look at each: the newest changes are told only where one went badly, or a stop is told."""

import pytest

from remediator.model.change import Ended, Ending
from remediator.model.history import Latest, Nth, Standing, Which
from remediator.model.stop import Stop, StopKind
from remediator.storage.runs import Entry
from remediator.storage.store import Store
from tests.contract.test_journal import DB, LIMIT, OTHER_RULE, RULE, SECOND, T0, change, enter

OF_RULE = Latest(Which(rule=RULE), 3, T0 - SECOND, if_bad=True)
OF_ACTION = Latest(Which(action=LIMIT), 3, T0 - SECOND, if_bad=True)


async def ended(store: Store, run: str, at: int, ending: Ending | None) -> None:
    """A change of the rule that came to this end."""
    claim = await enter(store, change(run, T0 + at * SECOND, target=f"{DB}-{run}"))
    if ending is not None:
        await store.learn(claim, Entry(endings=[Ended(1, ending, T0 + at * SECOND)]))


@pytest.mark.parametrize("ending", Ending)
async def test_the_newest_are_told_where_one_of_them_went_badly(store: Store, ending: Ending) -> None:
    """Breakers and demotion count what went badly; where nothing did, they have nothing to count."""
    await ended(store, "r1", 1, ending)
    await ended(store, "r2", 2, Ending.HEALED)
    await ended(store, "r3", 3, None)
    known = await store.known((OF_RULE,))

    assert (["r3", "r2", "r1"] if ending.is_bad else []) == [c.run for c in known.latest(OF_RULE)]


async def test_what_lies_before_the_newest_does_not_count(store: Store) -> None:
    """As many are looked at as are asked for."""
    await ended(store, "r1", 1, Ending.FAILED)
    for number in (2, 3, 4):
        await ended(store, f"r{number}", number, Ending.HEALED)
    known = await store.known((OF_RULE, sooner := Latest(Which(rule=RULE), 4, T0 - SECOND, if_bad=True)))

    assert ["r4", "r3", "r2"] == [c.run for c in known.latest(OF_RULE)]  # both were answered with one look
    assert ["r4", "r3", "r2", "r1"] == [c.run for c in known.latest(sooner)]
    assert () == (await store.known((OF_RULE,))).latest(OF_RULE)


@pytest.mark.parametrize("until", [None, T0])
async def test_they_are_told_beside_a_stop(store: Store, until: object) -> None:
    """A breaker that somebody opened waits for its trial, however well all went; one that is over says so, too."""
    await ended(store, "r1", 1, Ending.HEALED)
    scope = f"rule:{RULE}"
    await store.put_stop(Stop(StopKind.BREAKER, scope, "", "ann", T0))
    if until is not None:
        await store.lift_stop(StopKind.BREAKER, scope, T0 + SECOND)
    known = await store.known((OF_RULE, Standing((scope,))))

    assert ["r1"] == [c.run for c in known.latest(OF_RULE)]
    assert () == (await store.known((OF_RULE, Standing(("rule:other",))))).latest(OF_RULE)


async def test_a_budget_of_the_same_kind_finds_its_change_in_any_case(store: Store) -> None:
    """That nothing went badly says nothing about how much was done."""
    await ended(store, "r1", 1, Ending.HEALED)
    await ended(store, "r2", 2, Ending.HEALED)
    known = await store.known((OF_RULE, budget := Nth(Which(rule=RULE), 2, T0 - SECOND)))

    assert (T0 + SECOND, ()) == (known.nth(budget), known.latest(OF_RULE))


async def test_each_kind_is_judged_by_its_own_changes(store: Store) -> None:
    """What an action broke elsewhere opens its breaker, and no other rule's."""
    other = change("r1", action=LIMIT, rule=OTHER_RULE)
    claim = await enter(store, other)
    await store.learn(claim, Entry(endings=[Ended(1, Ending.FAILED, T0 + SECOND)]))
    await ended(store, "r2", 2, Ending.HEALED)
    known = await store.known((OF_RULE, OF_ACTION))

    assert ((), ["r1"]) == (known.latest(OF_RULE), [c.run for c in known.latest(OF_ACTION)])
