"""When a circuit breaker opens, for how long, and what closes it: tables, and whatever order things happen in."""

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remediator.model.system import Stand
from remediator.pipeline.breaker import Breaker, Leave, Patience

PATIENCE = Patience(failures=3, pause=5.0, longest_pause=15.0)


def opened(at: float = 0.0) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker(PATIENCE)
    for _ in range(PATIENCE.failures):
        fail(breaker, at)
    return breaker


def fail(breaker: Breaker, now: float) -> None:
    leave = breaker.admit(now)
    assert leave is not None
    breaker.failed(leave, now)


@pytest.mark.parametrize(
    ("story", "stand"),
    [
        ("", Stand.CLOSED),
        ("ff", Stand.CLOSED),
        ("fff", Stand.OPEN),
        ("ffaff", Stand.CLOSED),
        ("ffafff", Stand.OPEN),
        ("ff-f", Stand.OPEN),
        ("---", Stand.CLOSED),
    ],
    ids=lambda value: str(value) or "nothing",
)
def test_so_many_failures_in_a_row_open_it(story: str, stand: Stand) -> None:
    """f: no answer, a: an answer, -: the call was cancelled, which is neither."""
    breaker = Breaker(PATIENCE)
    for event in story:
        leave = breaker.admit(0)
        assert leave is not None
        if event == "f":
            breaker.failed(leave, 0)
        elif event == "a":
            breaker.answered()
        else:
            breaker.abandoned(leave)

    assert stand is breaker.stand(0)


def test_while_it_is_open_nothing_goes_through() -> None:
    """What does not answer costs each caller its time limit."""
    breaker = opened(at=100)

    assert breaker.admit(100) is None
    assert breaker.admit(104.9) is None
    assert (5.0, 1.0) == (breaker.opens_in(100), breaker.opens_in(104))


def test_after_the_pause_one_call_at_a_time_finds_out() -> None:
    """A hundred that wait must not fall upon what has just come back."""
    breaker = opened()
    probe = breaker.admit(5)

    assert probe is not None
    assert Stand.HALF_OPEN is breaker.stand(5)
    assert breaker.admit(5) is None
    breaker.abandoned(probe)
    assert breaker.admit(5) is not None


def test_an_answer_closes_it() -> None:
    """And the count begins anew."""
    breaker = opened()
    assert breaker.admit(5) is not None
    breaker.answered()
    fail(breaker, 5)
    fail(breaker, 5)

    assert (Stand.CLOSED, 2) == (breaker.stand(5), breaker.failures)


def test_the_pause_grows_to_its_limit_and_shrinks_with_an_answer() -> None:
    """What is away for an hour is not asked every five seconds."""
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(4):
        pauses.append(breaker.opens_in(now))
        now += breaker.opens_in(now)
        fail(breaker, now)
    breaker.answered()
    for _ in range(PATIENCE.failures):
        fail(breaker, now)

    assert [5.0, 10.0, 15.0, 15.0] == pauses
    assert 5.0 == breaker.opens_in(now)


def test_calls_from_before_it_opened_make_the_pause_no_longer() -> None:
    """Twenty calls that hang end one after another; that is one outage."""
    breaker = Breaker(PATIENCE)
    leaves = [breaker.admit(0) for _ in range(20)]
    for number, leave in enumerate(leaves):
        assert leave is not None
        breaker.failed(leave, number)

    assert Stand.HALF_OPEN is breaker.stand(PATIENCE.failures - 1 + 5)


def test_calls_from_before_a_reset_open_it_no_more() -> None:
    """Who closes it by hand knows that it answers."""
    breaker = Breaker(PATIENCE)
    leaves = [breaker.admit(0) for _ in range(6)]
    for leave in leaves[:3]:
        assert leave is not None
        breaker.failed(leave, 0)
    breaker.reset()
    for leave in leaves[3:]:
        assert leave is not None
        breaker.failed(leave, 0)

    assert (Stand.CLOSED, 0) == (breaker.stand(0), breaker.failures)


def test_what_nobody_asks_for_is_not_called_away_for_ever() -> None:
    """An alert about it would never end."""
    breaker = opened()
    early = breaker.lapse(5 + 29.9)
    still = breaker.stand(5 + 29.9)
    late = breaker.lapse(5 + 30)

    assert (False, Stand.HALF_OPEN) == (early, still)
    assert (True, Stand.CLOSED) == (late, breaker.stand(5 + 30))


class Life(RuleBasedStateMachine):
    """Calls begin and end in any order while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(PATIENCE)
        self.now = 0.0
        self.under_way: list[Leave] = []
        self.probe: Leave | None = None

    @rule(seconds=st.floats(0, 50))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        stand, probe = self.breaker.stand(self.now), self.probe
        leave = self.breaker.admit(self.now)
        if leave is None:
            assert stand is Stand.OPEN or (stand is Stand.HALF_OPEN and probe is not None)
            return
        assert stand is Stand.CLOSED or (stand is Stand.HALF_OPEN and probe is None)
        self.under_way.append(leave)
        if stand is Stand.HALF_OPEN:
            self.probe = leave

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), answers=st.sampled_from(["yes", "no", "cancelled"]))
    def end(self, data: st.DataObject, answers: str) -> None:
        leave = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = self.breaker.stand(self.now), self.breaker.failures
        if answers == "yes":
            self.breaker.answered()
            assert (Stand.CLOSED, 0) == (self.breaker.stand(self.now), self.breaker.failures)
        elif answers == "no":
            self.breaker.failed(leave, self.now)
            if before[0] is not Stand.CLOSED and leave is not self.probe:
                assert before == (self.breaker.stand(self.now), self.breaker.failures)
        else:
            self.breaker.abandoned(leave)
            assert before == (self.breaker.stand(self.now), self.breaker.failures)
        if leave is self.probe or self.breaker.is_closed:
            self.probe = None

    @rule()
    def watch_and_see_an_answer(self) -> None:
        self.breaker.answered()
        self.probe = None

    @rule()
    def reset(self) -> None:
        self.breaker.reset()
        self.probe = None

    @rule()
    def lapse(self) -> None:
        if self.breaker.lapse(self.now):
            assert self.probe is None
            assert self.breaker.is_closed

    @invariant()
    def it_opens_at_its_number_and_no_later(self) -> None:
        assert (self.breaker.failures < PATIENCE.failures) == self.breaker.is_closed

    @invariant()
    def it_is_never_shut_for_longer_than_its_limit(self) -> None:
        assert 0 <= self.breaker.opens_in(self.now) <= PATIENCE.longest_pause
        if self.probe is None:
            assert self.breaker.admits(self.now + self.breaker.opens_in(self.now))


TestLife = Life.TestCase
TestLife.settings = settings(deadline=timedelta(seconds=10), max_examples=50, stateful_step_count=40, derandomize=True)
