"""One alert, five causes: each is found, and answered as the shipped pack for OctoLLM says, with every part real."""

from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.acceptance import world
from tests.acceptance.world import SERVICE, World

_LIMIT = 120.0
_EIGHT_GIB = 8 * 1024**3


def wait_for(told: World, outcome: str) -> dict[str, Any]:
    """The one run once it has ended so."""
    services.wait_until(lambda: told.outcome() is not None, f"the run to end; it should be {outcome}", limit=_LIMIT)
    run = told.served.run()
    assert outcome == run["outcome"], run["timeline"]
    return run


def plans(run: dict[str, Any]) -> list[str]:
    """The names of the remedies that were planned, in order."""
    return [fact["plan"]["name"] for fact in run["timeline"] if fact["kind"] == "planned"]


def test_a_crashed_service_is_started_again(docker_engine: str, tmp_path: Path) -> None:
    """Its databases are well, so the service itself it is."""
    with world.octollm(docker_engine, tmp_path, world.SERVING) as told:
        told.kill(SERVICE)
        run = wait_for(told, "healed")

        assert ["start it again"] == plans(run)
        assert told.is_well()


@pytest.mark.parametrize(("database", "remedy"), [("redis", "Redis"), ("postgres", "PostgreSQL"), ("qdrant", "Qdrant")])
def test_a_database_that_is_down_is_restarted_and_not_the_service(
    docker_engine: str, tmp_path: Path, database: str, remedy: str
) -> None:
    """The service says that it is not well; what is not well stands behind it."""
    with world.octollm(docker_engine, tmp_path, world.SERVING) as told:
        before = {name: told.inspect(name)["State"]["StartedAt"] for name in (SERVICE, *world.DATABASES)}
        told.kill(database)
        run = wait_for(told, "healed")
        after = {name: told.inspect(name)["State"]["StartedAt"] for name in before}

        assert [f"restart {remedy}"] == plans(run)
        assert {database} == {name for name in before if before[name] != after[name]}
        assert told.is_well()


def test_a_service_that_ran_out_of_memory_gets_more_once_a_person_has_approved(
    docker_engine: str, tmp_path: Path
) -> None:
    """More memory for one is less for all others, so a person decides; with it, the service lives."""
    with world.octollm(docker_engine, tmp_path, world.LEAKING, mem_limit="64m", memswap_limit="64m") as told:
        told.run_in(SERVICE, "/bin/busybox", "touch", "/tmp/leak")
        services.wait_until(lambda: not told.inspect(SERVICE)["State"]["Running"], "the kernel to kill the service")
        killed = told.inspect(SERVICE)["State"]
        services.wait_until(
            lambda: any(run["waiting"] for run in told.served.runs()), "the plan to wait for a person", limit=_LIMIT
        )
        waiting, untouched = told.served.run(), told.inspect(SERVICE)
        approved = told.served.command("approve", waiting["id"], "--plan", waiting["waiting"]["digest"])
        run = wait_for(told, "healed")
        after = told.inspect(SERVICE)

        assert killed["OOMKilled"]
        assert (False, 64 * 1024**2) == (untouched["State"]["Running"], untouched["HostConfig"]["Memory"])
        assert 0 == approved.returncode, approved.stderr
        assert ["more memory"] == plans(run)
        assert (_EIGHT_GIB, _EIGHT_GIB) == (after["HostConfig"]["Memory"], after["HostConfig"]["MemorySwap"])
        assert (untouched["Id"], True) == (after["Id"], after["State"]["Running"])
        assert told.is_well()


def test_a_service_that_is_configured_wrongly_is_told_with_the_variable(docker_engine: str, tmp_path: Path) -> None:
    """Starting it again would not help. The variables are named; what they hold may be a secret."""
    with world.octollm(docker_engine, tmp_path, world.MISCONFIGURED, is_well_first=False) as told:
        run = wait_for(told, "told")
        after = told.inspect(SERVICE)
        (ended,) = [fact for fact in run["timeline"] if fact["kind"] == "ended"]
        (examined,) = [fact for fact in run["timeline"] if fact["kind"] == "examined"]
        found = examined["evidence"]

        assert "WORKER_LIMIT, DATABASE_URL" in str(ended)
        assert "exit code 1" in str(ended)
        assert "hunter2" not in str(ended)
        assert "WORKER_LIMIT" in str(found["configuration"])
        assert "hunter2" not in str(found["configuration"])
        assert [] == plans(run)
        assert (False, 0) == (after["State"]["Running"], after["RestartCount"])
