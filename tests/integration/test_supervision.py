"""The chain is watched: a heartbeat through the real Prometheus and Alertmanager, and what a kill left unknown."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import services
from tests.served import Served

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "remediator.yml"
LOST, BACK = "the heartbeat Watchdog has stopped coming", "the heartbeat Watchdog came back after"


def said(served: Served, start: int) -> str:
    """What chat was told since one of the starts."""
    return (served.folder / f"out-{start}").read_text()


def heartbeat(served: Served) -> dict[str, Any]:
    """What readiness says of it."""
    (check,) = (one for one in served.readiness()[1]["checks"] if one["name"] == "heartbeat")
    return dict(check)


def is_late(served: Served) -> float:
    return served.series()["remediator_heartbeat_late"]


@pytest.mark.service("prometheus")
@pytest.mark.service("alertmanager")
def test_a_chain_that_breaks_behind_our_back_is_noticed(served: Served) -> None:
    """With the rule that is shipped: Alertmanager hangs, and later Prometheus ends. All looks quiet then, and well."""
    services.requires("prometheus", "prometheus-alertmanager")
    served.configure(heartbeat={"alertname": "Watchdog", "silence": "10s"})
    served.start()
    webhook = f"{served.url}/api/v1/alerts"
    with (
        services.alertmanager(webhook=webhook, route={"repeat_interval": "1s"}) as alertmanager,
        services.prometheus(
            rules=yaml.safe_load(RULES.read_text()),
            alertmanagers=[alertmanager.address.removeprefix("http://")],
            arguments=["--rules.alert.resend-delay=1s"],
        ) as prometheus,
    ):
        services.wait_until(lambda: served.series()["remediator_heartbeat_last_seconds"] > 0, "the first beat")
        first = served.series()["remediator_heartbeat_last_seconds"]
        services.wait_until(lambda: served.series()["remediator_heartbeat_last_seconds"] > first + 12, "it to go on")
        beating = (is_late(served), heartbeat(served)["degraded"], served.runs())

        alertmanager.freeze()
        services.wait_until(lambda: is_late(served) == 1, "the silence to be noticed")
        services.wait_until(lambda: LOST in said(served, 1), "it to be told")
        status, _ = served.readiness()
        silent = heartbeat(served)
        served.kill()
        served.start()
        restarted = (is_late(served), heartbeat(served)["degraded"])
        alertmanager.thaw()
        services.wait_until(lambda: BACK in said(served, 2), "it to come back")
        back = (is_late(served), heartbeat(served)["degraded"], LOST in said(served, 2))
        prometheus.stop()
        services.wait_until(lambda: LOST in said(served, 2), "the next silence to be told")

        assert (0, False, []) == beating
        assert (200, True) == (status, silent["degraded"])
        assert "Watchdog is late: heard last at " in silent["detail"]
        assert (1, True) == restarted
        assert (0, False, False) == back
        assert 1 == said(served, 1).count(LOST)
        assert served.series()["remediator_heartbeat_last_seconds"] <= time.time()


def test_what_a_kill_left_unknown_is_settled_by_a_person(served: Served) -> None:
    """The whole way: killed while it acts, unknown after the start, settled at the terminal, told in the thread."""
    acting = served.folder / "acting"
    slow = ["sh", "-c", f"touch {acting}; sleep 30", "{service}"]
    look = {"argv": ["ls", str(served.folder / "mended-web")], "effect": "read"}
    mend = {"argv": slow, "parameters": {"service": {}}, "effect": "change", "target": "{service}", "timeout": "10m"}
    served.configure(mode="auto", commands={"mend": mend, "look": look})
    served.start()
    early = served.command("send", "Down", "-l", "service=web")
    services.wait_until(acting.exists, "the step to act")
    (run,) = served.runs()
    refused = served.command("runs", "settle", run["id"], "done")
    served.kill()
    served.start()
    services.wait_until(lambda: served.run()["unsettled"] is not None, "the step to be unknown")
    shown = served.command("runs", "show", run["id"])
    listed = served.command("runs", "list", "--unsettled")

    settled = served.command("runs", "settle", run["id"][-6:], "not-done", "--reason", "I looked")
    services.wait_until(lambda: served.run()["timeline"][-1]["kind"] == "settled", "it to be on record")
    again = served.command("runs", "settle", run["id"], "done")
    none = served.command("runs", "list", "--unsettled")

    assert 0 == early.returncode, early.stderr
    assert (1, "nothing of this run is unknown") == (refused.returncode, refused.stderr.split(";")[0])
    assert f"remediator runs settle {run['id']} done" in shown.stdout.splitlines()[-1]
    assert f"Process  {socket.gethostname()} " in shown.stdout
    assert [run["id"], "no"] == [listed.stdout.splitlines()[1].split()[0], none.stdout.split()[0]]
    assert (0, f"settled as not-done: run {run['id']} (see: remediator runs show {run['id']})") == (
        settled.returncode,
        settled.stdout.strip(),
    )
    assert (1, "it was settled already") == (again.returncode, again.stderr.split(";")[0])
    assert served.run()["timeline"][-1]["text"].endswith(": I looked")
    assert served.run()["unsettled"] is None
    services.wait_until(lambda: "” was not done" in said(served, 2), "the thread to be told")
