"""The API over the audit journal: what was decided and done, page by page. It takes the scope `admin`.

Called by the server, which has checked who calls. Entries are shown as they are stored, to the letter: whoever has the
key computes their seals anew from what is shown.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from aiohttp import web

from remediator.model.audit import Part, Sealed
from remediator.model.ids import RunId

_MOST = 500
_LARGEST = 2**63 - 1
_PARAMETERS = ("after", "limit", "run", "part")
_MAX_ID = 64


class AuditReader(Protocol):
    """What the API needs of the store."""

    async def audit_page(
        self, *, after: int, limit: int, run: RunId | None = None, part: Part = Part.ALL
    ) -> tuple[Sealed, ...]:
        """Entries after a place, or, of those that are not sealed, after a `seq`."""
        ...

    async def audit_head(self) -> tuple[int, str]:
        """The place and the seal of the newest sealed entry."""
        ...

    async def audit_begin(self) -> tuple[int, str]:
        """The place and the seal of the newest entry that was dropped."""
        ...


class AuditPages:
    """Answers `/api/v1/audit`."""

    def __init__(self, reader: AuditReader) -> None:
        self._reader = reader

    async def list(self, request: web.Request) -> web.Response:
        """A page of entries, and where the chain begins and ends.

        In the order of the chain, after a place, and last what is not sealed yet; `part=unsealed`: only that, by `seq`.
        """
        query = request.query
        if unknown := next((name for name in query if name not in _PARAMETERS), None):
            raise web.HTTPBadRequest(text=f"there is no parameter {unknown[:40]!a}; there are {', '.join(_PARAMETERS)}")
        after = _number(query.get("after", "0"), "after", 0, _LARGEST)
        limit = _number(query.get("limit", "100"), "limit", 1, _MOST)
        begins, found = await self._reader.audit_begin(), await self._find(query.get("run"), after, limit, query)
        head = await self._reader.audit_head()
        return web.json_response(
            {"entries": [show_entry(one) for one in found], "begins": _show_head(begins), "head": _show_head(head)}
        )

    async def _find(self, run: str | None, after: int, limit: int, query: Any) -> Sequence[Sealed]:
        part = query.get("part", Part.ALL.value)
        if part not in list(Part):
            raise web.HTTPBadRequest(text=f"part is one of {', '.join(Part)}")
        if run is None:
            return await self._reader.audit_page(after=after, limit=limit, part=Part(part))
        if "part" in query:
            raise web.HTTPBadRequest(text="give run or part, not both")
        if not (len(run) <= _MAX_ID and run.isascii() and run.isalnum()):
            raise web.HTTPBadRequest(text="run is the id of a run")
        return await self._reader.audit_page(after=after, limit=limit, run=RunId(run))


def show_entry(one: Sealed) -> dict[str, Any]:
    """An entry for JSON, with all that its seal is computed from."""
    entry = one.entry
    return {
        "seq": one.seq,
        "place": one.place,
        "seal": one.seal,
        "key": one.key,
        "at": entry.at.isoformat(),
        "what": entry.what,
        "who": entry.who,
        "via": entry.via,
        "shown": entry.shown,
        "run": entry.run,
        "subject": entry.subject,
        "digest": entry.digest,
        "origin": entry.origin,
        "outcome": entry.outcome,
        "detail": entry.detail,
    }


def _show_head(head: tuple[int, str]) -> dict[str, Any]:
    return {"place": head[0], "seal": head[1]}


def _number(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST)) and least <= int(text) <= most):
        raise web.HTTPBadRequest(text=f"{name} is a number from {least} to {most}")
    return int(text)
