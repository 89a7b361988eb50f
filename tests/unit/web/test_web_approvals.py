"""The API over what waits for people: what is listed, and several plans that are decided on in one call."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from remediator.model.facts import Asked
from remediator.model.ids import RuleId, RunId
from remediator.model.person import ADMIN
from remediator.model.run import Again, Run, RunSummary
from remediator.pipeline.approvals import Answer, Said, Verdict
from tests.unit.web.a_run import NOW, PLAN, WAITING
from tests.unit.web.serving import Client, Nothing, api, token


def waiting(name: str, rule: str = "p/r", **asked: Any) -> Run:
    """A run that waits for people, who were asked so."""
    facts = tuple(replace(fact, **asked) if isinstance(fact, Asked) else fact for fact in WAITING.facts)
    return replace(WAITING, id=RunId(name), rule=RuleId(rule), facts=facts)


class Runs(Nothing):
    """Some runs, the newest first, and what was said on them."""

    def __init__(self, *runs: Run) -> None:
        self.runs = {run.id: run for run in runs}
        self.said: list[tuple[str, Said]] = []

    async def list_runs(
        self, *, limit: int, outcome: str | None, active: bool, unsettled: bool
    ) -> Sequence[RunSummary]:
        assert (None, True, False) == (outcome, active, unsettled)
        return [RunSummary(r.id, r.rule, "Down", r.created_at, None, None, None, r.owner) for r in self.runs.values()]

    async def read_run(self, run: RunId, /) -> Run | None:
        return self.runs.get(run)

    async def decide(self, run: RunId, said: Said, /) -> Verdict | None:
        self.said.append((run, said))
        if run not in self.runs:
            return None
        if said.digest != PLAN.digest:
            return Verdict(Answer.CHANGED, "the plan has changed")
        return Verdict(Answer.TAKEN, f"approved: {run}", None, 1)


@pytest.fixture
def runs() -> Runs:
    by_hand = replace(waiting("r3"), signals=(Again(NOW, "bob", person="bob", by_hand=True),))
    two = waiting("r2", "p/other", quorum=2, approvers=("sre", "dba"), touches="1 of 3", record="7 healed")
    return Runs(by_hand, two, waiting("r1"), replace(waiting("idle"), facts=()))


@pytest.fixture
async def client(runs: Runs) -> AsyncIterator[Client]:
    async with api(token(), runs=runs) as made:
        yield made


async def listed(client: Client, query: str = "") -> Any:
    async with client.get(f"/api/v1/approvals{query}") as answer:
        assert 200 == answer.status
        return await answer.json()


async def decide(client: Client, said: Any) -> tuple[int, Any]:
    async with client.post("/api/v1/approvals/decision", json=said) as answer:
        return answer.status, await answer.json()


async def test_what_waits_is_listed_the_oldest_first(client: Client) -> None:
    """With all that somebody needs to decide, and the whole digest that a decision has to name."""
    found = await listed(client)
    first, second, third = found["approvals"]

    assert ["r1", "r2", "r3"] == [one["id"] for one in (first, second, third)]
    assert False is found["more"]
    assert (PLAN.digest, PLAN.name, 1, []) == tuple(first[name] for name in ("digest", "name", "quorum", "approvers"))
    assert (["sre", "dba"], 2, 2, "1 of 3", "7 healed") == tuple(
        second[name] for name in ("approvers", "quorum", "missing", "touches", "record")
    )
    assert ("", "bob") == (first["started_by"], third["started_by"])
    assert WAITING.alert.name == first["alertname"]
    assert [str(target) for target in PLAN.targets] == first["targets"]


async def test_those_of_one_rule_are_listed(client: Client) -> None:
    assert ["r2"] == [one["id"] for one in (await listed(client, "?rule=p/other"))["approvals"]]
    async with client.get("/api/v1/approvals?pack=p") as answer:
        assert 400 == answer.status


async def test_each_run_has_an_answer_of_its_own(client: Client, runs: Runs) -> None:
    """One that has changed, or is gone, keeps no other from being decided."""
    given = [("r1", PLAN.digest), ("r2", "0" * 64), ("gone", PLAN.digest)]
    said = {"runs": [{"id": run, "digest": digest} for run, digest in given], "approved": True, "by": "ann"}
    status, answer = await decide(client, said)

    assert 200 == status
    assert [
        ("r1", True, "taken", "approved: r1", 1),
        ("r2", False, "changed", "the plan has changed", 0),
        ("gone", False, "no_such_run", "there is no such run", 0),
    ] == [tuple(one[name] for name in ("id", "taken", "answer", "says", "missing")) for one in answer["runs"]]
    assert ["r1", "r2", "gone"] == [run for run, _ in runs.said]
    assert {(ADMIN, "ann", True, "127.0.0.1")} == {
        (said.person.name, said.person.shown, said.approved, said.origin) for _, said in runs.said
    }


ONE = {"id": "r1", "digest": PLAN.digest}


async def test_the_question_that_was_shown_goes_along(client: Client, runs: Runs) -> None:
    """The same plan can be asked about twice, for other reasons: whoever names one decides on that alone."""
    (shown, *_) = (await listed(client))["approvals"]
    asked_at = shown["asked_at"]
    together = await decide(client, {"runs": [{**ONE, "asked_at": asked_at}], "approved": True, "by": "ann"})
    said = {"approved": True, "digest": PLAN.digest, "by": "ann"}
    async with client.post("/api/v1/runs/r1/decision", json={**said, "asked_at": asked_at}) as alone:
        assert (200, 202) == (together[0], alone.status)
    async with client.post("/api/v1/runs/r1/decision", json={**said, "asked_at": "12:00"}) as wrong:
        assert 400 == wrong.status

    asked = next(fact for fact in WAITING.facts if isinstance(fact, Asked))
    assert [asked.at, asked.at] == [one.asked_at for _, one in runs.said]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "decisions are a JSON object"),
        ({"runs": [ONE], "approved": True, "by": "ann", "all": True}, "there is no field 'all'"),
        ({"runs": [ONE], "approved": "yes", "by": "ann"}, "approved is not true or false"),
        ({"runs": [], "approved": True, "by": "ann"}, "runs is not a list of 1 to 500"),
        ({"runs": [ONE] * 501, "approved": True, "by": "ann"}, "runs is not a list of 1 to 500"),
        ({"runs": [ONE, ONE], "approved": True, "by": "ann"}, "a run stands in runs twice"),
        ({"runs": ["r1"], "approved": True, "by": "ann"}, "each of runs is an object"),
        ({"runs": [{**ONE, "digest": ""}], "approved": True, "by": "ann"}, "each of runs is an object"),
        ({"runs": [{**ONE, "id": "../x"}], "approved": True, "by": "ann"}, "an id in runs is none"),
        ({"runs": [{**ONE, "asked": "now"}], "approved": True, "by": "ann"}, "each of runs is an object"),
        ({"runs": [{**ONE, "asked_at": 1}], "approved": True, "by": "ann"}, "each of runs is an object"),
        ({"runs": [{**ONE, "asked_at": "now"}], "approved": True, "by": "ann"}, "asked_at is a time"),
        ({"runs": [{**ONE, "asked_at": "2026-01-31T12:00:00"}], "approved": True, "by": "ann"}, "asked_at is a time"),
        ({"runs": [ONE], "approved": True}, "by is needed"),
        ({"runs": [ONE], "approved": False, "by": "ann", "reason": 1}, "reason is not a text"),
    ],
)
async def test_what_is_no_decision_decides_nothing(client: Client, runs: Runs, said: Any, why: str) -> None:
    status, answer = await decide(client, said)

    assert (400, True) == (status, why in answer["error"])
    assert [] == runs.said
