"""The calls over what stands in the way of changes."""

from remediator.model.duration import PATTERN
from remediator.model.stop import StopKind
from remediator.model.token import Scope
from remediator.web.operations.fields import BY, RULE, maybe_empty, takes
from remediator.web.operations.operation import Operation, Parameter
from remediator.web.shapes import TEXT, Shape, many, maybe, named, one_of, thing

_NAME: Shape = {"type": "string", "maxLength": 1000}
_LASTS = "How long: `30m`, `2h`, `90d`."

STOPS = (
    Operation(
        "GET /api/v1/stops",
        "All that stands in the way of changes.",
        {200: thing(stops=many(named("Stop")))},
        Scope.READ,
        errors=(400,),
        name="listStops",
    ),
    Operation(
        "POST /api/v1/stops/pause",
        "Pause a scope, for a time or until it is resumed.",
        {201: named("Paused")},
        Scope.ADMIN,
        body=takes(
            "scope",
            scope={
                "type": "string",
                "minLength": 1,
                "description": "`everything`, `rule:web/down`, `target:…`, as `remediator pause` takes it.",
            },
            reason=_NAME,
            by={**BY["by"], **_NAME},
            **{"for": {**maybe_empty(PATTERN), "description": _LASTS}},
        ),
        name="pause",
    ),
    Operation(
        "POST /api/v1/stops/lift",
        "Lift one stop.",
        {200: thing(note=TEXT)},
        Scope.ADMIN,
        body=takes(
            "kind",
            "scope",
            kind=one_of(StopKind),
            scope={"type": "string", "minLength": 1},
            by={**BY["by"], **_NAME},
        ),
        errors=(404,),
        name="lift",
    ),
    Operation(
        "GET /api/v1/limits",
        "How much of each budget is used, and when it frees; without a rule those of all rules together.",
        {200: thing(rule=maybe(TEXT), target=maybe(TEXT), budgets=many(named("Budget")))},
        Scope.READ,
        parameters=(
            Parameter("rule", "`pack/rule`.", RULE),
            Parameter("target", "One target of the rule; not without `rule`.", {**_NAME, "minLength": 1}),
        ),
        errors=(400, 404),
        name="showLimits",
    ),
    Operation(
        "GET /api/v1/breakers",
        "The systems that were asked lately, those that do not answer first.",
        {200: thing(breakers=many(named("Breaker")))},
        Scope.READ,
        errors=(400,),
        name="listBreakers",
    ),
    Operation(
        "POST /api/v1/breakers/reset",
        "Close the breaker of a system, in the process that is asked.",
        {200: thing()},
        Scope.ADMIN,
        body=takes("system", system={**_NAME, "minLength": 1}, by={**BY["by"], **_NAME}),
        errors=(404,),
        name="resetBreaker",
    ),
)
