"""What an alert costs with 10, 1,000 and 10,000 rules: matching alone, and accepting with all that belongs to it."""

import time
from pathlib import Path

import yaml

from bench import alerts, load, packs
from bench.figures import Report, median, percentile, spread
from bench.load import Job
from bench.processes import World
from remediator.plugins import Actions
from remediator.rules.loading import load_book


def measure(world: World) -> Report:
    """For each number of rules: the time to match, to load, and the service's time for an alert."""
    report = Report("rules")
    counts = (10, 1_000, 10_000) if not world.quick else (10, 100)
    matching = {count: _match(world.new_folder("book"), count, world.pick(20_000, 200)) for count in counts}
    least = matching[counts[0]]["match"]
    for count, found in matching.items():
        report.add(
            f"{count:,} rules: matching one alert",
            f"{found['match']:.1f} µs",
            f"ratio {found['match'] / least:.2f}; loaded in {found['load']:.2f} s",
            goal="constant",
            reached=found["match"] < 2 * least,
        )
    _accept(world, report, counts)
    report.raw["matching"] = matching
    return report


def _match(folder: Path, count: int, times: int) -> dict[str, float]:
    (folder / "rules.yaml").write_text(yaml.safe_dump({"pack": "bench", "rules": packs.many(count)}))
    began = time.perf_counter()
    book = load_book([folder / "rules.yaml"], Actions.installed())
    loaded = time.perf_counter() - began
    labels = [alerts.labels_of("Later", f"s-{number}") for number in range(100)]
    rounds = []
    for _ in range(7):
        began = time.perf_counter()
        for number in range(times // 7):
            book.match(labels[number % 100])
        rounds.append((time.perf_counter() - began) / (times // 7) * 1e6)
    return {"match": median(rounds), "load": loaded}


def _accept(world: World, report: Report, counts: tuple[int, ...]) -> None:
    """The services of all sizes beside each other, in turns."""
    store = world.stores[0]
    services = {count: world.service(store, packs.many(count)) for count in counts}
    costs: dict[int, list[float]] = {count: [] for count in counts}
    times: dict[int, list[float]] = {count: [] for count in counts}
    requests = world.pick(2000, 100)
    for turn in range(world.rounds + 1):
        for count, service in services.items():
            used = service.cpu()
            sent = load.run(Job(service.port, world.prefix(), requests, "Later", connections=20, core=world.load_core))
            if turn:  # the first one warms up
                costs[count].append((service.cpu() - used) / requests * 1e6)
                times[count] += sent.latencies
    least = median(costs[counts[0]])
    for count in counts:
        used = median(costs[count])
        report.add(
            f"{count:,} rules: CPU of the service for an alert and its run ({store})",
            f"{spread(costs[count])} µs",
            f"ratio {used / least:.2f}; answered after p50 {percentile(times[count], 0.5) * 1000:.1f} ms;"
            f" {services[count].memory():.0f} MiB, ready after {services[count].starting:.1f} s",
            goal="constant",
            reached=used < 1.25 * least,
        )
    report.raw["cpu_us"] = costs
    for service in services.values():
        service.stop()
