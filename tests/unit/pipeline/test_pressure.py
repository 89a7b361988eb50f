"""When nothing new is taken, and from when on it is again; it does not flicker, and it is told once."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from remediator.errors import Overloaded, StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.pipeline.pressure import Load, Marks, Pressure, Strain
from remediator.settings import PressureSettings
from remediator.testing.clock import VirtualClock

MIB = 1024 * 1024
MARKS = Marks.of(PressureSettings(most_waiting=100, least_free_mib=64))
NONE: frozenset[Strain] = frozenset()
BACKLOG, DISK = frozenset({Strain.BACKLOG}), frozenset({Strain.DISK})


@pytest.mark.parametrize(
    ("waiting", "free", "before", "now"),
    [
        (0, None, NONE, NONE),
        (100, 64 * MIB, NONE, NONE),
        (101, 64 * MIB, NONE, BACKLOG),
        (51, None, BACKLOG, BACKLOG),
        (50, None, BACKLOG, NONE),
        (0, 64 * MIB - 1, NONE, DISK),
        (0, 96 * MIB - 1, DISK, DISK),
        (0, 96 * MIB, DISK, NONE),
        (0, None, DISK, NONE),
        (51, 96 * MIB - 1, BACKLOG | DISK, BACKLOG | DISK),
        (100, 64 * MIB - 1, BACKLOG, BACKLOG | DISK),
        (101, 96 * MIB, DISK, BACKLOG),
    ],
)
def test_refusing_begins_at_one_mark_and_ends_at_another(
    waiting: int, free: int | None, before: frozenset[Strain], now: frozenset[Strain]
) -> None:
    """One mark for both would answer 202 and 503 in turn, and people would be told with each."""
    assert now == MARKS.judge(Load(waiting, free), before)


def test_no_mark_for_the_disk_refuses_nothing() -> None:
    """For a store on a disk that is small on purpose."""
    marks = Marks.of(PressureSettings(least_free_mib=0))

    assert NONE == marks.judge(Load(0, 0), NONE) == marks.judge(Load(0, 0), DISK)


class Backlog:
    """A backlog that a test sets, with what is asked about it."""

    def __init__(self, *, disk: Path | None = None, least_free_mib: int = 64) -> None:
        self.waiting = self.unclaimed = 0
        self.is_away = False
        self.metrics = Metrics()
        self.pressure = Pressure(
            waiting=lambda: self.waiting,
            disk=disk,
            settings=PressureSettings(most_waiting=100, least_free_mib=least_free_mib),
            clock=VirtualClock(),
            metrics=self.metrics,
            unclaimed=self.count,
        )

    async def count(self) -> int:
        if self.is_away:
            raise StoreUnavailable("the database is away")
        return self.unclaimed

    def refuses(self, strain: Strain) -> float | None:
        return self.metrics.registry.get_sample_value("remediator_under_pressure", {"reason": strain})


def test_a_backlog_is_noticed_by_the_next_delivery() -> None:
    """A storm brings thousands in a second: the next look of the background may be too late."""
    backlog = Backlog()
    backlog.pressure.admit()
    backlog.waiting = 101
    with pytest.raises(Overloaded) as caught:
        backlog.pressure.admit()

    assert "backlog" == caught.value.reason
    assert "more than 100 runs waited for a worker (pressure.most_waiting); send the alerts again" == str(caught.value)
    assert (1.0, 0.0) == (backlog.refuses(Strain.BACKLOG), backlog.refuses(Strain.DISK))
    assert "more than 100 runs waited for a worker (pressure.most_waiting)" == backlog.pressure.trouble


async def test_deliveries_are_taken_again_by_themselves() -> None:
    """Also where none comes: readiness has to say so before any is sent here again."""
    backlog = Backlog()
    backlog.waiting = 101
    await backlog.pressure.look()
    was = backlog.pressure.trouble
    backlog.waiting = 50
    await backlog.pressure.look()
    backlog.pressure.admit()

    assert was is not None
    assert (None, 0.0) == (backlog.pressure.trouble, backlog.refuses(Strain.BACKLOG))


async def test_runs_that_no_process_has_taken_up_count_as_well() -> None:
    """Several processes that share a store leave to each other what they have no place for."""
    backlog = Backlog()
    backlog.waiting, backlog.unclaimed = 60, 41
    await backlog.pressure.look()
    refused = backlog.pressure.trouble
    backlog.is_away, backlog.unclaimed = True, 0
    await backlog.pressure.look()
    while_away = backlog.pressure.trouble
    backlog.is_away, backlog.waiting = False, 0
    await backlog.pressure.look()

    assert refused is not None
    assert refused == while_away
    assert backlog.pressure.trouble is None


def test_only_a_change_is_logged() -> None:
    """A thousand refused requests a second would fill the disk with the news that it is full."""
    backlog = Backlog()
    backlog.waiting = 101
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Overloaded):
                backlog.pressure.admit()
        backlog.waiting = 0
        for _ in range(3):
            backlog.pressure.admit()

    assert ["deliveries_refused", "deliveries_taken_again"] == [line["event"] for line in logs]


async def test_a_disk_with_too_little_room_refuses(tmp_path: Path) -> None:
    """What is left is for the runs that were taken already."""
    backlog = Backlog(disk=tmp_path, least_free_mib=2**40)
    await backlog.pressure.look()
    with pytest.raises(Overloaded) as caught:
        backlog.pressure.admit()

    assert "disk" == caught.value.reason
    assert 1.0 == backlog.refuses(Strain.DISK)


async def test_a_disk_that_cannot_be_looked_at_refuses_nothing(tmp_path: Path) -> None:
    """Whether it can be written to, the store knows better."""
    backlog = Backlog(disk=tmp_path / "gone", least_free_mib=2**40)
    await backlog.pressure.look()
    backlog.pressure.admit()

    assert backlog.pressure.trouble is None
