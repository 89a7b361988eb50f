"""Finds out whether a call reaches Alertmanager, which may have a proxy before it that lets nobody change anything.

Used by its client. What is asked for can not be done: a silence of nothing, and the end of one whose id is none.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from remediator.clients.json_api import JsonApi, said_in, told
from remediator.errors import Failed, OutcomeUnknown

_LIST, _MAKE, _END = "GET /api/v2/silences", "POST /api/v2/silences", "DELETE /api/v2/silence/{id}"
_NO_ID = "remediator-asks-for-its-rights"  # the id of a silence is a UUID
_QUERY = f'/api/v2/silences?filter=alertname%3D"{_NO_ID}"'
_KNOCKS: Mapping[str, tuple[str, str, Any]] = {
    _LIST: ("GET", _QUERY, None),
    _MAKE: ("POST", "/api/v2/silences", {}),
    _END: ("DELETE", f"/api/v2/silence/{_NO_ID}", None),
}
"""Method, path and body, with which nothing comes of a call."""
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED})
_FAULTY = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


async def knock(api: JsonApi, call: str) -> bool:
    """Whether a call, such as `POST /api/v2/silences`, is let through; nothing comes of it.

    Raises Unavailable; and Failed where the answer is neither Alertmanager's nor a refusal.
    """
    if call not in _KNOCKS:
        raise Failed(f"whether {call} is allowed cannot be asked without doing it")
    method, path, body = _KNOCKS[call]
    try:
        status, said = await api.tell(method, path, body)
    except OutcomeUnknown as error:
        raise Failed(str(error)) from error
    if status in _REFUSALS:
        return False
    if is_alertmanagers(call, status, said):
        return True
    raise Failed(f"ask for {call}: it answered {status} {told(said_in(said))}")


def is_alertmanagers(call: str, status: int, said: Any) -> bool:
    """Whether Alertmanager itself has answered: it lists no silence, and says of the others what is wrong with them."""
    if call == _LIST:
        return status == HTTPStatus.OK and said == []
    return status in _FAULTY and isinstance(said, Mapping) and {"code", "message"} <= said.keys()
