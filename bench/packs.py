"""The rules that services are measured with."""

from typing import Any

NAME = "{{ labels.service }}"

COMPLETE: dict[str, Any] = {
    "name": "complete",
    "summary": "{{ labels.service }} in {{ labels.namespace }} does not answer",
    "match": ['alertname="Complete"', 'namespace="octollm"'],
    "mode": "auto",
    "diagnose": {
        "state": {"bench.look": {"name": NAME}},
        "logs": {"bench.look": {"name": "{{ labels.instance }}"}},
        "load": {"bench.look": {"name": "{{ labels.job }}"}},
    },
    "remediate": [
        {
            "name": "restart",
            "when": "steps.state.fine and steps.load.restarts < 3",
            "do": [{"bench.act": {"name": NAME}}],
        }
    ],
    "verify": {
        "settle": "0s",
        "sustain": "0s",
        "within": "1m",
        "every": "1s",
        "checks": [{"bench.look": {"name": NAME}, "expect": "result.fine"}],
    },
}
"""Three diagnoses, a plan, the guards, a step, a check, an outcome."""

GATED = {**COMPLETE, "name": "gated", "match": ['alertname="Gated"'], "mode": "gated"}
"""The same, and a person is asked."""

STAMPED: dict[str, Any] = {
    "name": "stamped",
    "summary": "{{ labels.service }} does not answer",
    "match": ['alertname="Stamped"'],
    "mode": "observe",
    "diagnose": {"state": {"bench.stamp": {"name": NAME}}},
}
"""One diagnosis, which says when it began."""

WAITING: dict[str, Any] = {
    "name": "waiting",
    "match": ['alertname="Waiting"'],
    "mode": "observe",
    "diagnose": {"all": {"bench.wait": {"seconds": 3000}, "timeout": "55m"}},
}
"""A run that keeps the place that it has."""

LATER: dict[str, Any] = {"name": "later", "match": ['alertname="Later"'], "mode": "observe"}
"""A run that is created, and waits while all places are kept."""


def http_get(port: int) -> dict[str, Any]:
    """One HTTP request as a diagnosis, and its outcome told."""
    return {
        "name": "asked",
        "summary": "{{ labels.service }} is asked",
        "match": ['alertname="Asked"'],
        "mode": "observe",
        "diagnose": {"health": {"http.get": {"url": f"http://127.0.0.1:{port}/health"}}},
    }


def many(count: int) -> list[dict[str, Any]]:
    """So many rules for alerts of other names, and one for an alert that comes."""
    others = [
        {
            "name": f"other-{number}",
            "match": [f'alertname="Other{number}"', 'namespace=~"octollm|production"'],
            "mode": "observe",
            "continue": True,
        }
        for number in range(count - 1)
    ]
    return [*others, {"name": "later", "match": ['alertname="Later"'], "mode": "observe"}]
