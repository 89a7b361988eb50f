"""The API that starts a rule by hand, for an alert that the caller states. It needs a token that may decide.

Called by the server, which has checked the token. With the header `Idempotency-Key`, the same request made again by the
same caller starts nothing twice, whichever process it reaches.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from aiohttp import web

from remediator.pipeline.intake import NotStarted
from remediator.pipeline.starting import Begun, NoSuchRule, OtherStart, Unfitting, Wish
from remediator.web.auth import CALLER
from remediator.web.body import Bodies
from remediator.web.given import MAX_WORDS, bad, known, read_given, words

KEY = "Idempotency-Key"

_MAX_BODY = 64 * 1024
_MAX_LABELS = 64  # and as many annotations
_MAX_VALUE = 4096
_MAX_KEY = 200
_FIELDS = ("rule", "labels", "annotations", "reason", "by")


class Starter(Protocol):
    """What the API needs to start rules by hand."""

    async def start(self, wish: Wish, /) -> Begun:
        """Start one. Raises NotStarted, OtherStart, and StoreUnavailable."""
        ...


class StartPages:
    """Answers `POST /api/v1/runs`."""

    def __init__(self, starts: Starter, bodies: Bodies) -> None:
        self._starts = starts
        self._bodies = bodies

    async def start(self, request: web.Request) -> web.Response:
        """Start a rule: 201, or 200 where the same request has done so; 404 for no rule, 409 where it is open already.

        400 with each matcher of the rule that the labels do not fit.
        """
        caller = request[CALLER]
        given = known(await read_given(request, self._bodies, _MAX_BODY), "a start is", _FIELDS)
        rule = words(given, "rule")
        if not rule:
            raise bad("rule is needed: PACK/RULE")
        labels, annotations = _pairs(given, "labels"), _pairs(given, "annotations")
        person = caller.named(words(given, "by"), "by is needed: who starts it")
        wish = Wish(rule, labels, person, annotations, words(given, "reason"), _key(request), caller.origin)
        try:
            begun = await self._starts.start(wish)
        except NotStarted as error:
            status = 404 if isinstance(error, NoSuchRule) else 400 if isinstance(error, Unfitting) else 409
            return web.json_response({"error": _printable(str(error))}, status=status)  # whole, however long it is
        except OtherStart as error:
            raise web.HTTPConflict(text=str(error)) from error
        shown = {"run": begun.run, "rule": begun.rule, "repeated": begun.repeated}
        return web.json_response(shown, status=200 if begun.repeated else 201)


def _key(request: web.Request) -> str:
    key = request.headers.get(KEY, "")
    if len(key) > _MAX_KEY or not key.isprintable():
        raise bad(f"{KEY} is not a text of at most {_MAX_KEY} printable characters")
    return key


def _pairs(given: Mapping[str, Any], name: str) -> dict[str, str]:
    value = given.get(name, {})
    is_right = type(value) is dict and all(
        key and len(key) <= _MAX_VALUE and type(text) is str and len(text) <= _MAX_VALUE for key, text in value.items()
    )
    if not is_right or len(value) > _MAX_LABELS:
        raise bad(f"{name} is not an object of at most {_MAX_LABELS} texts, each of at most {_MAX_VALUE} characters")
    return dict(value)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_WORDS])
