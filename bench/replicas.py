"""Whether a run costs the same with one, two and three replicas on one PostgreSQL; how soon one replaces another."""

import signal
import time

from bench import load, packs
from bench.figures import Report, median, spread
from bench.load import Job
from bench.processes import Process, World
from bench.runs import Worked, work_off

_FLAT = 1.25
_TAKEOVER = 7.0


def measure(world: World) -> Report:
    """Groups of one, two and three beside each other, in turns; the alerts are spread over all of a group."""
    report = Report("replicas")
    if "postgresql" not in world.stores:
        return report
    groups = {count: _group(world, count) for count in (1, 2, 3)}
    found: dict[int, list[Worked]] = {count: [] for count in groups}
    for turn in range(world.rounds + 1):
        for count, group in groups.items():
            worked = work_off(world, "postgresql", group, "Complete", world.pick(1800, 60))
            if turn:  # the first one warms up
                found[count].append(worked)
    one = median([worked.cpu + worked.store_cpu for worked in found[1]])
    for count, rounds in found.items():
        both = [worked.cpu + worked.store_cpu for worked in rounds]
        report.add(
            f"{count} replica{'s' if count > 1 else ''}: CPU a complete run, with the database's",
            f"{spread(both, '{:.2f}')} ms, ratio {median(both) / one:.2f}",
            f"{spread([worked.rate for worked in rounds])} runs/s on the same cores",
            goal="constant" if count > 1 else "",
            reached=median(both) / one < _FLAT if count > 1 else None,
        )
    report.raw["cpu_ms"] = {count: [(w.cpu, w.store_cpu, w.rate) for w in rounds] for count, rounds in found.items()}
    for group in groups.values():
        for service in group:
            service.stop()
    _take_over(world, report)
    return report


def _group(world: World, count: int) -> list[Process]:
    name = f"store_{world.prefix()}"
    world.database.create(name)
    return [
        world.service("postgresql", [packs.COMPLETE, packs.WAITING], database=name, core=None) for _ in range(count)
    ]


def _take_over(world: World, report: Report) -> None:
    """One of two is killed with runs in its hands: how long until the other has them."""
    takes = []
    for _ in range(world.pick(3, 1)):
        dying, heir = _group(world, 2)
        load.run(Job(dying.port, world.prefix(), 20, "Waiting", connections=5, core=world.load_core))
        _wait_until_active(dying, 20)
        dying.stop(signal.SIGKILL)
        killed = time.monotonic()
        _wait_until_active(heir, 20)
        takes.append(time.monotonic() - killed)
        heir.stop(signal.SIGKILL)
    report.add(
        "takeover: from kill -9 until all of its 20 runs go on in another process",
        f"{spread(takes, '{:.1f}')} s",
        goal=f"≤ {_TAKEOVER:.0f} s",
        reached=max(takes) <= _TAKEOVER,
    )


def _wait_until_active(service: Process, count: int) -> None:
    limit = time.monotonic() + 60
    while service.series()["remediator_runs_active"] < count:
        if time.monotonic() > limit:
            raise RuntimeError(f"{service.name} did not work on {count} runs in 60 s")
        time.sleep(0.05)
