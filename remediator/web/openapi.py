"""The OpenAPI document of what this service answers, made from the table of operations; and the page that shows it.

It is the same for everybody and holds no data, so nobody needs a token for it. Called by the server, by the reference
pages, and by nothing else.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from remediator import __version__
from remediator.model.token import Scope
from remediator.web.operations.operation import Door, Operation, Parameter
from remediator.web.shapes import SHAPES, TEXT, named

_ABOUT = (
    "Everything below /api/v1 but the webhook takes a token of the API. Each scope takes those before it along: "
    f"{', '.join(Scope)}. An error is a JSON object with `error`, in words. A later version may add fields to answers."
)
_ERRORS = {
    400: "What was sent cannot be used; `error` says what is wrong.",
    401: "There is no token, or it is not good.",
    403: "The token's scope is too small, or its owner may not do this.",
    404: "There is none of that name.",
    408: "The body did not arrive in time.",
    409: "It comes too late, or something else stands in its way.",
    413: "The body is too large.",
    429: "Called too often.",
    503: "It cannot be done now; try again.",
}
_OF_BODIES = (400, 408, 413, 503)
_OF_DOORS: Mapping[Door, tuple[int, ...]] = {
    Door.TOKEN: (401, 429, 503),
    Door.SENDER: (401, 403),
    Door.SLACK: (401,),
    Door.OPEN: (),
}
_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of the API, or the admin token."},
    "sender": {"type": "http", "scheme": "bearer", "description": "One of webhook.tokens."},
    "senderUser": {"type": "http", "scheme": "basic", "description": "One of webhook.users."},
    "slack": {"type": "apiKey", "in": "header", "name": "X-Slack-Signature", "description": "Made by Slack."},
}


class OpenapiPage:
    """Answers `GET /api/v1/openapi.json`."""

    def __init__(self) -> None:
        self._document: dict[str, Any] = {}

    def tell_of(self, operations: Iterable[Operation]) -> None:
        """What is answered here."""
        self._document = document(operations)

    async def show(self, request: web.Request) -> web.Response:
        """The document."""
        del request
        return web.json_response(self._document)


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """An OpenAPI document, version 3.1, of these operations."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "remediator", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": dict(SHAPES), "securitySchemes": _SCHEMES},
    }


def statuses_of(operation: Operation) -> tuple[int, ...]:
    """The errors that it may answer with."""
    found = {*operation.errors, *_OF_DOORS[operation.door]}
    if operation.scope not in (None, Scope.READ):  # every token may read
        found.add(403)
    if operation.body is not None:
        found.update(_OF_BODIES)
    return tuple(sorted(found))


def _operation(operation: Operation) -> dict[str, Any]:
    needs = f" Takes a token with the scope `{operation.scope}`." if operation.scope is not None else ""
    answers = {str(status): _answer(status, operation) for status in operation.answers}
    errors = {str(status): _error(status) for status in statuses_of(operation)}
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    in_path = [Parameter(name, "", {**TEXT, "minLength": 1}, "path", required=True) for name in names]
    taken = {} if operation.body is None else {"requestBody": _body(operation)}
    return {
        "operationId": operation.name,
        "summary": operation.says.partition("; ")[0].rstrip("."),
        "description": operation.says + needs,
        "parameters": [_parameter(one) for one in (*in_path, *operation.parameters)],
        **taken,
        "responses": {**answers, **errors},
        "security": _security(operation),
    }


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    match operation.door:
        case Door.TOKEN:
            return [{"token": [operation.scope.value] if operation.scope is not None else []}]
        case Door.SENDER:
            return [{"sender": []}, {"senderUser": []}, {}]  # the webhook may be open, on loopback
        case Door.SLACK:
            return [{"slack": []}]
        case Door.OPEN:
            return []


def _parameter(parameter: Parameter) -> dict[str, Any]:
    said = {"description": parameter.says} if parameter.says else {}
    shape = {"name": parameter.name, "in": parameter.place, "schema": dict(parameter.shape)}
    return {**shape, "required": parameter.required, **said}


def _body(operation: Operation) -> dict[str, Any]:
    assert operation.body is not None  # noqa: S101 - who calls has looked
    return {"required": True, "content": {operation.body.form: {"schema": dict(operation.body.shape)}}}


def _answer(status: int, operation: Operation) -> dict[str, Any]:
    content = {operation.form: {"schema": dict(operation.answers[status])}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _error(status: int) -> dict[str, Any]:
    headers = {"headers": {_HEADERS[status]: {"schema": dict(TEXT)}}} if status in _HEADERS else {}
    return {"description": _ERRORS[status], "content": {"application/json": {"schema": named("Error")}}, **headers}
