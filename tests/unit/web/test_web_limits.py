"""The API tells how much of each budget is used, and when it frees."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.budget import Budget
from remediator.model.ids import RuleId
from remediator.pipeline.usage import Used
from tests.unit.web.serving import api, token

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
OF_ALL = Used("overall", "all rules together", Budget(30, timedelta(hours=1)), 0, None)
OF_RULE = Used("per_rule", "this rule", Budget(2, timedelta(hours=1)), 2, AT, ("mend",))


class Known:
    """One rule, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    async def of_everything(self) -> Sequence[Used]:
        return (OF_ALL,)

    async def of_rule(self, name: RuleId, target: str = "") -> Sequence[Used] | None:
        self.asked.append((name, target))
        return (OF_RULE, OF_ALL) if name == "web/down" else None


async def test_the_budgets_of_a_rule_are_shown() -> None:
    """All that a person has to know who wonders when it goes on."""
    known = Known()
    async with api(token(), usage=known) as client:
        shown = await (await client.get("/api/v1/limits?rule=web/down&target=docker:local/web")).json()

    assert [("web/down", "docker:local/web")] == known.asked
    assert ("web/down", "docker:local/web", 2) == (shown["rule"], shown["target"], len(shown["budgets"]))
    assert {
        "limit": "per_rule",
        "of": "this rule",
        "budget": "2/1h",
        "allowed": 2,
        "used": 2,
        "or_more": False,
        "used_up": True,
        "frees_at": "2026-01-31T12:00:00+00:00",
        "remedies": ["mend"],
    } == shown["budgets"][0]


async def test_without_a_rule_those_of_all_rules_together_are_shown() -> None:
    async with api(token(), usage=Known()) as client:
        shown = await (await client.get("/api/v1/limits")).json()

    assert (None, ["overall"], [None]) == (
        shown["rule"],
        [one["limit"] for one in shown["budgets"]],
        [one["frees_at"] for one in shown["budgets"]],
    )


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("rule=web/none", 404, "there is no rule web/none; see: remediator limits"),
        ("target=docker:local/web", 400, "a target has budgets for each rule: name the rule as well"),
        ("rules=web/down", 400, "there is no parameter 'rules'; there are rule and target"),
        (f"rule={'x' * 201}", 400, "rule and target, where given, are texts of at most 200 and 1000 characters"),
        ("rule=", 400, "rule and target, where given, are texts of at most 200 and 1000 characters"),
    ],
)
async def test_what_it_does_not_know_is_told(query: str, status: int, said: str) -> None:
    """A typing mistake must not look like a budget that is free."""
    async with api(token(), usage=Known()) as client:
        answer = await client.get(f"/api/v1/limits?{query}")

        assert (status, said) == (answer.status, (await answer.json())["error"])


async def test_it_needs_the_token() -> None:
    async with api(usage=Known()) as client:
        assert 401 == (await client.get("/api/v1/limits")).status
