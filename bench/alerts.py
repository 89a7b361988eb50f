"""Deliveries as Alertmanager makes them: alerts with the labels and annotations that are usual in a cluster."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from remediator.model.alert import fingerprint_of


def labels_of(alertname: str, name: str) -> dict[str, str]:
    """The labels of one alert."""
    return {
        "alertname": alertname,
        "service": name,
        "namespace": "octollm",
        "instance": f"10.42.17.23:8000/{name}",
        "job": "kubernetes-pods",
        "severity": "warning",
    }


def alert_of(alertname: str, name: str, at: str, *, resolved: bool = False) -> dict[str, Any]:
    """One alert of a body."""
    labels = labels_of(alertname, name)
    return {
        "status": "resolved" if resolved else "firing",
        "labels": labels,
        "annotations": {
            "summary": f"{name} does not answer",
            "description": f"{name} in namespace octollm has not answered its health check for more than 2 minutes.",
            "runbook_url": "https://runbooks.example.com/service-down",
        },
        "startsAt": at,
        "endsAt": at if resolved else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "fingerprint": fingerprint_of(labels),
    }


def body_of(alerts: list[dict[str, Any]]) -> bytes:
    """The body of a delivery."""
    first: Mapping[str, str] = alerts[0]["labels"]
    envelope = {
        "version": "4",
        "groupKey": '{}:{alertname="' + first["alertname"] + '"}',
        "truncatedAlerts": 0,
        "receiver": "remediator",
        "status": alerts[0]["status"],
        "groupLabels": {"alertname": first["alertname"]},
        "commonLabels": {"alertname": first["alertname"]},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093",
        "alerts": alerts,
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def bodies(alertname: str, prefix: str, *, requests: int, alerts: int, resolved: bool = False) -> Iterator[bytes]:
    """So many deliveries of so many alerts each, all different."""
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for number in range(requests):
        yield body_of(
            [
                alert_of(alertname, f"{prefix}-{number * alerts + place}", at, resolved=resolved)
                for place in range(alerts)
            ]
        )
