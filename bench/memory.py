"""What it takes of memory and of a core: idle, in a burst, over a steady load, and with 100,000 open occurrences."""

import time

from bench import load, packs
from bench.figures import Report
from bench.load import Job
from bench.processes import Process, World
from bench.runs import wait_for_ended

_IDLE, _BURST, _OPEN, _IDLE_CPU = 90, 180, 100, 1.0


def measure(world: World) -> Report:
    """For each store one process: idle, then a burst of runs, then a steady load; another one with open occurrences."""
    report = Report("memory")
    for store in world.stores:
        service = world.service(store, [packs.COMPLETE])
        _idle(world, report, store, service)
        _burst(world, report, store, service)
        _steady(world, report, store, service)
        service.stop()
        _open(world, report, store)
    return report


def _idle(world: World, report: Report, store: str, service: Process) -> None:
    time.sleep(world.pick(10, 1))
    seconds, used = world.pick(60, 3), service.cpu()
    time.sleep(seconds)
    share = (service.cpu() - used) / seconds * 100
    memory = service.memory()
    report.add(f"{store}: idle, memory", f"{memory:.0f} MiB", goal=f"≤ {_IDLE} MiB", reached=memory <= _IDLE)
    report.add(f"{store}: idle, of a core", f"{share:.2f} %", goal="< 1 %", reached=share < _IDLE_CPU)


def _burst(world: World, report: Report, store: str, service: Process) -> None:
    """Alerts one by one, as fast as they are taken, each with a complete run."""
    count, before = world.pick(10_000, 200), service.memory()
    ended = service.ended()
    sent = load.run(Job(service.port, world.prefix(), count, "Complete", connections=100, core=world.load_core))
    done = wait_for_ended([service], ended + count) - sent.first
    report.add(
        f"{store}: a burst of {count:,} alerts in {count:,} requests, each with a complete run; highest memory",
        f"{service.peak():.0f} MiB",
        f"{before:.0f} MiB before; all accepted after {sent.seconds:.1f} s, all done after {done:.1f} s",
        goal=f"≤ {_BURST} MiB",
        reached=service.peak() <= _BURST,
    )


def _steady(world: World, report: Report, store: str, service: Process) -> None:
    """Fifty complete runs a second: the memory of each third tells whether it grows."""
    seen, used, began = [service.memory()], service.cpu(), time.monotonic()
    each = world.pick(2000, 50)
    for _ in range(3):
        load.run(Job(service.port, world.prefix(), each, "Complete", rate=50, connections=10, core=world.load_core))
        seen.append(service.memory())
    share = (service.cpu() - used) / (time.monotonic() - began) * 100
    report.add(
        f"{store}: {each * 3:,} complete runs at 50 a second; memory before, and after each third",
        ", ".join(f"{mib:.0f}" for mib in seen) + " MiB",
        f"{share:.0f} % of a core",
    )


def _open(world: World, report: Report, store: str) -> None:
    """Alerts that no rule is for, and that stay open."""
    service = world.service(store, [packs.COMPLETE])
    load.run(Job(service.port, world.prefix(), world.pick(20, 5), "Quiet", alerts=100, connections=2))
    time.sleep(1)
    before, count = service.memory(), world.pick(100_000, 1_000)
    sent = load.run(
        Job(service.port, world.prefix(), count // 100, "Quiet", alerts=100, connections=4, core=world.load_core)
    )
    time.sleep(1)
    more = service.memory() - before
    report.add(
        f"{store}: {count:,} open occurrences, more memory than with none",
        f"{more:.0f} MiB",
        f"{before:.0f} MiB before, {service.peak():.0f} MiB at most; accepted in {sent.seconds:.0f} s",
        goal=f"≤ {_OPEN} MiB",
        reached=more <= _OPEN,
    )
    service.stop()
