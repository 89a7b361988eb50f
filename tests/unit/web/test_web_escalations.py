"""The API over escalation: open problems, taking one on, and what is refused."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.ids import RunId
from remediator.pipeline.escalation.levels import Level
from remediator.pipeline.escalation.listing import Escalations
from tests.unit.pipeline.harness import MINUTE, Harness, alert, rule
from tests.unit.web.serving import Client, api, token

LADDER = [{"after": "0s", "to": "on-call"}, {"after": "15m", "to": "pager"}]
LEVELS = {"on-call": Level(("#on-call",)), "pager": Level(("webhook:pager",))}
Begin = Callable[..., Any]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


@pytest.fixture
async def it(tmp_path: Path, stack: AsyncExitStack) -> Harness:
    plain = {**rule(name="plain", match=['alertname="Plain"'], mode="observe"), "diagnose": {}}
    escalating = rule(mode="gated", escalate=LADDER)
    return await stack.enter_async_context(Harness(tmp_path, escalating, plain, levels=LEVELS))


@pytest.fixture
async def client(it: Harness, stack: AsyncExitStack) -> Client:
    process = it.process

    def wake(run: RunId) -> None:
        process.dispatcher.wake(run, it.clock.now())

    escalations = Escalations(it.store, process.rulebook, it.clock, on_word=wake, levels=LEVELS)
    return await stack.enter_async_context(api(escalations=escalations))


async def listed(client: Client) -> list[dict[str, Any]]:
    async with client.get("/api/v1/escalations", headers=token()) as answer:
        assert 200 == answer.status
        found: list[dict[str, Any]] = (await answer.json())["escalations"]
        return found


def states(one: dict[str, Any]) -> list[tuple[str, str]]:
    return [(level["level"], level["state"]) for level in one["levels"]]


async def take_on(client: Client, run: str, said: Any) -> tuple[int, Any]:
    async with client.post(f"/api/v1/runs/{run}/acknowledge", json=said, headers=token()) as answer:
        return answer.status, await answer.json()


async def test_an_open_problem_is_listed_until_it_is_over(it: Harness, client: Client) -> None:
    """Who was told, and who is next and when; a rule that escalates to nobody is not among them."""
    await it.deliver_all([it.alert(alert()), it.alert({"alertname": "Plain"})])
    await it.pass_time(MINUTE)
    (before,) = await listed(client)
    await it.pass_time(15 * MINUTE)
    (later,) = await listed(client)
    await it.deliver(alert(), resolved=True)
    await it.pass_time(MINUTE)
    run = next(run for run in await it.runs() if run.id == before["run"])

    assert ("p/sick", "web is sick", None) == (before["rule"], before["summary"], before["taken_on"])
    assert [("on-call", "waiting"), ("pager", "due")] == states(before)
    assert {"level": "pager", "at": (run.created_at + 15 * MINUTE).isoformat()} == before["next"]
    assert ([("on-call", "waiting"), ("pager", "waiting")], None) == (states(later), later["next"])
    assert [] == await listed(client)


async def test_a_problem_whose_run_has_ended_is_listed(it: Harness, client: Client) -> None:
    """Its end is not that of the problem."""
    await it.deliver(alert())
    await it.pass_time(MINUTE)
    await it.process.flow.give_up(await it.store.take((await it.run()).id, it.process.owner), "broken")  # type: ignore[arg-type]  # it is there

    assert ["failed"] == await it.outcomes()
    assert ["pager"] == [one["next"]["level"] for one in await listed(client)]


async def test_the_first_who_takes_it_on_has_it(it: Harness, client: Client) -> None:
    """Twice is harmless; whoever comes second hears whose it is since when, and not that it is theirs."""
    await it.deliver(alert())
    await it.pass_time(MINUTE)
    run = (await it.run()).id
    first = await take_on(client, run, {"by": "ann", "reason": "on it"})
    again = await take_on(client, run, {"by": "ann"})
    second = await take_on(client, run, {"by": "bob"})
    await it.pass_time(20 * MINUTE)
    (one,) = await listed(client)

    assert (202, 202, 409) == (first[0], again[0], second[0])
    assert {"ann"} == {first[1]["by"], again[1]["by"], one["taken_on"]["by"]}
    assert re.match(r"ann has it since \d.* UTC \(on it\), so it was not taken on", second[1]["error"])
    assert one["next"] is None
    assert ["on-call"] == [level["level"] for level in one["levels"]]


async def test_who_takes_it_over_has_it_from_then_on(it: Harness, client: Client) -> None:
    """Said in so many words; the thread and whoever was called hear of the change."""
    await it.deliver(alert())
    await it.pass_time(MINUTE)
    run = (await it.run()).id
    await take_on(client, run, {"by": "ann"})
    await it.pass_time(MINUTE)
    status, word = await take_on(client, run, {"by": "bob", "reason": "my shift", "take_over": True})
    await it.pass_time(MINUTE)
    (one,) = await listed(client)
    back = await take_on(client, run, {"by": "ann"})
    posts = {post.key: post.message for post in await it.posts(run)}
    (called,) = [post for post in await it.store.waiting_posts(1000) if post.channel == "#on-call"]

    assert (202, "bob", "bob") == (status, word["by"], one["taken_on"]["by"])
    assert 409 == back[0]
    assert ["ann has taken it on", "bob has taken it over"] == [
        posts[f"acknowledged.{number}"].title for number in (1, 2)
    ]
    assert "in the hands of ann" in repr(posts["acknowledged.2"])
    assert "bob (my shift)" == dict(called.message.data)["taken_on_by"]


async def test_what_is_over_cannot_be_taken_on(it: Harness, client: Client) -> None:
    """Whoever comes too late hears how it went."""
    await it.deliver(alert())
    await it.pass_time(MINUTE)
    await it.deliver(alert(), resolved=True)
    await it.pass_time(MINUTE)
    status, said = await take_on(client, (await it.run()).id, {"by": "ann"})

    assert 409 == status
    assert "the problem is over: resolved by itself" in said["error"]


@pytest.mark.parametrize(
    ("run", "said", "status", "what"),
    [
        ("r1", {"by": "ann"}, 404, "there is no run r1"),
        ("a.b", {"by": "ann"}, 404, "there is no such run"),
        ("r1", {}, 400, "by is needed: who takes it on"),
        ("r1", {"by": " "}, 400, "by is needed: who takes it on"),
        ("r1", {"by": 1}, 400, "by is not a text"),
        ("r1", {"by": "ann", "why": ""}, 400, "an acknowledgement is a JSON object: by, reason"),
        ("r1", [], 400, "an acknowledgement is a JSON object: by, reason"),
        ("r1", {"by": "ann", "reason": "x" * 2001}, 400, "reason is not a text of at most 2000 characters"),
    ],
)
async def test_what_is_refused_says_why(client: Client, run: str, said: Any, status: int, what: str) -> None:
    """Scripts are written by trying."""
    answered, answer = await take_on(client, run, said)

    assert status == answered
    assert what in answer["error"]


@pytest.mark.parametrize(("method", "path"), [("GET", "escalations"), ("POST", "runs/r1/acknowledge")])
async def test_nobody_without_the_token_is_heard(client: Client, method: str, path: str) -> None:
    """Who takes a problem on keeps everybody else asleep."""
    async with client.request(method, f"/api/v1/{path}", json={"by": "eve"}) as answer:
        assert 401 == answer.status


async def test_an_unknown_parameter_is_refused(client: Client) -> None:
    """Nobody is to believe in a filter that there is not."""
    async with client.get("/api/v1/escalations?open=true", headers=token()) as answer:
        assert 400 == answer.status


async def test_word_for_a_run_makes_it_due_at_once(it: Harness, client: Client) -> None:
    """Whoever says it sees it in the thread."""
    await it.deliver(alert())
    await it.pass_time(MINUTE)
    run = (await it.run()).id
    await take_on(client, run, {"by": "ann"})
    await it.pass_time(timedelta(milliseconds=1))

    assert "acknowledged" in await it.facts()
