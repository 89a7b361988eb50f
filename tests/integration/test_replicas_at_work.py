"""Several processes on one store, each a service of its own: what one leaves the other goes on with."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests import services
from tests.integration.sharing import A, fire, opened
from tests.served import Served


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[Served]]:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(Served(tmp_path / name))
    yield made
    for served in made:
        served.end()


def start(served: Served, url: str, folder: Path, **more: Any) -> None:
    """A process on the shared database; it heals once `well` is there, in a folder that both know."""
    look = {"argv": ["ls", str(folder / "well")], "effect": "read"}
    mend = {
        "argv": ["touch", str(folder / "mended-{service}")],
        "parameters": {"service": {}},
        "effect": "change",
        "target": "{service}",
    }
    store = {"directory": str(served.folder / "store"), "url": url}
    served.configure(store=store, commands={"mend": mend, "look": look}, **more)
    served.start()


def deliver(served: Served, **labels: str) -> int:
    now = datetime.now(UTC).isoformat()
    one = {"status": "firing", "labels": {"alertname": "Down", "service": "web", **labels}, "annotations": {}}
    body = {"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": [{**one, "startsAt": now}]}
    return served.ask("/api/v1/alerts", body=json.dumps(body).encode())[0]


def test_a_run_goes_on_at_another_process_when_its_own_is_killed(
    pair: list[Served], new_database: str, tmp_path: Path
) -> None:
    """Nobody has to restart anything for an alert to be seen to."""
    for served in pair:
        start(served, new_database, tmp_path, mode="auto")
    one, two = pair
    assert 202 == deliver(one)
    services.wait_until(lambda: two.run()["stage"] == "acted", "the step to be done, and that to be noted")
    one.kill()
    (tmp_path / "well").touch()
    services.wait_until(lambda: two.run()["outcome"] is not None, "the run to end")

    assert "healed" == two.run()["outcome"]
    assert 1 == two.log().count("runs_taken_over")


def test_what_one_process_asks_can_be_answered_at_another(
    pair: list[Served], new_database: str, tmp_path: Path
) -> None:
    """A load balancer gives people any of them."""
    for served in pair:
        start(served, new_database, tmp_path)
    one, two = pair
    assert 202 == deliver(one)
    (tmp_path / "well").touch()
    services.wait_until(lambda: bool(two.run()["waiting"]), "the plan to wait for a person")
    approved = two.command("approve", two.run()["id"], "--yes")
    services.wait_until(lambda: one.run()["outcome"] is not None, "the run to end")

    assert 0 == approved.returncode, approved.stderr
    assert "healed" == one.run()["outcome"]


async def test_programs_of_a_newer_version_and_of_this_one_share_a_store(new_database: str) -> None:
    """While an upgrade rolls, both run; a version that this one cannot work with is refused elsewhere."""
    async with opened(new_database):
        link = await asyncpg.connect(new_database)
        await link.execute("UPDATE remediator.version SET number = number + 1, oldest = number")
        await link.close()
        async with opened(new_database) as (again,):
            await fire(again, "r")
            assert ["r"] == [wake.run for wake in await again.claim_due(A, 1)]
