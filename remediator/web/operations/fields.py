"""The fields and parameters that several operations take."""

from remediator.web.operations.operation import Body, Parameter
from remediator.web.shapes import TIME, YES_NO, Shape

WORDS: Shape = {"type": "string", "maxLength": 2000}
RULE: Shape = {"type": "string", "minLength": 1, "maxLength": 200}
BY = {"by": {**WORDS, "description": "In whose name; needed with the admin token, and with no other."}}
WHO = {**BY, "reason": WORDS}
ASKED_AT: Shape = {**TIME, "description": "As the run shows it: refused where people were asked anew since."}


def takes(*required: str, **fields: Shape) -> Body:
    return Body({"type": "object", "properties": fields, "required": list(required), "additionalProperties": False})


def maybe_empty(pattern: str) -> Shape:
    """Texts of that pattern; an empty one is as good as none."""
    return {"type": "string", "pattern": f"^$|{pattern}"}


def switch(name: str, says: str) -> Parameter:
    return Parameter(name, says, YES_NO)
