"""The calls that need no token of the API: those of Slack, and of whoever watches the service."""

from remediator.web.operations.operation import Body, Door, Operation, Parameter
from remediator.web.shapes import TEXT, VALUES, named, thing

SLACKS = tuple(
    Operation(
        call,
        says,
        {200: VALUES},
        door=Door.SLACK,
        parameters=(
            Parameter("X-Slack-Request-Timestamp", "When it was signed.", TEXT, "header", required=True),
            Parameter("X-Slack-Signature", "With what it was signed.", TEXT, "header", required=True),
        ),
        body=Body(shape, "application/x-www-form-urlencoded"),
        errors=(403,),
        name=name,
    )
    for call, says, shape, name in (
        ("POST /slack/interactions", "A press of a button in Slack, or a reason.", thing(payload=TEXT), "slackPress"),
        (
            "POST /slack/commands",
            "The command `/remediator` in Slack.",
            {"type": "object", "additionalProperties": TEXT},
            "slackCommand",
        ),
    )
)

WATCHERS = (
    Operation("GET /api/v1/openapi.json", "This document.", {200: VALUES}, door=Door.OPEN, name="showOpenapi"),
    Operation(
        "GET /healthz", "Whether the process answers.", {200: thing(status=TEXT)}, door=Door.OPEN, name="isAlive"
    ),
    Operation(
        "GET /readyz",
        "Whether alerts can be accepted now, and what was looked at; 503 where they cannot.",
        {200: named("Health"), 503: named("Health")},
        door=Door.OPEN,
        name="isReady",
    ),
    Operation(
        "GET /metrics",
        "Every metric, in Prometheus' text format.",
        {200: TEXT},
        door=Door.OPEN,
        form="text/plain",
        name="readMetrics",
    ),
)
