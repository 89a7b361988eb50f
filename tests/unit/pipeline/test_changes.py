"""Places to change something: few, the urgent first, and given back whatever happens."""

from remediator.model.priority import Priority
from remediator.pipeline.changes import Changes


async def test_no_more_change_at_once_than_there_are_places() -> None:
    """The others find out what is wrong meanwhile."""
    changes = Changes(2)
    places = [changes.ask(Priority.NORMAL) for _ in range(3)]

    assert [True, True, False] == [place.done() for place in places]
    assert 1 == changes.waiting
    changes.give_back(places[0])
    assert places[2].done()
    assert 0 == changes.waiting


async def test_the_more_urgent_gets_the_next_place_and_a_low_one_gets_one_of_four() -> None:
    """The same order as for work itself."""
    changes = Changes(1)
    names = {changes.ask(Priority.HIGH): "first", changes.ask(Priority.LOW): "low"}
    names |= {changes.ask(Priority.HIGH): f"high-{n}" for n in range(4)}
    order = []
    while names:
        (place,) = (place for place in names if place.done())
        order.append(names.pop(place))
        changes.give_back(place)

    assert ["first", "high-0", "high-1", "low", "high-2", "high-3"] == order


async def test_a_wish_that_is_taken_back_costs_no_place() -> None:
    """A run whose alert resolves while it waits."""
    changes = Changes(1)
    held, wish, other = (changes.ask(Priority.NORMAL) for _ in range(3))
    changes.give_back(wish)
    changes.give_back(held)

    assert other.done()
    assert not wish.done()
    changes.give_back(other)
    assert changes.ask(Priority.NORMAL).done()
