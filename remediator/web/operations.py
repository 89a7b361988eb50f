"""The table of all that can be called over HTTP: what each call takes, who may make it, and what it answers.

The server adds its routes from this table, and the OpenAPI document is written from it: a route that does not stand
here cannot be added, and the scope that the document tells is the one that is checked. It describes and does nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from remediator.model.duration import PATTERN
from remediator.model.stop import StopKind
from remediator.model.token import Scope
from remediator.web.shapes import (
    COUNT,
    OUTCOMES,
    PARTS,
    TEXT,
    TEXTS,
    TIME,
    VALUES,
    YES_NO,
    Shape,
    many,
    maybe,
    named,
    one_of,
    thing,
)


class Door(StrEnum):
    """Who may call at all. The text is a heading."""

    TOKEN = "With a token of the API"  # noqa: S105 - words for people
    SENDER = "From senders of alerts"
    SLACK = "Signed by Slack"
    OPEN = "By anybody"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or a header."""

    name: str
    says: str
    shape: Shape
    place: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """What a call takes."""

    shape: Shape
    form: str = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: its method with its path, and all that there is to know before making it."""

    call: str
    says: str
    answers: Mapping[int, Shape]
    """Those that are no error, by their status; an empty shape stands for an empty answer."""
    scope: Scope | None = None
    """What a token of the API needs; None where none is asked for."""
    door: Door = Door.TOKEN
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    errors: tuple[int, ...] = ()
    """Those besides what every call of its kind may answer."""
    form: str = "application/json"
    name: str = field(default="", kw_only=True)
    """For programs that are made from the document."""

    def __post_init__(self) -> None:
        if (self.scope is None) is (self.door is Door.TOKEN):
            raise ValueError(f"{self.call} has to need a scope, or another door than a token")

    @property
    def method(self) -> str:
        return self.call.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.call.partition(" ")[2]


_WORDS: Shape = {"type": "string", "maxLength": 2000}
_NAME: Shape = {"type": "string", "maxLength": 1000}
_RULE: Shape = {"type": "string", "minLength": 1, "maxLength": 200}
_ID: Shape = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[0-9A-Za-z]+$"}
_DIGEST: Shape = {"type": "string", "minLength": 1, "maxLength": 64}
_PAIRS: Shape = {
    "type": "object",
    "maxProperties": 64,
    "propertyNames": {"minLength": 1, "maxLength": 4096},
    "additionalProperties": {"type": "string", "maxLength": 4096},
}
_BY = {"by": {**_WORDS, "description": "In whose name; needed with the admin token, and with no other."}}
_WHO = {**_BY, "reason": _WORDS}
_ASKED_AT: Shape = {**TIME, "description": "As the run shows it: refused where people were asked anew since."}
_LIMIT = Parameter("limit", "How many at the most.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50})
_DURATION: Shape = {"type": "string", "pattern": PATTERN}
_LASTS = "How long: `30m`, `2h`, `90d`."
_DELIVERY: Shape = {
    "type": "object",
    "description": "A webhook of Alertmanager, version 4. What is named here has to be right; the rest may be missing.",
    "properties": {
        "truncatedAlerts": maybe({**COUNT, "maximum": 2**53}),
        "alerts": maybe(
            many(
                {
                    "type": "object",
                    "properties": {
                        "status": maybe({"type": "string", "enum": ["firing", "resolved"]}),
                        "labels": TEXTS,
                        "annotations": maybe(TEXTS),
                        "startsAt": maybe(TEXT),
                        "endsAt": maybe(TEXT),
                    },
                    "required": ["labels"],
                }
            )
        ),
    },
    "required": ["alerts"],
}
_SAYS = "What came of it, in words."
_READ, _DECIDE, _ADMIN = Scope.READ, Scope.DECIDE, Scope.ADMIN


def _takes(*required: str, **fields: Shape) -> Body:
    return Body({"type": "object", "properties": fields, "required": list(required), "additionalProperties": False})


def _maybe_empty(pattern: str) -> Shape:
    """Texts of that pattern; an empty one is as good as none."""
    return {"type": "string", "pattern": f"^$|{pattern}"}


def _switch(name: str, says: str) -> Parameter:
    return Parameter(name, says, YES_NO)


_ALERTS_AND_RUNS = (
    Operation(
        "POST /api/v1/alerts",
        "Take alerts from Alertmanager; answered once they are on disk.",
        {202: thing()},
        door=Door.SENDER,
        body=Body(_DELIVERY),
        name="sendAlerts",
    ),
    Operation(
        "GET /api/v1/alerts",
        "The alerts that were heard of, the newest first.",
        {200: thing(alerts=many(named("Alert")))},
        _READ,
        parameters=(_LIMIT, _switch("open", "Only those that have not resolved.")),
        errors=(400,),
        name="listAlerts",
    ),
    Operation(
        "GET /api/v1/alerts/{fingerprint}",
        "One alert, as it was when it was heard of last.",
        {200: named("Alert")},
        _READ,
        errors=(404,),
        name="showAlert",
    ),
    Operation(
        "POST /api/v1/alerts/{fingerprint}/rerun",
        "Begin another run for an alert that fires still; 409 where one is under way.",
        {201: named("Begun")},
        _DECIDE,
        body=_takes(**_WHO),
        errors=(404, 409),
        name="rerunAlert",
    ),
    Operation(
        "GET /api/v1/runs",
        "The runs, the newest first.",
        {200: thing(runs=many(named("RunLine")))},
        _READ,
        parameters=(
            _LIMIT,
            Parameter("outcome", "Only those that ended so; `_` or `-` may stand for a blank.", OUTCOMES),
            _switch("active", "Only those that have not ended."),
            _switch("waiting", "Only those that wait for a person, among the newest 500 that have not ended."),
            _switch("unsettled", "Only those with a step that nobody knows the end of."),
        ),
        errors=(400,),
        name="listRuns",
    ),
    Operation(
        "POST /api/v1/runs",
        "Start a rule by hand, for an alert that you state; 200 where the same request has started it before, 400 with "
        "each matcher that the labels do not fit, 404 for no rule, 409 where the alert is open already.",
        {200: (started := thing(run=TEXT, rule=TEXT, repeated=YES_NO)), 201: started},
        _DECIDE,
        parameters=(
            Parameter(
                "Idempotency-Key",
                "Whoever sends the same request again with the same key starts nothing twice.",
                {"type": "string", "maxLength": 200},
                "header",
            ),
        ),
        body=_takes(
            "rule",
            rule={**_WORDS, "minLength": 1, "description": "`pack/rule`."},
            labels=_PAIRS,
            annotations=_PAIRS,
            **_WHO,
        ),
        errors=(404, 409),
        name="startRun",
    ),
    Operation(
        "GET /api/v1/runs/{id}",
        "All that is known of a run: its alert, its timeline, what waits, what it has changed, its messages.",
        {200: named("Run")},
        _READ,
        errors=(404,),
        name="showRun",
    ),
    Operation(
        "POST /api/v1/runs/{id}/decision",
        "Approve or deny the plan that waits, by its digest; 403 where you may not decide on it, 409 where it waits no "
        "more or has changed. `missing` says how many more people have to approve.",
        {202: thing(says={**TEXT, "description": _SAYS}, missing=COUNT)},
        _DECIDE,
        body=_takes(
            "approved", "digest", approved=YES_NO, digest={**_WORDS, "minLength": 1}, asked_at=_ASKED_AT, **_WHO
        ),
        errors=(404, 409),
        name="decide",
    ),
    Operation(
        "POST /api/v1/runs/{id}/cancel",
        "Have a run stop; a step that is acting is let to its end. 409 where it has ended.",
        {202: thing(says={**TEXT, "description": _SAYS}, at_once=YES_NO)},
        _DECIDE,
        body=_takes(**_WHO),
        errors=(404, 409),
        name="cancel",
    ),
    Operation(
        "POST /api/v1/runs/{id}/settle",
        "Say whether the step that nobody saw the end of was done; 409 where none is unknown.",
        {202: thing()},
        _DECIDE,
        body=_takes("done", done=YES_NO, **_WHO),
        errors=(404, 409),
        name="settle",
    ),
    Operation(
        "GET /api/v1/runs/{id}/undo",
        "What would come of putting a run's changes back.",
        {200: named("Undo")},
        _READ,
        parameters=(
            _switch("look", "Look how it is now as well, without changing anything."),
            Parameter(
                "wait", "Answer once nothing is being put back, or after this time: `30s` at the most.", _DURATION
            ),
        ),
        errors=(400, 404, 409),
        name="showUndo",
    ),
    Operation(
        "POST /api/v1/runs/{id}/undo",
        "Have a run's changes put back; 409 where nothing would come of it.",
        {202: named("Undo")},
        _DECIDE,
        body=_takes(**_WHO),
        errors=(404, 409),
        name="undo",
    ),
    Operation(
        "POST /api/v1/runs/{id}/rerun",
        "Begin another run for a run's alerts that fire still; 409 where one is under way.",
        {201: named("Begun")},
        _DECIDE,
        body=_takes(**_WHO),
        errors=(404, 409),
        name="rerun",
    ),
    Operation(
        "POST /api/v1/runs/{id}/acknowledge",
        "Take a problem on, so that no further level is told; 409 where it is over, or somebody else has it.",
        {202: named("Word")},
        _DECIDE,
        body=_takes(take_over=YES_NO, **_WHO),
        errors=(404, 409),
        name="acknowledge",
    ),
)

_PEOPLE = (
    Operation(
        "GET /api/v1/approvals",
        "What waits for people, the oldest first; `more` where not all active runs were looked through.",
        {200: thing(approvals=many(named("Approval")), more=YES_NO)},
        _READ,
        parameters=(Parameter("rule", "Only what this rule has planned.", _RULE),),
        errors=(400,),
        name="listApprovals",
    ),
    Operation(
        "POST /api/v1/approvals/decision",
        "Approve or deny several plans; the answer says of each run what became of it.",
        {200: thing(runs=many(named("Verdict")))},
        _DECIDE,
        body=_takes(
            "runs",
            "approved",
            runs={
                **many(_takes("id", "digest", id=_ID, digest=_DIGEST, asked_at=_ASKED_AT).shape),
                "minItems": 1,
                "maxItems": 500,
            },
            approved=YES_NO,
            **_WHO,
        ),
        name="decideOnSeveral",
    ),
    Operation(
        "GET /api/v1/escalations",
        "The open problems, each with who was told, and who is next.",
        {200: thing(escalations=many(named("Escalation")))},
        _READ,
        errors=(400,),
        name="listEscalations",
    ),
    Operation(
        "GET /api/v1/tokens",
        "All tokens, also those that are over.",
        {200: thing(tokens=many(named("Token")))},
        _ADMIN,
        errors=(400,),
        name="listTokens",
    ),
    Operation(
        "POST /api/v1/tokens",
        "Make a token.",
        {201: named("NewToken")},
        _ADMIN,
        body=_takes(
            "subject",
            "scope",
            subject={**_WORDS, "minLength": 1, "description": "Whose it is."},
            scope=one_of(Scope),
            groups={**many(TEXT), "maxItems": 100},
            **{
                "for": {
                    **_maybe_empty(f"{PATTERN}|^never$"),
                    "default": "90d",
                    "description": "Or `never`.",
                }
            },
            **_BY,
        ),
        name="makeToken",
    ),
    Operation(
        "POST /api/v1/tokens/{id}/revoke",
        "Have a token be of no use any more; 409 where it is revoked already.",
        {200: thing()},
        _ADMIN,
        body=_takes(**_BY),
        errors=(404, 409),
        name="revokeToken",
    ),
    Operation(
        "GET /api/v1/audit",
        "A page of the audit journal, and where its chain begins and ends.",
        {200: named("Audit")},
        _ADMIN,
        parameters=(
            Parameter(
                "after",
                "Only what comes after this `seq`; with `part=sealed` after this place.",
                {**COUNT, "maximum": 2**63 - 1},
            ),
            Parameter(
                "limit",
                "How many at the most.",
                {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
            ),
            Parameter("run", "Only what is of this run; not together with `part`.", _ID),
            Parameter("part", "`sealed`: in the order of the chain.", PARTS),
        ),
        errors=(400,),
        name="readAudit",
    ),
)

_STOPS = (
    Operation(
        "GET /api/v1/stops",
        "All that stands in the way of changes.",
        {200: thing(stops=many(named("Stop")))},
        _READ,
        errors=(400,),
        name="listStops",
    ),
    Operation(
        "POST /api/v1/stops/pause",
        "Pause a scope, for a time or until it is resumed.",
        {201: named("Paused")},
        _ADMIN,
        body=_takes(
            "scope",
            scope={
                "type": "string",
                "minLength": 1,
                "description": "`everything`, `rule:web/down`, `target:…`, as `remediator pause` takes it.",
            },
            reason=_NAME,
            by={**_BY["by"], **_NAME},
            **{"for": {**_maybe_empty(PATTERN), "description": _LASTS}},
        ),
        name="pause",
    ),
    Operation(
        "POST /api/v1/stops/lift",
        "Lift one stop.",
        {200: thing(note=TEXT)},
        _ADMIN,
        body=_takes(
            "kind",
            "scope",
            kind=one_of(StopKind),
            scope={"type": "string", "minLength": 1},
            by={**_BY["by"], **_NAME},
        ),
        errors=(404,),
        name="lift",
    ),
    Operation(
        "GET /api/v1/limits",
        "How much of each budget is used, and when it frees; without a rule those of all rules together.",
        {200: thing(rule=maybe(TEXT), target=maybe(TEXT), budgets=many(named("Budget")))},
        _READ,
        parameters=(
            Parameter("rule", "`pack/rule`.", _RULE),
            Parameter("target", "One target of the rule; not without `rule`.", {**_NAME, "minLength": 1}),
        ),
        errors=(400, 404),
        name="showLimits",
    ),
    Operation(
        "GET /api/v1/breakers",
        "The systems that were asked lately, those that do not answer first.",
        {200: thing(breakers=many(named("Breaker")))},
        _READ,
        errors=(400,),
        name="listBreakers",
    ),
    Operation(
        "POST /api/v1/breakers/reset",
        "Close the breaker of a system, in the process that is asked.",
        {200: thing()},
        _ADMIN,
        body=_takes("system", system={**_NAME, "minLength": 1}, by={**_BY["by"], **_NAME}),
        errors=(404,),
        name="resetBreaker",
    ),
)

_SLACKS = tuple(
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

_WATCHERS = (
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

OPERATIONS: Mapping[str, Operation] = {
    operation.call: operation for operation in (*_ALERTS_AND_RUNS, *_PEOPLE, *_STOPS, *_SLACKS, *_WATCHERS)
}
