"""The calls over what people decide and who may, and over the journal of it."""

from remediator.model.duration import PATTERN
from remediator.model.token import Scope
from remediator.web.operations.fields import ASKED_AT, BY, RULE, WHO, WORDS, maybe_empty, takes
from remediator.web.operations.operation import Operation, Parameter
from remediator.web.shapes import COUNT, PARTS, TEXT, YES_NO, Shape, many, named, one_of, thing

_ID: Shape = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[0-9A-Za-z]+$"}
_DIGEST: Shape = {"type": "string", "minLength": 1, "maxLength": 64}

PEOPLE = (
    Operation(
        "GET /api/v1/approvals",
        "What waits for people, the oldest first; `more` where not all active runs were looked through.",
        {200: thing(approvals=many(named("Approval")), more=YES_NO)},
        Scope.READ,
        parameters=(Parameter("rule", "Only what this rule has planned.", RULE),),
        errors=(400,),
        name="listApprovals",
    ),
    Operation(
        "POST /api/v1/approvals/decision",
        "Approve or deny several plans; the answer says of each run what became of it.",
        {200: thing(runs=many(named("Verdict")))},
        Scope.DECIDE,
        body=takes(
            "runs",
            "approved",
            runs={
                **many(takes("id", "digest", id=_ID, digest=_DIGEST, asked_at=ASKED_AT).shape),
                "minItems": 1,
                "maxItems": 500,
            },
            approved=YES_NO,
            **WHO,
        ),
        name="decideOnSeveral",
    ),
    Operation(
        "GET /api/v1/escalations",
        "The open problems, each with who was told, and who is next.",
        {200: thing(escalations=many(named("Escalation")))},
        Scope.READ,
        errors=(400,),
        name="listEscalations",
    ),
    Operation(
        "GET /api/v1/tokens",
        "All tokens, also those that are over.",
        {200: thing(tokens=many(named("Token")))},
        Scope.ADMIN,
        errors=(400,),
        name="listTokens",
    ),
    Operation(
        "POST /api/v1/tokens",
        "Make a token.",
        {201: named("NewToken")},
        Scope.ADMIN,
        body=takes(
            "subject",
            "scope",
            subject={**WORDS, "minLength": 1, "description": "Whose it is."},
            scope=one_of(Scope),
            groups={**many(TEXT), "maxItems": 100},
            **{
                "for": {
                    **maybe_empty(f"{PATTERN}|^never$"),
                    "default": "90d",
                    "description": "Or `never`.",
                }
            },
            **BY,
        ),
        name="makeToken",
    ),
    Operation(
        "POST /api/v1/tokens/{id}/revoke",
        "Have a token be of no use any more; 409 where it is revoked already.",
        {200: thing()},
        Scope.ADMIN,
        body=takes(**BY),
        errors=(404, 409),
        name="revokeToken",
    ),
    Operation(
        "GET /api/v1/audit",
        "A page of the audit journal, and where its chain begins and ends.",
        {200: named("Audit")},
        Scope.ADMIN,
        parameters=(
            Parameter(
                "after",
                "Only what comes after this place; what is not sealed yet has none, and comes last. With "
                "`part=unsealed` after this `seq`.",
                {**COUNT, "maximum": 2**63 - 1},
            ),
            Parameter(
                "limit",
                "How many at the most.",
                {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
            ),
            Parameter("run", "Only what is of this run; not together with `part`.", _ID),
            Parameter("part", "`sealed` or `unsealed`: these alone.", PARTS),
        ),
        errors=(400,),
        name="readAudit",
    ),
)
