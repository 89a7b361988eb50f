"""The calls over alerts and runs."""

from remediator.model.duration import PATTERN
from remediator.model.token import Scope
from remediator.web.operations.fields import ASKED_AT, WHO, WORDS, switch, takes
from remediator.web.operations.operation import Body, Door, Operation, Parameter
from remediator.web.shapes import COUNT, OUTCOMES, TEXT, TEXTS, YES_NO, Shape, many, maybe, named, thing

_PAIRS: Shape = {
    "type": "object",
    "maxProperties": 64,
    "propertyNames": {"minLength": 1, "maxLength": 4096},
    "additionalProperties": {"type": "string", "maxLength": 4096},
}
_LIMIT = Parameter("limit", "How many at the most.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50})
_DURATION: Shape = {"type": "string", "pattern": PATTERN}
_SAYS = "What came of it, in words."
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

ALERTS_AND_RUNS = (
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
        Scope.READ,
        parameters=(_LIMIT, switch("open", "Only those that have not resolved.")),
        errors=(400,),
        name="listAlerts",
    ),
    Operation(
        "GET /api/v1/alerts/{fingerprint}",
        "One alert, as it was when it was heard of last.",
        {200: named("Alert")},
        Scope.READ,
        errors=(404,),
        name="showAlert",
    ),
    Operation(
        "POST /api/v1/alerts/{fingerprint}/rerun",
        "Begin another run for an alert that fires still; 409 where one is under way.",
        {201: named("Begun")},
        Scope.DECIDE,
        body=takes(**WHO),
        errors=(404, 409),
        name="rerunAlert",
    ),
    Operation(
        "GET /api/v1/runs",
        "The runs, the newest first.",
        {200: thing(runs=many(named("RunLine")))},
        Scope.READ,
        parameters=(
            _LIMIT,
            Parameter("outcome", "Only those that ended so; `_` or `-` may stand for a blank.", OUTCOMES),
            switch("active", "Only those that have not ended."),
            switch("waiting", "Only those that wait for a person, among the newest 500 that have not ended."),
            switch("unsettled", "Only those with a step that nobody knows the end of."),
        ),
        errors=(400,),
        name="listRuns",
    ),
    Operation(
        "POST /api/v1/runs",
        "Start a rule by hand, for an alert that you state; 200 where the same request has started it before, 400 with "
        "each matcher that the labels do not fit, 404 for no rule, 409 where the alert is open already.",
        {200: (started := thing(run=TEXT, rule=TEXT, repeated=YES_NO)), 201: started},
        Scope.DECIDE,
        parameters=(
            Parameter(
                "Idempotency-Key",
                "Whoever sends the same request again with the same key starts nothing twice.",
                {"type": "string", "maxLength": 200},
                "header",
            ),
        ),
        body=takes(
            "rule",
            rule={**WORDS, "minLength": 1, "description": "`pack/rule`."},
            labels=_PAIRS,
            annotations=_PAIRS,
            **WHO,
        ),
        errors=(404, 409),
        name="startRun",
    ),
    Operation(
        "GET /api/v1/runs/{id}",
        "All that is known of a run: its alert, its timeline, what waits, what it has changed, its messages.",
        {200: named("Run")},
        Scope.READ,
        errors=(404,),
        name="showRun",
    ),
    Operation(
        "POST /api/v1/runs/{id}/decision",
        "Approve or deny the plan that waits, by its digest; 403 where you may not decide on it, 409 where it waits no "
        "more or has changed. `missing` says how many more people have to approve.",
        {202: thing(says={**TEXT, "description": _SAYS}, missing=COUNT)},
        Scope.DECIDE,
        body=takes("approved", "digest", approved=YES_NO, digest={**WORDS, "minLength": 1}, asked_at=ASKED_AT, **WHO),
        errors=(404, 409),
        name="decide",
    ),
    Operation(
        "POST /api/v1/runs/{id}/cancel",
        "Have a run stop; a step that is acting is let to its end. 409 where it has ended.",
        {202: thing(says={**TEXT, "description": _SAYS}, at_once=YES_NO)},
        Scope.DECIDE,
        body=takes(**WHO),
        errors=(404, 409),
        name="cancel",
    ),
    Operation(
        "POST /api/v1/runs/{id}/settle",
        "Say whether the step that nobody saw the end of was done; 409 where none is unknown.",
        {202: thing()},
        Scope.DECIDE,
        body=takes("done", done=YES_NO, **WHO),
        errors=(404, 409),
        name="settle",
    ),
    Operation(
        "GET /api/v1/runs/{id}/undo",
        "What would come of putting a run's changes back.",
        {200: named("Undo")},
        Scope.READ,
        parameters=(
            switch("look", "Look how it is now as well, without changing anything."),
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
        Scope.DECIDE,
        body=takes(**WHO),
        errors=(404, 409),
        name="undo",
    ),
    Operation(
        "POST /api/v1/runs/{id}/rerun",
        "Begin another run for a run's alerts that fire still; 409 where one is under way.",
        {201: named("Begun")},
        Scope.DECIDE,
        body=takes(**WHO),
        errors=(404, 409),
        name="rerun",
    ),
    Operation(
        "POST /api/v1/runs/{id}/acknowledge",
        "Take a problem on, so that no further level is told; 409 where it is over, or somebody else has it.",
        {202: named("Word")},
        Scope.DECIDE,
        body=takes(take_over=YES_NO, **WHO),
        errors=(404, 409),
        name="acknowledge",
    ),
)
