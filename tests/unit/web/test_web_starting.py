"""The API that starts a rule by hand: what is handed on, what is answered, and what is refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from remediator.model.ids import RuleId, RunId
from remediator.model.person import ADMIN, Via
from remediator.pipeline.intake import NotStarted
from remediator.pipeline.starting import Begun, NoSuchRule, OtherStart, Unfitting, Wish
from tests.unit.web.serving import Client, api, token

LONG = "service is x; " * 40
GIVEN = {"rule": "p/r", "labels": {"service": "web"}, "annotations": {"a": "b"}, "reason": " full ", "by": "ann"}


class Starts:
    """Starts whatever it is told to, once for each key."""

    def __init__(self) -> None:
        self.wishes: list[Wish] = []
        self.error: Exception | None = None

    async def start(self, wish: Wish, /) -> Begun:
        if self.error is not None:
            raise self.error
        repeated = bool(wish.key) and any(one.key == wish.key for one in self.wishes)
        self.wishes.append(wish)
        return Begun(RunId("r1"), RuleId(wish.rule), repeated)


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
async def client(starts: Starts) -> AsyncIterator[Client]:
    async with api(starts=starts) as made:
        yield made


async def post(client: Client, said: Any, key: str | None = None, who: str | None = None) -> tuple[int, Any]:
    headers = {**(token() if who is None else {"Authorization": who}), **({"Idempotency-Key": key} if key else {})}
    async with client.post("/api/v1/runs", json=said, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_what_is_stated_is_handed_on_with_who_says_so(client: Client, starts: Starts) -> None:
    assert (201, {"run": "r1", "rule": "p/r", "repeated": False}) == await post(client, GIVEN)
    (wish,) = starts.wishes
    assert ("p/r", {"service": "web"}, {"a": "b"}, "full") == (wish.rule, wish.labels, wish.annotations, wish.reason)
    assert (ADMIN, Via.ADMIN, "ann") == (wish.person.name, wish.person.via, wish.person.shown)
    assert ("", "127.0.0.1") == (wish.key, wish.origin)


async def test_a_request_that_is_made_again_is_told_so(client: Client, starts: Starts) -> None:
    """With 200: nothing was created."""
    answers = [await post(client, GIVEN, key="k") for _ in range(2)]

    assert [201, 200] == [status for status, _ in answers]
    assert [False, True] == [answer["repeated"] for _, answer in answers]
    assert ["k", "k"] == [wish.key for wish in starts.wishes]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (NoSuchRule("there is no rule p/x"), 404, "there is no rule p/x"),
        (Unfitting(f"the rule is not for these: {LONG}\x1b"), 400, f"the rule is not for these: {LONG}?"),
        (NotStarted("open already; see: remediator runs show r9"), 409, "open already; see: remediator runs show r9"),
        (OtherStart("this key was used for another start"), 409, "this key was used for another start"),
    ],
)
async def test_what_is_refused_says_why(
    client: Client, starts: Starts, error: Exception, status: int, said: str
) -> None:
    """Whole, where each matcher that does not hold is named; nothing of it commands a terminal."""
    starts.error = error

    assert (status, {"error": said}) == await post(client, GIVEN)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "a start is a JSON object"),
        ({**GIVEN, "anyhow": True}, "there is no field 'anyhow'"),
        ({**GIVEN, "rule": ""}, "rule is needed"),
        ({**GIVEN, "by": ""}, "by is needed"),
        ({**GIVEN, "labels": []}, "labels is not an object"),
        ({**GIVEN, "labels": {"a": 1}}, "labels is not an object"),
        ({**GIVEN, "labels": {"": "x"}}, "labels is not an object"),
        ({**GIVEN, "labels": {str(number): "x" for number in range(65)}}, "labels is not an object"),
        ({**GIVEN, "annotations": {"a": "x" * 4097}}, "annotations is not an object"),
        ({**GIVEN, "reason": "x" * 2001}, "reason is not a text"),
    ],
)
async def test_what_is_no_start_is_refused(client: Client, starts: Starts, said: Any, why: str) -> None:
    status, answer = await post(client, said)

    assert (400, True) == (status, why in answer["error"])
    assert [] == starts.wishes


async def test_a_key_that_is_too_long_is_refused(client: Client, starts: Starts) -> None:
    assert 400 == (await post(client, GIVEN, key="k" * 201))[0]
    assert [] == starts.wishes


async def test_nobody_starts_anything_without_a_token(client: Client, starts: Starts) -> None:
    assert 401 == (await post(client, GIVEN, who="Bearer wrong"))[0]
    assert [] == starts.wishes
