"""Finds out whether a call reaches an engine, which may have a proxy before it that forbids some.

Used by the docker client, in a thread. Each call is made for a container that cannot be there: whoever lets it through
passes it to an engine that has nothing to do it to.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from remediator.errors import Failed

if TYPE_CHECKING:
    from docker import APIClient

LIST = "GET /containers/json"
"""The one call that names no container and may be asked for all the same: it tells of those that are chosen."""

_HOLE = "{id}"
_READ = 4096  # bytes of an answer
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED})
_GIVEN: Mapping[str, Mapping[str, Any]] = {
    # Engines look at these before they look for the container.
    "logs": {"params": {"stdout": 1, "tail": 1}},
    "stats": {"params": {"stream": 0}},
    "update": {"json": {}},
}


class Answered(Enum):
    """Who has answered a call."""

    BY_ENGINE = auto()
    BY_REFUSAL = auto()
    OTHERWISE = auto()


@dataclass(frozen=True, slots=True)
class Came:
    """What came back."""

    answered: Answered
    status: int
    said: str


def knock_as_nobody(api: "APIClient", call: str, limit: int) -> Came:
    """Make a call, such as `POST /containers/{id}/start`, for a container whose id was made up just now.

    Raises Failed where the call names no container: it could do something.
    """
    method, _, path = call.partition(" ")
    if _HOLE not in path and call != LIST:
        raise Failed(f"whether {call} is allowed cannot be asked without doing it")
    nobody = secrets.token_hex(32)
    url = f"{api.base_url}/v{api.api_version}{path.replace(_HOLE, nobody)}"
    only_nobody = {"params": {"all": 1, "filters": json.dumps({"id": [nobody]})}}
    given = only_nobody if call == LIST else _GIVEN.get(path.rpartition("/")[2], {})
    with api.request(method, url, timeout=limit, stream=True, allow_redirects=False, **given) as response:
        said = next(response.iter_content(_READ), b"").decode("utf-8", "replace")
    if call == LIST and response.status_code == HTTPStatus.OK and said.strip() == "[]":
        return Came(Answered.BY_ENGINE, response.status_code, said)
    return Came(who_answered(response.status_code, said, nobody), response.status_code, said)


def who_answered(status: int, said: str, nobody: str) -> Answered:
    """An engine that has no such container says so by its id.

    Some proxies say 404, too, to what they forbid, and may tell the path that was asked for.
    """
    if status == HTTPStatus.NOT_FOUND and nobody in said and f"/{nobody}" not in said:
        return Answered.BY_ENGINE
    return Answered.BY_REFUSAL if status in _REFUSALS else Answered.OTHERWISE
