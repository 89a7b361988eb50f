"""How often SQLite should bring its log home: the tail of accepting, for several values of `wal_autocheckpoint`."""

from bench import load, packs
from bench.figures import Report, median, percentile
from bench.load import Job
from bench.processes import World

_SHIPPED = 200  # as `remediator/storage/sqlite/store.py` has it


def measure(world: World) -> Report:
    """A service for each value, in turns: 300 alerts a second, each with a run that is told."""
    report = Report("checkpoints")
    pages = (50, 200, 1000, 4000) if not world.quick else (200, 1000)
    services = {
        count: world.service("sqlite", [packs.LATER], launcher=("-m", "bench.tuned", str(count))) for count in pages
    }
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "worst": 1.0}
    found: dict[int, dict[str, list[float]]] = {count: {key: [] for key in shares} for count in pages}
    for turn in range(world.rounds + 1):
        for count, service in services.items():
            rate, requests = 300.0, world.pick(3000, 100)
            job = Job(service.port, world.prefix(), requests, "Later", connections=50, rate=rate, core=world.load_core)
            sent = load.run(job)
            if turn:  # the first one warms up
                for key, share in shares.items():
                    found[count][key].append(percentile(sent.latencies, share) * 1000)
    best = min(median(times["p999"]) for times in found.values())
    for count, times in found.items():
        tail, is_shipped = median(times["p999"]), count == _SHIPPED
        report.add(
            f"wal_autocheckpoint = {count:,}{' (shipped)' if is_shipped else ''}: p50/p99/p99.9/worst, 300 a second",
            "/".join(f"{median(times[key]):.1f}" for key in shares) + " ms",
            f"p99.9 is {tail / best:.2f} of the best",
            goal="not in the tail" if is_shipped else "",
            reached=tail < 1.5 * best if is_shipped else None,
        )
    report.raw["ms"] = found
    for service in services.values():
        service.stop()
    return report
