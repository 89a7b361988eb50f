"""Who goes next among those that are due: the urgent first, nobody never, and no rule takes all the places."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.model.ids import RuleId, RunId
from remediator.model.priority import Priority
from remediator.pipeline.waiting import Due, WaitingRoom

HIGH, NORMAL, LOW = Priority


def due(name: str, priority: Priority = NORMAL, rule: str | None = None, since: float = 0.0) -> Due:
    return Due(RunId(name), priority, RuleId(rule) if rule else None, since)


def drain(room: WaitingRoom) -> list[str]:
    """Everybody who gets a place while nobody leaves."""
    found = []
    while (one := room.pop()) is not None:
        found.append(str(one.run))
    return found


def test_the_more_urgent_goes_first_and_the_older_of_equals() -> None:
    """A critical alert does not queue behind news."""
    room = WaitingRoom()
    for n, one in enumerate([due("low", LOW), due("old"), due("new"), due("high", HIGH)]):
        one.since = n
        room.put(one)

    assert ["high", "old", "new", "low"] == drain(room)


def test_one_place_of_four_goes_to_who_has_waited_longest() -> None:
    """A storm of critical alerts must not keep all others waiting for ever."""
    room = WaitingRoom()
    room.put(due("low", LOW, since=0))
    room.put(due("normal", NORMAL, since=1))
    for n in range(8):
        room.put(due(f"high-{n}", HIGH, since=2 + n))

    expected = [f"high-{n}" for n in (0, 1, 2)] + [
        "low",
        *(f"high-{n}" for n in (3, 4, 5)),
        "normal",
        "high-6",
        "high-7",
    ]
    assert expected == drain(room)


def test_a_rule_that_is_full_keeps_nobody_behind_it_waiting() -> None:
    """A storm of one rule's alerts leaves places to the others."""
    room = WaitingRoom(2)
    for n in range(50):
        room.put(due(f"storm-{n}", HIGH, "storm"))
    room.put(due("other", LOW, "calm"))

    assert ["storm-0", "storm-1", "other"] == drain(room)
    assert (48, 0) == (len(room), room.ready)


def test_when_one_of_a_full_rule_leaves_the_first_of_those_aside_goes_before_all_others() -> None:
    """They stepped aside for others once; they need not queue again."""
    room = WaitingRoom(1)
    for n in range(3):
        room.put(due(f"storm-{n}", NORMAL, "storm"))
    first = room.pop()
    assert first is not None
    assert room.pop() is None
    room.put(due("later", NORMAL, "calm"))
    room.leave(first)

    assert (1, 2) == (len(room) - room.ready, room.ready)
    assert ["storm-1", "later"] == drain(room)


def test_of_those_aside_the_more_urgent_goes_first_and_the_others_do_not_starve() -> None:
    """Alerts of one rule may differ in severity."""
    room = WaitingRoom(1)
    room.put(due("first", HIGH, "storm"))
    room.put(due("low", LOW, "storm", since=1))
    for n in range(5):
        room.put(due(f"high-{n}", HIGH, "storm", since=2))
    order = []
    one = room.pop()
    assert room.pop() is None
    while one is not None:
        order.append(str(one.run))
        room.leave(one)
        one = room.pop()

    assert ["first", "high-0", "high-1", "high-2", "low", "high-3", "high-4"] == order


def test_a_run_whose_rule_shows_only_later_does_not_get_past_the_limit() -> None:
    """After a restart, or for a word from outside, the rule is known once the run is read."""
    room = WaitingRoom(1)
    known, unknown = due("known", rule="storm"), due("unknown")
    room.put(known)
    room.put(unknown)

    assert ["known", "unknown"] == drain(room)
    assert not room.place(unknown, RuleId("storm"))
    room.put(unknown, first=True)
    assert [] == drain(room)
    room.leave(known)
    assert ["unknown"] == drain(room)


def test_a_run_that_waits_can_be_hurried_also_aside() -> None:
    """A person's word about it has come meanwhile."""
    room = WaitingRoom(1)
    for name in ("first", "second", "third"):
        room.put(due(name, NORMAL, "storm"))
    first = room.pop()
    assert first is not None
    assert [] == drain(room)

    assert room.hurry(RunId("third"), HIGH)
    assert not room.hurry(RunId("nobody"), HIGH)
    room.leave(first)
    assert ["third"] == drain(room)


def test_the_oldest_is_the_one_that_came_first() -> None:
    """The metric tells how far the work is behind, whoever steps aside."""
    room = WaitingRoom(1)
    assert room.oldest is None
    for n in range(3):
        room.put(due(f"{n}", NORMAL, "storm", since=10.0 + n))
    drain(room)

    assert 11.0 == room.oldest


RULES = st.sampled_from(["a", "b", "c", None])
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), RULES, st.sampled_from(list(Priority)), st.booleans()),
        st.tuples(st.just("pop"), st.none(), st.just(NORMAL), st.just(False)),
        st.tuples(st.just("leave"), st.none(), st.just(NORMAL), st.booleans()),
        st.tuples(st.just("hurry"), st.none(), st.just(HIGH), st.booleans()),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(MOVES, st.integers(1, 3))
def test_whatever_happens_no_rule_has_more_than_its_places_and_nobody_is_lost(
    moves: list[tuple[str, str | None, Priority, bool]], most: int
) -> None:
    """Checked against plain lists: who waits, who has a place, and that a place is never refused without need."""
    room = WaitingRoom(most)
    waiting: dict[str, Due] = {}
    placed: list[Due] = []
    for number, (move, rule, priority, flag) in enumerate(moves):
        if move == "put":
            one = due(f"run-{number}", priority, rule, since=number)
            waiting[one.run] = one
            room.put(one, first=flag)
        elif move == "pop":
            taken = room.pop()
            full = {name for name, count in Counter(p.rule for p in placed).items() if name and count >= most}
            if taken is None:
                assert all(one.rule in full for one in waiting.values())
            else:
                assert taken.rule not in full
                placed.append(waiting.pop(taken.run))
        elif move == "leave" and placed:
            room.leave(placed.pop(0 if flag else -1))
        elif move == "hurry" and waiting:
            assert room.hurry(RunId(list(waiting)[0 if flag else -1]), priority)
        assert len(waiting) == len(room)
    for one in placed:
        room.leave(one)
    rest = set()
    while (last := room.pop()) is not None:
        rest.add(str(last.run))
        room.leave(last)
    assert set(waiting) == rest
    for number in range(most):  # counts that stay would close a rule for ever
        room.put(due(f"more-{number}", rule="a"))
    assert most == len(drain(room))
