"""Quiet ends a storm in the real process: ten minutes of it as shipped, on clocks that libfaketime lets run faster."""

import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.model.limits import Limits
from tests import services, storm
from tests.chaos.test_clock_chaos import Clocked
from tests.served import WIDE, Served

_LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")
SHIPPED = {name: limit for name, limit in WIDE.items() if name not in ("storm", "storm_overall", "storm_quiet")}
"""The storm's own limits are those that are shipped; all others are out of the way."""
FASTER = 60


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.end()


def fire(served: Served, *names: str) -> None:
    body = storm.body_of(*({"alertname": "Down", "service": name} for name in names))
    assert 202 == served.ask("/api/v1/alerts", body=body)[0]


def runs(served: Served) -> dict[str, dict[str, Any]]:
    return {run["alert"]["labels"]["service"]: run for run in served.runs()}


def until_held(served: Served, *names: str) -> None:
    services.wait_until(
        lambda: {name for name, run in runs(served).items() if times(run, "held")} >= set(names), f"{names} to be held"
    )


def times(run: dict[str, Any], kind: str) -> list[datetime]:
    """When it has something of a kind on record, on the service's own clock."""
    return [datetime.fromisoformat(fact["at"]) for fact in run["timeline"] if fact["kind"] == kind]


def came(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["created_at"])


def is_all_told(served: Served) -> bool:
    series = served.series()
    return series["remediator_outbox_waiting"] == series["remediator_outbox_minor"] == 0


def stands(served: Served) -> list[str]:
    return [stop["scope"] for stop in served.get("/api/v1/stops")["stops"] if stop["kind"] == "storm"]


def test_ten_quiet_minutes_end_a_storm_as_shipped(served: Served) -> None:
    """A sixth alert in the sixth minute makes it longer; then all go on by themselves, and the next goes at once."""
    services.requires("faketime")
    (library,) = (str(path) for pattern in _LIBRARIES[:1] for path in Path("/").glob(pattern[1:]))
    served.wrapper = ("env", f"LD_PRELOAD={library}", f"FAKETIME=+0 x{FASTER}")
    storm.configure(served, limits=SHIPPED)
    served.start()
    first = [f"s{number}" for number in range(Limits().storm.count)]
    fire(served, *first)
    until_held(served, *first)
    in_storm = stands(served)
    began = came(runs(served)[first[0]])
    services.wait_until(lambda: now_of(served) > began + timedelta(minutes=5), "five of its minutes to pass")
    fire(served, "late")
    services.wait_until(lambda: storm.effects_of(served).total() == 6, "all to go on")
    services.wait_until(lambda: all(run["outcome"] for run in runs(served).values()), "all to end")
    found = runs(served)
    last = came(found["late"])
    fire(served, "after")
    services.wait_until(lambda: storm.effects_of(served)["after"] == 1, "the next one to go at once")
    after = runs(served)["after"]

    assert ["rule:web/down"] == in_storm
    assert timedelta(minutes=5) <= last - began < timedelta(minutes=10)
    begun = [times(run, "started")[0] - last for run in found.values()]
    assert all(timedelta(minutes=10) <= one < timedelta(minutes=20) for one in begun), begun
    assert {"healed"} == {run["outcome"] for run in found.values()}
    assert [] == times(after, "held")
    assert [] == stands(served)


def now_of(served: Served) -> datetime:
    """What time it is to the service."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{served.url}/healthz") as answer:
        return parsedate_to_datetime(answer.headers["Date"])


def test_a_jump_of_the_clock_is_no_quiet_and_time_that_was_spent_switched_off_is(served: Served) -> None:
    """Whoever sets the clock forward ends no storm; a machine that was off for twenty minutes has had its quiet."""
    clocked = Clocked(served)
    clocked.start(limits=SHIPPED)
    names = [f"s{number}" for number in range(Limits().storm.count)]
    body = storm.body_of(*({"alertname": "Proven", "service": name} for name in names))
    assert 202 == served.ask("/api/v1/alerts", body=body)[0]
    until_held(served, *names)
    clocked.jump(timedelta(minutes=20))
    clocked.fire("Proven", "late")
    until_held(served, "late")
    clocked.fire("Asked", "other")
    clocked.wait_for_stage("other", "drafted")
    clocked.approve("other")
    clocked.wait_for("other", "healed")
    within, standing = storm.effects_of(served), stands(served)
    services.wait_until(lambda: is_all_told(served), "all to be told: what is old when it starts again asks a person")
    served.kill()
    served.start()
    services.wait_until(lambda: storm.effects_of(served).total() == 7, "all to go on")

    assert {"other": 1} == within
    assert ["rule:clocks/proven"] == standing
    assert dict.fromkeys([*names, "late", "other"], 1) == storm.effects_of(served)
