"""Another run for an alert that fires still, from the real service: asked for at the terminal, through a restart."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.served import Served


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    store: dict[str, Any] = {"directory": str(tmp_path / "store")}
    if request.param == "postgresql":
        store["url"] = request.getfixturevalue("new_database")
    made.configure(mode="gated", store=store)
    made.start()
    yield made
    made.end()


def fire(served: Served) -> None:
    body = {"alerts": [{"status": "firing", "labels": {"alertname": "Down", "service": "web"}}]}
    status, answer = served.ask("/api/v1/alerts", body=json.dumps(body).encode())
    assert 202 == status, answer


def newest(served: Served) -> dict[str, Any]:
    return served.runs()[-1]


def test_a_cancelled_run_is_begun_anew_approved_and_heals(served: Served) -> None:
    """Nothing was done until a person approved the new run's own plan; who asked for it stays on record."""
    fire(served)
    services.wait_until(lambda: newest(served)["waiting"], "the first plan to wait")
    old = served.run()["id"]
    under_way = served.command("rerun", old)
    served.command("cancel", old)
    services.wait_until(lambda: newest(served)["outcome"] == "cancelled", "the run to end")
    fire(served)  # a repeat begins nothing
    assert 1 == len(served.runs())
    served.stop()
    served.start()
    again = served.command("rerun", old[-6:], "--reason", "the disk is back")
    services.wait_until(lambda: newest(served)["waiting"], "the second plan to wait")
    new = newest(served)
    twice = served.command("rerun", old)

    assert 1 == under_way.returncode
    assert f"run {old} of this alert is under way" in under_way.stderr
    assert (0, f"begun anew: run {new['id']} of web/down (see: remediator runs show {new['id']})\n") == (
        again.returncode,
        again.stdout,
    )
    assert 1 == twice.returncode
    assert f"the alert has a later run already: {new['id']}" in twice.stderr
    assert not (served.folder / "mended-web").exists()
    (word,) = [signal for signal in new["signals"] if signal["kind"] == "again"]
    assert "the disk is back" == word["reason"]
    assert "begun anew by" in word["text"]

    served.command("approve", new["id"], "--yes")
    services.wait_until(lambda: newest(served)["outcome"] == "healed", "the new run to heal")
    shown = served.command("runs", "show", new["id"]).stdout
    assert "begun anew by" in shown
    first = served.command("runs", "show", old).stdout
    assert "has had another run begun" in first


def test_an_alert_that_has_resolved_is_not_begun_anew(served: Served) -> None:
    """By its fingerprint neither; it says what happens when it fires again."""
    fire(served)
    services.wait_until(lambda: newest(served)["waiting"], "the plan to wait")
    run = served.run()
    body = {"alerts": [{"status": "resolved", "labels": {"alertname": "Down", "service": "web"}}]}
    served.ask("/api/v1/alerts", body=json.dumps(body).encode())
    services.wait_until(lambda: served.run()["outcome"], "the run to end")
    (alert,) = json.loads(served.command("alerts", "-o", "json").stdout)["alerts"]
    for arguments in ([run["id"]], ["--fingerprint", alert["fingerprint"]]):
        result = served.command("rerun", *arguments)
        assert 1 == result.returncode
        assert "the alert has resolved; when it fires again, it has a new run by itself" in result.stderr
