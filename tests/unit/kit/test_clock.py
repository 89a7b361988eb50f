"""The wall clock that is told: it starts as the machine's, and does not jump with it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.kit.clock import SteadyTime, SystemClock

HOUR = 3600.0


class Machine:
    def __init__(self) -> None:
        self.wall, self.monotonic = 1_000_000.0, 50.0

    def time(self) -> SteadyTime:
        return SteadyTime(lambda: self.wall, lambda: self.monotonic)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def test_it_goes_as_the_machine_goes() -> None:
    """Nobody should notice it while nothing is wrong."""
    machine = Machine()
    time = machine.time()
    machine.run(1234.5)

    assert machine.wall == pytest.approx(time.tell(), abs=1e-6)
    assert 0 == pytest.approx(time.ahead(), abs=1e-6)


@pytest.mark.parametrize("by", [HOUR, -HOUR, 1.0, -1.0])
def test_a_jump_moves_no_deadline_by_more_than_a_hundredth(by: float) -> None:
    """A question with 15 minutes to answer neither expires at once nor stays open for an hour more."""
    machine = Machine()
    time = machine.time()
    asked = time.tell()
    machine.wall += by
    machine.run(900)

    assert 900 == pytest.approx(time.tell() - asked, abs=9.1)


@pytest.mark.parametrize("by", [60.0, -60.0])
def test_a_difference_that_lasts_is_made_up_in_time(by: float) -> None:
    """A machine that started with a wrong clock does not tell wrong times for ever."""
    machine = Machine()
    time = machine.time()
    machine.wall += by
    assert by == pytest.approx(time.ahead(), abs=0.1)
    for _ in range(130):
        machine.run(60)
        time.tell()

    assert 0 == pytest.approx(time.ahead(), abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e6, 1e6)), max_size=30))
def test_it_never_goes_back_nor_runs_away(moves: list[tuple[float, float]]) -> None:
    """Facts are told in the order in which they were noted."""
    machine = Machine()
    time = machine.time()
    told = time.tell()
    for passed, jump in moves:
        machine.run(passed)
        machine.wall += jump
        before, told = told, time.tell()

        assert passed * 0.99 - 1e-3 <= told - before <= passed * 1.01 + 1e-3


def test_the_machines_own_clock_is_told_at_first() -> None:
    """What is stored is compared with what other machines say."""
    clock = SystemClock()

    assert abs(datetime.now(UTC) - clock.now()) < timedelta(seconds=2)
    assert abs(clock.ahead) < timedelta(seconds=2)
