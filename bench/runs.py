"""How many runs a second, from the alert to the outcome; how soon one begins; how many commits one takes."""

import json
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from bench import load, packs
from bench.figures import Report, median, percentile, spread
from bench.load import Job
from bench.processes import Process, World
from remediator.model.facts import Planned
from remediator.storage import codec

_GOALS = {"sqlite": 400, "postgresql": 250}
_HTTP_GOAL = 600
_FIRST_GOAL = 50.0  # milliseconds
_ALONE_GOAL = 6
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Worked:
    """What it took to work off a number of runs."""

    rate: float  # runs a second
    cpu: float  # milliseconds a run, of the service
    store_cpu: float  # milliseconds a run, of the database
    commits: float  # commits a run
    writes: float


def measure(world: World) -> Report:
    """Rates of two kinds of runs in turns; then one at a time, and at a steady rate."""
    report = Report("runs")
    for store in world.stores:
        port = world.standin.port
        rules = [packs.COMPLETE, packs.GATED, packs.http_get(port)]
        service = world.service(store, rules)
        _rates(world, report, store, service)
        _gated(world, report, store, service)
        _alone(world, report, store, service)
        service.stop()
        _first(world, report, store)
    return report


def _rates(world: World, report: Report, store: str, service: Process) -> None:
    kinds: dict[str, list[Worked]] = {"Complete": [], "Asked": []}
    count = world.pick(3000, 100)
    for alertname in kinds:
        work_off(world, store, [service], alertname, world.pick(500, 20))
    for _ in range(world.rounds):
        for alertname, worked in kinds.items():
            worked.append(work_off(world, store, [service], alertname, count))
    goals = {"Complete": _GOALS[store], "Asked": _HTTP_GOAL}
    said = {
        "Complete": "complete runs (3 diagnoses, plan, step, check)",
        "Asked": "runs with one HTTP action (GET, told)",
    }
    for alertname, worked in kinds.items():
        rate, goal = median([one.rate for one in worked]), goals[alertname]
        report.add(
            f"{store}: {said[alertname]}",
            f"{spread([one.rate for one in worked])} runs/s",
            _costs(worked),
            goal=f"{goal}/s" if goal else "",
            reached=rate >= goal if goal else None,
        )
    commits = median([one.commits for one in kinds["Complete"]])
    report.add(
        f"{store}: commits a complete run, when busy",
        f"{commits:.2f}",
        f"{median([one.writes for one in kinds['Complete']]):.1f} writes a run",
        goal="≤ 1",
        reached=commits <= 1,
    )
    report.raw[store] = {
        name: [(one.rate, one.cpu, one.store_cpu, one.commits) for one in w] for name, w in kinds.items()
    }


def _costs(worked: Sequence[Worked]) -> str:
    store = median([one.store_cpu for one in worked])
    cpu = f"CPU a run {median([one.cpu for one in worked]):.2f} ms"
    return f"{cpu}, of the database {store:.2f} ms" if store else cpu


def work_off(
    world: World, store: str, services: Sequence[Process], alertname: str, count: int, *, alerts: int = 10
) -> Worked:
    """Have so many runs done by these services together, from the first alert sent to the last outcome."""
    cpu, store_cpu = [one.cpu() for one in services], world.store_cpu(store)
    before = [one.series() for one in services]
    ended = sum(one.ended() for one in services)
    share = count // len(services) // alerts
    total = share * alerts * len(services)
    with ThreadPoolExecutor() as senders:
        jobs = [_job(world, service, alertname, share, alerts) for service in services]
        began = min(sent.first for sent in senders.map(load.run, jobs))
    seconds = wait_for_ended(services, ended + total) - began
    after = [one.series() for one in services]
    return Worked(
        rate=total / seconds,
        cpu=sum(one.cpu() - was for one, was in zip(services, cpu, strict=True)) / total * 1000,
        store_cpu=(world.store_cpu(store) - store_cpu) / total * 1000,
        commits=_more(before, after, "remediator_store_commits_total") / total,
        writes=_more(before, after, "remediator_store_writes_total") / total,
    )


def _job(world: World, service: Process, alertname: str, requests: int, alerts: int = 1, rate: float = 0.0) -> Job:
    return Job(
        port=service.port,
        prefix=world.prefix(),
        requests=requests,
        alertname=alertname,
        alerts=alerts,
        connections=min(50, requests),
        rate=rate,
        core=world.load_core,
    )


def _more(before: Sequence[dict[str, float]], after: Sequence[dict[str, float]], name: str) -> float:
    return sum(now[name] - then[name] for now, then in zip(after, before, strict=True))


def wait_for_ended(services: Sequence[Process], count: int) -> float:
    """When so many runs had ended; the monotonic time."""
    limit = time.monotonic() + _PATIENCE
    while sum(one.ended() for one in services) < count:
        if time.monotonic() > limit:
            raise RuntimeError(f"{count} runs had not ended after {_PATIENCE:.0f} s")
        time.sleep(0.1)
    return time.monotonic()


def _gated(world: World, report: Report, store: str, service: Process) -> None:
    """Runs that wait for a person: asked, approved over the API, done."""
    rates = []
    for _ in range(world.rounds):
        count = world.pick(1000, 20)
        ended = service.ended()
        sent = load.run(_job(world, service, "Gated", count // 10, 10))
        plans = _wait_for_plans(world, store, service, count)
        asked = time.monotonic() - sent.first
        posts = [
            (f"/api/v1/runs/{run}/decision", json.dumps({"approved": True, "digest": digest, "by": "bench"}))
            for run, digest in plans
        ]
        job = Job(port=service.port, prefix="", requests=0, posts=posts, token=service.token, core=world.load_core)
        decided = load.run(job)
        rates.append(count / (asked + wait_for_ended([service], ended + count) - decided.first))
    goal = _GOALS[store]
    report.add(
        f"{store}: complete runs with a gate, approved over the API",
        f"{spread(rates)} runs/s",
        goal=f"{goal}/s",
        reached=median(rates) >= goal,
    )


_WAITING = (
    "SELECT run.id, fact.body FROM run JOIN fact ON fact.run = run.id"
    " WHERE run.ended_at IS NULL AND run.rule LIKE '%gated' AND fact.kind = 'planned'"
    " AND EXISTS (SELECT 1 FROM fact AS f WHERE f.run = run.id AND f.kind = 'asked')"
)


def _wait_for_plans(world: World, store: str, service: Process, count: int) -> list[tuple[str, str]]:
    """Runs and digests, which a person has from the message; read from the store, so that it costs the service less."""
    limit = time.monotonic() + _PATIENCE
    while time.monotonic() < limit:
        found = _plans(world, store, service)
        if len(found) >= count:
            return [(run, _digest(body)) for run, body in found]
        time.sleep(0.2)
    raise RuntimeError(f"only {len(found)} of {count} runs asked for approval")


def _digest(body: str) -> str:
    fact = codec.read_fact(body)
    if not isinstance(fact, Planned):
        raise TypeError(f"this is no plan: {body}")
    return fact.plan.digest


def _plans(world: World, store: str, service: Process) -> list[tuple[str, Any]]:
    if store == "sqlite":
        path = service.folder / "store" / "remediator.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
            return list(db.execute(_WAITING))
    name = database_of(service)
    select = f"SELECT json_build_array(id, body) FROM ({_WAITING}) AS waiting"
    printed = world.database.sql("SET search_path = remediator", select, database=name)
    return [tuple(json.loads(line)) for line in printed.splitlines() if line.startswith("[")]


def database_of(service: Process) -> str:
    """The name of the database that a service keeps everything in."""
    settings = (service.folder / "remediator.yaml").read_text()
    return settings.split("url: postgresql://", 1)[1].split("\n", 1)[0].rpartition("/")[2]


def _alone(world: World, report: Report, store: str, service: Process) -> None:
    """One run after the other: what each takes when it shares its commits with nobody."""
    time.sleep(2)  # what other runs left to be done is over
    takes, commits = [], []
    for _ in range(world.pick(20, 3)):
        before, ended = service.series(), service.ended()
        sent = load.run(_job(world, service, "Complete", 1))
        while service.ended() == ended:
            time.sleep(0.002)
        takes.append((time.monotonic() - sent.first) * 1000)
        commits.append(_more([before], [service.series()], "remediator_store_commits_total"))
    report.add(
        f"{store}: commits of one complete run alone",
        f"{median(commits):.0f}",
        f"from alert to outcome {median(takes):.0f} ms",
        goal=f"≤ {_ALONE_GOAL}",
        reached=median(commits) <= _ALONE_GOAL,
    )


def _first(world: World, report: Report, store: str) -> None:
    """At 50 alerts a second: from the moment that an alert is sent to the call of its first diagnosis."""
    stamps = world.new_folder("stamps") / "stamps"
    service = world.service(store, [packs.STAMPED], stamps=stamps)
    load.run(_job(world, service, "Stamped", world.pick(200, 20)))
    delays, answers = [], []
    for _ in range(world.pick(3, 1)):
        job = _job(world, service, "Stamped", world.pick(1000, 50), rate=50)
        sent = load.run(job)
        wait_for_stamps = time.monotonic() + 30
        found: dict[str, float] = {}
        while time.monotonic() < wait_for_stamps and len(found) < job.requests:
            lines = (line.split() for line in stamps.read_text().splitlines())
            found = {name: float(at) for name, at in lines if name.startswith(f"{job.prefix}-")}
            time.sleep(0.1)
        delays.append([(found[f"{job.prefix}-{number}"] - at) * 1000 for number, at in sent.began.items()])
        answers.append([seconds * 1000 for seconds in sent.latencies])
    report.add(
        f"{store}: from an alert sent to its first diagnosis, 50 a second, p50/p99",
        f"{_middle(delays, 0.5):.1f}/{_middle(delays, 0.99):.1f} ms",
        f"answered 202 after {_middle(answers, 0.5):.1f}/{_middle(answers, 0.99):.1f} ms",
        goal=f"p99 < {_FIRST_GOAL:.0f} ms",
        reached=_middle(delays, 0.99) < _FIRST_GOAL,
    )
    service.stop()


def _middle(rounds: Sequence[Sequence[float]], share: float) -> float:
    return median([percentile(one, share) for one in rounds])
