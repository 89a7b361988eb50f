"""Whether it costs the same with a full store: a million finished runs and 100,000 open occurrences, against none."""

import time
from typing import Any

from bench import load, packs, seeding
from bench.figures import Report, median, percentile, spread
from bench.load import Job
from bench.processes import Process, World
from bench.runs import work_off

_FLAT = 1.25


def measure(world: World) -> Report:
    """An empty store and a full one beside each other, in turns."""
    report = Report("size")
    finished, still_open = world.pick(1_000_000, 1_000), world.pick(100_000, 100)
    for store in world.stores:
        began = time.monotonic()
        full = _full(world, store, finished, still_open)
        print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
        services = {"empty": world.service(store, [packs.COMPLETE, packs.LATER]), "full": full}
        _compare(world, report, store, services, f"{finished:,} runs, {still_open:,} open")
        for service in services.values():
            service.stop()
    return report


def _full(world: World, store: str, finished: int, still_open: int) -> Process:
    rules = [packs.COMPLETE, packs.LATER]
    if store == "sqlite":
        folder = seeding.fill_sqlite(world, finished=finished, still_open=still_open)
        return world.service(store, rules, folder=folder)
    name = seeding.fill_postgresql(world, finished=finished, still_open=still_open)
    return world.service(store, rules, database=name)


def _compare(world: World, report: Report, store: str, services: dict[str, Process], size: str) -> None:
    found: dict[str, dict[str, list[float]]] = {
        name: {"accept": [], "p99": [], "run": [], "rate": [], "list": []} for name in services
    }
    for turn in range(world.rounds + 1):
        for name, service in services.items():
            one = _once(world, store, service)
            if turn:  # the first one warms up
                for key, value in one.items():
                    found[name][key].append(value)
    shown = {
        "accept": ("CPU an accepted alert", "µs"),
        "p99": ("p99 of accepting, 20 connections", "ms"),
        "run": ("CPU a complete run", "ms"),
        "list": ("the list of the newest runs", "ms"),
    }
    for key, (what, unit) in shown.items():
        form = "{:.0f}" if unit == "µs" else "{:.2f}"
        share = median(found["full"][key]) / max(median(found["empty"][key]), 1e-9)
        is_goal = key in ("accept", "run")
        report.add(
            f"{store}, {size}: {what}",
            f"{spread(found['full'][key], form)} {unit}",
            f"{form.format(median(found['empty'][key]))} {unit} with an empty store; ratio {share:.2f}",
            goal="flat" if is_goal else "",
            reached=share < _FLAT if is_goal else None,
        )
    report.add(
        f"{store}, {size}: ready after",
        f"{services['full'].starting:.1f} s",
        f"{services['empty'].starting:.1f} s with an empty store; memory {services['full'].memory():.0f} MiB"
        f" and {services['empty'].memory():.0f} MiB",
    )
    report.raw[store] = found


def _once(world: World, store: str, service: Process) -> dict[str, float]:
    requests = world.pick(2000, 100)
    used = service.cpu() + world.store_cpu(store)
    sent = load.run(Job(service.port, world.prefix(), requests, "Quiet", connections=20, core=world.load_core))
    accept = (service.cpu() + world.store_cpu(store) - used) / requests * 1e6
    worked = work_off(world, store, [service], "Complete", world.pick(1000, 20))
    found: dict[str, Any] = {
        "accept": accept,
        "p99": percentile(sent.latencies, 0.99) * 1000,
        "run": worked.cpu + worked.store_cpu,
        "rate": worked.rate,
    }
    began = time.monotonic()
    service.get("/api/v1/runs?limit=50", token=service.token)
    return {**found, "list": (time.monotonic() - began) * 1000}
