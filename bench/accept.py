"""How fast deliveries are accepted, durably: against the least receiver that parses the same and commits one row."""

from bench import load, packs
from bench.figures import Report, median, percentile, ratio, spread
from bench.load import Job, Sent
from bench.processes import Process, World

_GOAL = 0.7
_LARGE = 100


def measure(world: World) -> Report:
    """Rates and times for each store and size, in turns."""
    report = Report("accept")
    for store in world.stores:
        for alerts in (1, 10, 100) if not world.quick else (1, 10):
            _compare(world, report, store, alerts)
    return report


def _compare(world: World, report: Report, store: str, alerts: int) -> None:
    """The baseline, and the service with alerts that no rule is for, and with alerts that each start a run."""
    baseline = world.baseline(store)
    service = world.service(store, [packs.WAITING, packs.LATER], pipeline={"runs_at_once": 1})
    _send(world, service, "Waiting", 1, 1)  # keeps the only place: runs are created, and worked on by nobody
    kinds = {
        "bare": (baseline, "Quiet", "/bare"),
        "least": (baseline, "Quiet", "/alerts"),
        "no rule": (service, "Quiet", "/api/v1/alerts"),
        "runs": (service, "Later", "/api/v1/alerts"),
    }
    rates: dict[str, dict[int, float]] = {kind: {} for kind in kinds}
    costs: dict[str, dict[int, float]] = {kind: {} for kind in kinds}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    requests = world.pick({1: 4000, 10: 1500, 100: 100}[alerts], 100 if alerts < 100 else 10)
    for process, alertname, path in kinds.values():  # caches, prepared statements, files
        _send(world, process, alertname, 100 if alerts < _LARGE else 10, alerts, path)
    for turn in range(world.rounds):
        for kind, (process, alertname, path) in kinds.items():
            used = process.cpu() + world.store_cpu(store)
            sent = _send(world, process, alertname, requests, alerts, path)
            rates[kind][turn] = sent.rate * alerts
            costs[kind][turn] = (process.cpu() + world.store_cpu(store) - used) / requests / alerts * 1e6
            times[kind] += sent.latencies
    _tell(report, store, alerts, rates, costs, times)
    report.raw[f"{store} {alerts}"] = {
        "rates": rates, "cpu_us": costs, "p99_ms": {kind: percentile(all_, 0.99) * 1000 for kind, all_ in times.items()}
    }  # fmt: skip
    for process in (baseline, service):
        process.stop()


def _tell(
    report: Report,
    store: str,
    alerts: int,
    rates: dict[str, dict[int, float]],
    costs: dict[str, dict[int, float]],
    times: dict[str, list[float]],
) -> None:
    size = f"{store}, {alerts} alert{'s' if alerts > 1 else ''} a request"
    least = f"{median(list(rates['least'].values())):.0f}/s (bare handler {median(list(rates['bare'].values())):.0f}/s)"
    for kind in ("no rule", "runs"):
        shares = ratio(rates[kind], rates["least"])
        is_goal = kind == "no rule"
        report.add(
            f"{size}: alerts {'that no rule is for' if kind == 'no rule' else 'that each start a run'}",
            f"{spread(list(rates[kind].values()))}/s, ratio {spread(shares, '{:.2f}')}",
            least,
            goal=f"ratio ≥ {_GOAL}" if is_goal else "",
            reached=median(shares) >= _GOAL if is_goal else None,
        )
    shown = [f"{percentile(times[kind], 0.5) * 1000:.1f}/{percentile(times[kind], 0.99) * 1000:.1f}" for kind in times]
    cpu = [f"{median(list(costs[kind].values())):.0f}" for kind in costs]
    report.add(
        f"{size}: p50/p99 at {50 if alerts < _LARGE else 5} connections; CPU an alert, with the database's",
        f"{shown[2]} ms, {cpu[2]} µs; with a run {shown[3]} ms, {cpu[3]} µs",
        f"{shown[1]} ms, {cpu[1]} µs (bare {shown[0]} ms, {cpu[0]} µs)",
    )


def _send(
    world: World, process: Process, alertname: str, requests: int, alerts: int, path: str = "/api/v1/alerts"
) -> Sent:
    return load.run(
        Job(
            port=process.port,
            prefix=world.prefix(),
            requests=requests,
            alertname=alertname,
            alerts=alerts,
            connections=min(50 if alerts < _LARGE else 5, requests),  # as many groups of that size are rare
            path=path,
            core=world.load_core,
        )
    )
