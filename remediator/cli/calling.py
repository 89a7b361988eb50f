"""One question to a service over HTTP: JSON there, JSON or a refusal back. Called by `service`, which tells people.

Neither proxies nor redirects are followed: a token must not reach anybody else.
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TIMEOUT = 15


class NoAnswer(Exception):  # noqa: N818 - it reads like the errors of our tree
    """Nobody answered, or not in HTTP and JSON; the text says why."""


class Unsendable(Exception):  # noqa: N818 - it reads like the errors of our tree
    """A header that was given cannot be sent; the text says which, and not what is in it: it may be a token."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error: its status, and why, as the other side put it."""

    status: int
    why: str


def call(
    method: str,
    url: str,
    body: Mapping[str, Any] | None,
    authorization: str,
    more: Mapping[str, str] | None = None,
) -> Any:
    """The JSON that is answered, or a Refusal; with an empty `authorization`, none is sent.

    `more`: headers. Raises NoAnswer and Unsendable.
    """
    headers = {"Content-Type": "application/json", **(more or {})}
    if authorization:
        headers["Authorization"] = authorization
    data = json.dumps(body).encode() if body is not None else None
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise Unsendable(f"{name} cannot be sent: what was given for it has a line end, or is not plain ASCII")
    try:
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - `service` sees to http(s)
        with _opener().open(request, timeout=_TIMEOUT) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return _refusal(error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(_why(error)) from error


def _refusal(error: urllib.error.HTTPError) -> Refusal:
    try:
        why = str(json.loads(error.read()).get("error", ""))
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        why = ""
    return Refusal(error.code, why or str(error.reason))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The service never redirects, and a token must not follow somebody else's."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    """Without the proxies of the environment: a local service is behind none, and the token is not theirs to see."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


def _why(error: Exception) -> str:
    """Why nobody answered, without Python's wrapping."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror[0].lower() + cause.strerror[1:]
    return str(cause)
