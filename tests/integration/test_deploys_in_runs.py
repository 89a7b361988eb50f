"""A deploy of somebody else's, a real engine and the whole service: what waits, what people read, what they approve."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
import yaml

from tests import services
from tests.served import WIDE, Served

_NUMBERS = count(1)
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"


@pytest.fixture
def name() -> str:
    """Of a container that no other test has."""
    return f"rolled-out-{next(_NUMBERS)}"


def start(served: Served, engine: str, *, mode: str, cooldown: str) -> None:
    """The service, with a rule that restarts a container."""
    container = {"container": "{{ labels.service }}"}
    check = {"docker.inspect": container, "expect": "result.running"}
    rule = {
        "name": "down",
        "summary": "{{ labels.service }} is down",
        "match": ['alertname="Down"'],
        "mode": mode,
        "remediate": [{"name": "restart", "do": [{"docker.restart": container}]}],
        "limits": {"min_healthy": 0},
        "verify": {"settle": "200ms", "sustain": "200ms", "within": "10s", "every": "200ms", "checks": [check]},
    }
    served.configure(
        limits={**WIDE, "cooldown_after_deploy": cooldown}, docker={"engines": {"local": engine}}, mode_ceiling="auto"
    )
    (served.folder / "rules.yaml").write_text(yaml.safe_dump({"pack": "shop", "rules": [rule]}))
    served.start()


def deploy(engine: str, name: str) -> str:
    """The container, made anew; unhealthy, so that nothing is lost by a restart."""
    with services.docker_api(engine) as api:
        for one in api.containers(all=True, filters={"name": f"^/{name}$"}):
            api.remove_container(one["Id"], force=True)
    check = {"test": ["CMD", "false"], "interval": 200_000_000, "timeout": 30_000_000_000, "retries": 1}
    made = services.run_container(engine, name, _FOREVER, healthcheck=check)
    with services.docker_api(engine) as api:

        def health() -> str:
            return str(api.inspect_container(made)["State"]["Health"]["Status"])

        services.wait_until(lambda: health() == "unhealthy", "the container to be unhealthy")
    return made


def started_at(engine: str, name: str) -> str:
    with services.docker_api(engine) as api:
        return str(api.inspect_container(name)["State"]["StartedAt"])


def facts(served: Served, kind: str) -> list[dict[str, Any]]:
    runs = served.runs()
    return [fact for fact in runs[-1]["timeline"] if fact["kind"] == kind] if runs else []


def until(served: Served, holds: Callable[[], bool], what: str) -> None:
    services.wait_until(lambda: bool(served.runs()) and holds(), what)


def test_what_goes_by_itself_waits_for_the_cooldown_and_then_goes(
    served: Served, docker_engine: str, name: str
) -> None:
    """And `explain` says so before anything is sent."""
    start(served, docker_engine, mode="auto", cooldown="15s")
    deploy(docker_engine, name)
    before, began = started_at(docker_engine, name), time.monotonic()
    explained = served.command("explain", "Down", "-l", f"service={name}", "--gather")
    served.command("send", "Down", "-l", f"service={name}")
    until(served, lambda: bool(facts(served, "held")), "the plan to be held")
    (held,), unchanged = facts(served, "held"), started_at(docker_engine, name)
    until(served, lambda: served.run()["outcome"] is not None, "the run to end")

    assert "would be held: the target was changed a short time ago" in explained.stdout
    assert f"docker:local/{name}: somebody else has deployed it at" in explained.stdout
    assert "the target was changed a short time ago" == held["reason"]
    assert "before the alert came in (made from image busybox); the cooldown of 15s" in held["detail"]
    assert before == unchanged
    assert time.monotonic() - began > 10
    assert "healed" == served.run()["outcome"]
    assert before != started_at(docker_engine, name)
    assert 1 == len(facts(served, "held"))


def test_who_decides_is_asked_at_once_and_anew_after_another_deploy(
    served: Served, docker_engine: str, name: str
) -> None:
    """The plan that was approved is for a container that is not there any more."""
    start(served, docker_engine, mode="gated", cooldown="10m")
    deploy(docker_engine, name)
    served.command("send", "Down", "-l", f"service={name}")
    until(served, lambda: len(facts(served, "asked")) == 1, "a person to be asked")
    run = served.run()["id"]
    deploy(docker_engine, name)
    (planned,) = facts(served, "planned")
    old = datetime.fromisoformat(planned["at"]) + timedelta(seconds=6)  # made just now, it would be held for a while
    services.wait_until(lambda: datetime.now(UTC) > old, "the plan to be some seconds old")
    before = started_at(docker_engine, name)
    approved = served.command("approve", run, "--yes")
    until(served, lambda: len(facts(served, "asked")) == 2, "a person to be asked anew")
    first, second = facts(served, "asked")
    unchanged = started_at(docker_engine, name)
    again = served.command("approve", run, "--yes")
    until(served, lambda: served.run()["outcome"] is not None, "the run to end")

    assert [0, 0] == [approved.returncode, again.returncode]
    assert f"docker:local/{name}: somebody else has deployed it at" in first["why"]
    assert f"this is not what was approved: docker:local/{name} is not the one that it was" in second["why"]
    assert "after the alert came in (made from image busybox)" in second["why"]
    assert before == unchanged
    assert "healed" == served.run()["outcome"]
    assert before != started_at(docker_engine, name)
