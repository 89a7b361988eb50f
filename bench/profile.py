"""Where the time goes: the service under a profiler, with alerts, with runs created, with runs done.

Not part of `all`. It prints, for each thread, the functions that take the most by themselves.
"""

import pstats
from pathlib import Path

from bench import load, packs
from bench.figures import Report
from bench.load import Job
from bench.processes import World
from bench.runs import work_off

_SHOWN = 25
_Function = tuple[str, int, str]
_Measured = tuple[int, int, float, float, object]


def measure(world: World) -> Report:
    """Profiles of accepting and of running; nothing here is a figure, as the profiler slows everything."""
    report = Report("profile")
    for store in world.stores:
        for what in ("accept", "create", "run"):
            _profile(world, report, store, what)
    return report


def _profile(world: World, report: Report, store: str, what: str) -> None:
    folder = world.new_folder("profile")
    rules = [packs.COMPLETE, packs.WAITING, packs.LATER]
    service = world.service(
        store, rules, folder=folder, launcher=("-m", "bench.profiled", str(folder / "stats")),
        pipeline={"runs_at_once": 1 if what == "create" else 100},
    )  # fmt: skip
    count = world.pick(3000, 200)
    if what == "run":
        work_off(world, store, [service], "Complete", count)
    else:
        load.run(Job(service.port, world.prefix(), 1, "Waiting", connections=1))
        name = "Quiet" if what == "accept" else "Later"
        load.run(Job(service.port, world.prefix(), count, name, core=world.load_core))
    service.stop()
    for path in sorted(folder.glob("stats.*")):
        if "writer" not in path.name and "main" not in path.name and "reader" not in path.name:
            continue
        text = _tables(path, count)
        report.raw[f"{store} {what} {path.suffix}"] = text
        print(f"\n### {store}, {what}: {path.name}\n{text}", flush=True)


def _tables(path: Path, count: int) -> str:
    """What takes the most by itself, and which of our functions take the most with all that they call."""
    stats: dict[_Function, _Measured] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]  # it is documented
    rows = [(where, calls, own, whole) for where, (_, calls, own, whole, _) in stats.items() if not _waits(where)]
    ours = [row for row in rows if "remediator" in row[0][0] and "site-packages" not in row[0][0]]
    busy = sum(row[2] for row in rows)
    parts = [f"{busy / count * 1e6:.0f} us for each, under the profiler"]
    parts.append("by themselves")
    parts += [_line(row, row[2], count) for row in sorted(rows, key=lambda row: -row[2])[:_SHOWN]]
    parts.append("with what they call")
    parts += [_line(row, row[3], count) for row in sorted(ours, key=lambda row: -row[3])[:_SHOWN]]
    return "\n".join(parts)


def _line(row: tuple[_Function, int, float, float], seconds: float, count: int) -> str:
    (file, number, function), calls = row[0], row[1]
    where = f"{'/'.join(Path(file).parts[-2:])}:{number}" if number else ""
    return f"{seconds / count * 1e6:8.1f} us {calls / count:7.2f} calls  {where} {function}"


def _waits(where: _Function) -> bool:
    """Whether a function only waits: for the network, for work, for a lock."""
    return any(word in where[2] for word in ("'poll'", "SimpleQueue' objects", "'acquire'", "time.sleep"))
