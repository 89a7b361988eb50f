"""Alerts as Alertmanager sends them to a service that runs as a process, and what becomes of them there."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from remediator.model.alert import fingerprint_of
from tests import services
from tests.served import Served

PAYLOADS = Path(__file__).parents[1] / "payloads"


def body_of(*labels: Mapping[str, str], resolved: bool = False) -> bytes:
    """A delivery as Alertmanager makes it, as far as it counts."""
    now = datetime.now(UTC).isoformat()
    alerts = [
        {
            "status": "resolved" if resolved else "firing",
            "labels": dict(one),
            "annotations": {},
            "startsAt": now,
            "endsAt": now if resolved else "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint_of(one),
        }
        for one in labels
    ]
    return json.dumps({"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": alerts}).encode()


def deliver(served: Served, *labels: Mapping[str, str]) -> None:
    assert 202 == served.ask("/api/v1/alerts", body=body_of(*labels))[0]


def down(service: str = "web") -> dict[str, str]:
    return {"alertname": "Down", "service": service}


def wait_for_stage(served: Served, *stages: str) -> None:
    """Wait until the runs, the oldest first, are there."""
    services.wait_until(
        lambda: [run["stage"] + ("*" if run["waiting"] else "") for run in served.runs()] == list(stages),
        f"runs to be {', '.join(stages)}",
    )


def ended(served: Served) -> tuple[int, str]:
    """The exit code of a service that does not start, and what it says."""
    code = served.spawn().wait(60)
    return code, served.log()
