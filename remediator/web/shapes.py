"""The shapes of what the API shows, as JSON Schema: by these names they stand in its OpenAPI document.

Used by the table of operations. Nothing is checked against them here; a test calls the service and compares. An object
lists every field that it has; a later version may add some, so clients pass over what they do not know.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from remediator.model.audit import Part
from remediator.model.outcome import Outcome
from remediator.model.system import Stand
from remediator.model.token import Scope
from remediator.pipeline.approvals import Answer
from remediator.pipeline.escalation.deliveries import Told
from remediator.web.undo import Stands

Shape = Mapping[str, Any]

TEXT: Shape = {"type": "string"}
YES_NO: Shape = {"type": "boolean"}
COUNT: Shape = {"type": "integer", "minimum": 0}
AT_LEAST_ONE: Shape = {"type": "integer", "minimum": 1}
SECONDS: Shape = {"type": "number", "minimum": 0}
TIME: Shape = {"type": "string", "format": "date-time"}
TEXTS: Shape = {"type": "object", "additionalProperties": TEXT}
VALUES: Shape = {"type": "object"}


def thing(**fields: Shape) -> Shape:
    """An object that has all of these fields."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def maybe(shape: Shape) -> Shape:
    """That, or null."""
    return {"anyOf": [shape, {"type": "null"}]}


def many(shape: Shape) -> Shape:
    """A list of those."""
    return {"type": "array", "items": shape}


def one_of(words: type[StrEnum]) -> Shape:
    """One of these words."""
    return {"type": "string", "enum": [word.value for word in words]}


def named(name: str) -> Shape:
    """The shape of that name in `SHAPES`."""
    return {"$ref": f"#/components/schemas/{name}"}


def with_optional(shape: Shape, **fields: Shape) -> Shape:
    """That object, which may have these fields as well."""
    return {**shape, "properties": {**shape["properties"], **fields}}


_PLAN = thing(
    name=TEXT,
    digest=TEXT,
    targets=many(TEXT),
    lasts=maybe(SECONDS),
    every=maybe(SECONDS),
    steps=many(named("Step")),
    checks=many(TEXT),
    proof=TEXT,
)
_ASKED: dict[str, Shape] = {
    "asked_at": TIME,
    "why": TEXT,
    "approvers": many(TEXT),
    "quorum": AT_LEAST_ONE,
    "missing": COUNT,
    "approved_by": many(TEXT),
    "on_timeout": TEXT,
    "touches": TEXT,
    "record": TEXT,
}
_QUESTION: dict[str, Shape] = {"until": maybe(TIME), "pools": many(TEXT), **_PLAN["properties"]}
_STOP: dict[str, Shape] = {
    "kind": TEXT,
    "scope": TEXT,
    "reason": TEXT,
    "by": TEXT,
    "at": maybe(TIME),
    "until": maybe(TIME),
}
_TOKEN: dict[str, Shape] = {
    "id": TEXT,
    "subject": TEXT,
    "person": TEXT,
    "scope": one_of(Scope),
    "groups": many(TEXT),
    "groups_missing": many(TEXT),
    "state": {"type": "string", "enum": ["good", "revoked", "expired"]},
    "made_at": TIME,
    "made_by": TEXT,
    "expires_at": maybe(TIME),
    "revoked_at": maybe(TIME),
    "revoked_by": maybe(TEXT),
}
_ALERT: dict[str, Shape] = {"fingerprint": TEXT, "labels": TEXTS, "annotations": TEXTS, "startsAt": TIME}
_PLACE = thing(place=COUNT, seal=TEXT)
_RUN_NAMES = many(thing(id=TEXT, rule=TEXT))

SHAPES: dict[str, Shape] = {
    "Error": with_optional(thing(error=TEXT), reason=TEXT),
    "Alert": thing(
        **_ALERT,
        opened_at=TIME,
        heard_at=TIME,
        closed_at=maybe(TIME),
        doubtful=YES_NO,
    ),
    "Owner": thing(id=TEXT, host=TEXT),
    "RunLine": thing(
        id=TEXT,
        rule=TEXT,
        alertname=TEXT,
        created_at=TIME,
        ended_at=maybe(TIME),
        outcome=maybe(one_of(Outcome)),
        wake_at=maybe(TIME),
        stage=TEXT,
        owner=maybe(named("Owner")),
    ),
    "Run": thing(
        id=TEXT,
        rule=TEXT,
        summary=TEXT,
        alert=thing(**_ALERT),
        created_at=TIME,
        stage=TEXT,
        outcome=maybe(one_of(Outcome)),
        waiting=maybe(named("Question")),
        unsettled=maybe(thing(step=TEXT, attempt=COUNT, sentence=TEXT, since=TIME)),
        changes=many(named("Change")),
        timeline=many(named("Line")),
        signals=many(named("Line")),
        held=maybe(named("Hold")),
        owner=maybe(named("Owner")),
        messages=many(named("Message")),
    ),
    "Step": thing(
        id=TEXT,
        action=TEXT,
        effect=TEXT,
        sentence=TEXT,
        params=VALUES,
        timeout=SECONDS,
        targets=many(TEXT),
        stays=maybe(TEXT),
    ),
    "Question": with_optional(thing(**_QUESTION), **_ASKED),
    "Change": with_optional(
        thing(
            round=COUNT,
            step=TEXT,
            action=TEXT,
            sentence=TEXT,
            targets=many(TEXT),
            stands=one_of(Stands),
            why=TEXT,
            before=maybe(VALUES),
            until=maybe(TIME),
        ),
        now=maybe({**thing(says=TEXT, **{"is": maybe(TEXT)})}),
    ),
    "Line": {
        **thing(at=TIME, kind=TEXT, text=TEXT),
        "additionalProperties": True,
        "description": "`text` says it in words; the other fields are those of its `kind`.",
    },
    "Hold": thing(
        reason=TEXT,
        detail=TEXT,
        since=TIME,
        until=maybe(TIME),
        every=AT_LEAST_ONE,
        expires=TIME,
        ends=maybe(TIME),
    ),
    "Message": thing(key=TEXT, title=TEXT, channel=TEXT, queued_at=TIME, sent=YES_NO, ref=maybe(TEXT)),
    "Undo": thing(id=TEXT, changes=many(named("Change")), refused=maybe(TEXT), under_way=YES_NO, ends_run=YES_NO),
    "Begun": thing(runs=_RUN_NAMES, joined=_RUN_NAMES),
    "Approval": with_optional(
        thing(id=TEXT, rule=TEXT, alertname=TEXT, labels=TEXTS, summary=TEXT, started_by=TEXT, **_QUESTION), **_ASKED
    ),
    "Verdict": thing(
        id=TEXT,
        taken=YES_NO,
        answer={"type": "string", "enum": [*(answer.value for answer in Answer), "no_such_run"]},
        says=TEXT,
        missing=COUNT,
    ),
    "Breaker": thing(
        system=TEXT,
        family=TEXT,
        state=maybe(one_of(Stand)),
        failures=COUNT,
        opened_at=maybe(TIME),
        asked_in_seconds=SECONDS,
        trouble=TEXT,
        calls=COUNT,
        waiting=COUNT,
    ),
    "Stop": thing(**_STOP, settled=TEXT, trial_at=maybe(TIME), lift=TEXT),
    "Paused": thing(**_STOP, note=TEXT),
    "Budget": thing(
        limit=TEXT,
        of=TEXT,
        budget=TEXT,
        allowed=COUNT,
        used=COUNT,
        or_more=YES_NO,
        used_up=YES_NO,
        frees_at=maybe(TIME),
        remedies=many(TEXT),
    ),
    "Word": thing(by=TEXT, at=TIME, reason=TEXT),
    "Escalation": thing(
        run=TEXT,
        rule=TEXT,
        summary=TEXT,
        since=TIME,
        levels=many(named("Level")),
        next=maybe(thing(level=maybe(TEXT), at=TIME)),
        taken_on=maybe(named("Word")),
    ),
    "Level": thing(level=TEXT, number=COUNT, state=one_of(Told), due=TIME, places=many(named("Place"))),
    "Place": thing(
        channel=TEXT,
        delivered=YES_NO,
        delivered_at=maybe(TIME),
        waiting_since=maybe(TIME),
        tries=maybe(COUNT),
        error=maybe(TEXT),
    ),
    "Entry": thing(
        seq=COUNT,
        place=maybe(COUNT),
        seal=maybe(TEXT),
        key=maybe(TEXT),
        at=TIME,
        **dict.fromkeys(
            ("what", "who", "via", "shown", "run", "subject", "digest", "origin", "outcome", "detail"), TEXT
        ),
    ),
    "Audit": thing(entries=many(named("Entry")), begins=_PLACE, head=_PLACE),
    "Token": thing(**_TOKEN),
    "NewToken": {
        **thing(**_TOKEN, token=TEXT),
        "description": "`token` is what its owner uses; it is in this one answer and nowhere else.",
    },
    "Health": thing(ready=YES_NO, checks=many(thing(name=TEXT, ok=YES_NO, degraded=YES_NO, detail=TEXT))),
}

PARTS = one_of(Part)
OUTCOMES = one_of(Outcome)
