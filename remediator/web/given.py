"""What a caller has given: a JSON object, its texts, an id, parameters. What is none is refused in the same words.

Called by the pages of the API.
"""

from collections.abc import Collection, Mapping
from typing import Any

from aiohttp import web

from remediator.web.body import Bodies
from remediator.web.webhook import read_json

MAX_WORDS = 2000
"""Characters of a person's name or reason."""
_MAX_ID = 64
_SHOWN = 40


def bad(what: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=what)


async def read_given(request: web.Request, bodies: Bodies, max_bytes: int) -> Any:
    """The value of the body."""
    async with bodies.hold() as hold:
        return read_json(await bodies.read(request, hold, max_bytes=max_bytes))


def only(given: Any, says: str, *names: str) -> Mapping[str, Any]:
    """The object that was given, with no other fields than these; `says` is how the refusal begins."""
    if type(given) is not dict or set(given) - set(names):
        raise bad(f"{says} a JSON object: {', '.join(names)}")
    return given


def known(given: Any, says: str, names: Collection[str]) -> Mapping[str, Any]:
    """The object that was given; a field that is none of these is named."""
    if type(given) is not dict:
        raise bad(f"{says} a JSON object: {', '.join(names)}")
    if unknown := sorted(set(given) - set(names)):
        raise bad(f"there is no field {unknown[0][:_SHOWN]!a}; there are {', '.join(names)}")
    return given


def words(given: Mapping[str, Any], name: str) -> str:
    """A text that a person has written; an empty one where none was given."""
    value = given.get(name, "")
    if type(value) is not str or len(value) > MAX_WORDS:
        raise bad(f"{name} is not a text of at most {MAX_WORDS} characters")
    return value.strip()


def is_id(text: str) -> bool:
    """Whether it could be the id of a run."""
    return len(text) <= _MAX_ID and text.isascii() and text.isalnum()


def refuse_other_parameters(query: Mapping[str, str], *names: str) -> None:
    """Refuse a parameter that is none of these."""
    unknown = sorted(set(query) - set(names))
    if not unknown:
        return
    match names:
        case ():
            there = "there is none"
        case (name,):
            there = f"there is {name}"
        case (*others, last):
            there = f"there are {', '.join(others)} and {last}"
    raise bad(f"there is no parameter {unknown[0][:_SHOWN]!a}; {there}")
