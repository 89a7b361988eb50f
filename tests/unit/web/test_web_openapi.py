"""The OpenAPI document tells of every call that is answered and of no other: what each takes, and who may make it."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from jsonschema import Draft202012Validator

from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.model.token import Scope, Token
from remediator.settings import Settings
from remediator.web.openapi import document, statuses_of
from remediator.web.operations import OPERATIONS
from remediator.web.operations.operation import Door, Operation
from remediator.web.routes import Routes
from remediator.web.server import Parts, build_app
from tests.unit.web.serving import ADMIN, Nothing, api, ignore, is_ready, token

ANYTHING: Any = SimpleNamespace(standing=None)
EVERYTHING = dict.fromkeys(
    ("breakers", "stops", "escalations", "reruns", "audit", "starts", "told", "slack", "tokens", "usage"), ANYTHING
)
BARE = Parts(
    accept=ignore,
    runs=Nothing(),
    alerts=Nothing(),
    health=is_ready,
    metrics=Metrics(),
    settings=Settings(slack={"token": "xoxb-1", "channel": "#ops", "signing_secret": "s" * 32}),
    clock=SystemClock(),
    admin_token=ADMIN,
)
WHOLE = document(OPERATIONS.values())


class Tokens:
    """Has one good token of each scope, written as the scope."""

    async def find(self, text: str, /) -> Token | None:
        made_at = datetime(2026, 1, 1, tzinfo=UTC)
        return Token(text, "ann", Scope(text), (), b"", made_at, "ops") if text in list(Scope) else None


def routes_of(app: web.Application) -> list[str]:
    """What the router answers, but for HEAD, which comes along with each GET."""
    answered = [(route.method, route.resource) for route in app.router.routes()]
    return sorted(f"{method} {resource.canonical}" for method, resource in answered if method != "HEAD" and resource)


def calls_of(described: Mapping[str, Any]) -> list[str]:
    return sorted(f"{method.upper()} {path}" for path, one in described["paths"].items() for method in one)


def shapes_in(described: Any) -> Iterator[Mapping[str, Any]]:
    """Every schema of the document."""
    if isinstance(described, dict):
        if "schema" in described:
            yield described["schema"]
        for part in described.values():
            yield from shapes_in(part)
    if isinstance(described, list):
        for part in described:
            yield from shapes_in(part)


def test_what_is_answered_and_what_is_described_are_the_same() -> None:
    """A call that nobody has described could need no token, for all that anybody knows."""
    app = build_app(replace(BARE, **EVERYTHING))

    assert sorted(OPERATIONS) == routes_of(app)
    assert sorted(OPERATIONS) == calls_of(WHOLE)


async def test_the_service_tells_of_what_it_answers_itself_and_nobody_needs_a_token_for_that() -> None:
    """A service without Slack has no calls of Slack; the document says so."""
    app = build_app(replace(BARE, settings=Settings(), tokens=ANYTHING))
    async with api(tokens=ANYTHING) as client:
        answer = await client.get("/api/v1/openapi.json")
        told = await answer.json()

    assert 200 == answer.status
    assert routes_of(app) == calls_of(told)
    assert "/api/v1/tokens" in told["paths"]
    assert "/slack/commands" not in told["paths"]


def test_a_call_that_is_not_described_cannot_be_added() -> None:
    """So that nothing is answered behind the document's back."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    routes = Routes(web.Application(), ANYTHING)
    with pytest.raises(KeyError):
        routes.add("GET /api/v1/secrets", answer)


@pytest.mark.parametrize(("scope", "door"), [(None, Door.TOKEN), (Scope.READ, Door.OPEN)])
def test_a_call_behind_the_door_of_tokens_has_a_scope_and_no_other_has(scope: Scope | None, door: Door) -> None:
    """A scope that was forgotten would let anybody in."""
    with pytest.raises(ValueError, match="has to need a scope"):
        Operation("GET /api/v1/x", "x", {}, scope, door)


async def test_the_scope_that_is_told_is_the_one_that_is_needed() -> None:
    """With less the answer is 403, without any token 401; with enough it is neither."""
    told, found = {}, {}
    async with api(**{**EVERYTHING, "slack": None, "tokens": Tokens()}) as client:
        for call in (call for call, one in OPERATIONS.items() if one.door is Door.TOKEN):
            method, path = call.split()
            told[call] = WHOLE["paths"][path][method.lower()]["security"][0]["token"]
            at, body = re.sub(r"\{\w+\}", "x", path), b"["
            known = [{}, *map(token, Scope)]
            tried = [await client.request(method, at, headers=headers, data=body) for headers in known]
            statuses = [answer.status for answer in tried]
            assert 401 == statuses[0]
            found[call] = [
                next(scope.value for scope, status in zip(Scope, statuses[1:], strict=True) if status != 403)
            ]

    assert told == found
    assert len(told) > 20


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_what_a_call_may_answer_fits_what_it_is(operation: Operation) -> None:
    """Whoever writes a client by the document has to be ready for these."""
    errors = statuses_of(operation)

    assert (operation.body is not None) is ({400, 408, 413} <= set(errors))
    assert (operation.door is Door.TOKEN) is ({401, 429} <= set(errors))
    assert ("{" in operation.path) is (404 in errors) or operation.method == "POST" or "limits" in operation.path


def test_the_document_is_sound() -> None:
    """Programs that make clients from it stop at the first thing that is not."""
    names = [one["operationId"] for path in WHOLE["paths"].values() for one in path.values()]
    used = set(re.findall(r"#/components/schemas/(\w+)", str(WHOLE)))
    for shape in (*shapes_in(WHOLE["paths"]), *WHOLE["components"]["schemas"].values()):
        Draft202012Validator.check_schema(shape)

    assert sorted(set(names)) == sorted(names)
    assert used == set(WHOLE["components"]["schemas"])


async def test_as_long_a_request_as_the_document_allows_is_read() -> None:
    """aiohttp would answer for us, in its own words, that the first line is too long."""
    query = {"rule": "\N{SNOWMAN}" * 200, "target": "\N{SNOWMAN}" * 1000}

    async def of_rule(name: str, target: str) -> None:
        del name, target

    async with api(token(), usage=SimpleNamespace(of_rule=of_rule)) as client:
        answer = await client.get("/api/v1/limits", params=query)
        assert (404, "application/json") == (answer.status, answer.content_type)


async def test_what_is_too_large_for_the_api_is_not_blamed_on_a_setting_of_the_webhook() -> None:
    """Raising it would change nothing."""
    async with api(token()) as client:
        answer = await client.post("/api/v1/runs/abc/cancel", data=b" " * 65_537)
        assert (413, {"error": "the body is larger than 65536 bytes"}) == (answer.status, await answer.json())


async def test_approvals_of_a_rule_without_a_name_are_not_asked_for() -> None:
    """An empty name is no name, and one that no rule can have is a mistake."""
    async with api(token()) as client:
        for name in ("", "x" * 201):
            answer = await client.get("/api/v1/approvals", params={"rule": name})
            assert (400, {"error": "rule is a text of at most 200 characters"}) == (answer.status, await answer.json())


async def test_what_is_no_http_is_answered_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Anybody who reaches the port could fill the log with traces."""
    async with api() as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Odd: \x00\r\n\r\n")
        answer = await asyncio.wait_for(reader.readline(), 60)
        writer.close()
        await writer.wait_closed()

    assert b"HTTP/1.0 400" == answer.replace(b"/1.1", b"/1.0")[:12]
    assert [] == [record for record in caplog.records if record.exc_info]
