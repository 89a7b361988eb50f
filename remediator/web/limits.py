"""The API over budgets: how much of each is used now, and when it frees. It only reads.

Called by the server, which has checked who calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from remediator.model.ids import RuleId
from remediator.pipeline.usage import Used
from remediator.web.given import refuse_other_parameters

_MAX_RULE, _MAX_TARGET = 200, 1000
_SHOWN_NAME = 100
_NAMES = ("rule", "target")


class UsageTeller(Protocol):
    """What the API needs to know of budgets; each may raise StoreUnavailable."""

    async def of_everything(self) -> Sequence[Used]:
        """The budgets of all rules together."""
        ...

    async def of_rule(self, name: RuleId, target: str = "") -> Sequence[Used] | None:
        """The budgets of a rule, and those of a target that is named; None where there is no such rule."""
        ...


class LimitPages:
    """Answers `/api/v1/limits`."""

    def __init__(self, usage: UsageTeller) -> None:
        self._usage = usage

    async def show(self, request: web.Request) -> web.Response:
        """`?rule=` and `?target=` by their names; without a rule the budgets of all rules together."""
        rule, target = (request.query.get(name, "") for name in _NAMES)
        refuse_other_parameters(request.query, *_NAMES)
        if len(rule) > _MAX_RULE or len(target) > _MAX_TARGET or "" in (request.query.get(name) for name in _NAMES):
            most = f"{_MAX_RULE} and {_MAX_TARGET}"
            raise web.HTTPBadRequest(text=f"rule and target, where given, are texts of at most {most} characters")
        if target and not rule:
            raise web.HTTPBadRequest(text="a target has budgets for each rule: name the rule as well")
        used = await self._usage.of_rule(RuleId(rule), target) if rule else await self._usage.of_everything()
        if used is None:
            raise web.HTTPNotFound(text=f"there is no rule {rule[:_SHOWN_NAME]}; see: remediator limits")
        shown = [_show(one) for one in used]
        return web.json_response({"rule": rule or None, "target": target or None, "budgets": shown})


def _show(one: Used) -> Mapping[str, Any]:
    return {
        "limit": one.limit,
        "of": one.what,
        "budget": str(one.budget),
        "allowed": one.budget.count,
        "used": one.used,
        "or_more": one.is_least,
        "used_up": one.is_used_up,
        "frees_at": one.frees_at.isoformat() if one.frees_at is not None else None,
        "remedies": list(one.remedies),
    }
