"""Sizes of memory as Docker and people write them: `512m`, `8g`, `1.5GiB`. A kilobyte has 1024 bytes here, as there."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?\s?([kmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_LARGEST = 2**62  # what engines count in 64 bits


def parse_size(text: str) -> int:
    """The bytes that `text` says. Raises ValueError with an example."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or not text.isascii():
        raise ValueError(f"{text[:40]!r} is not a size; write it like 512m, 8g or 1.5g")
    whole, part, unit = found[1], found[2] or "0", _UNITS[found[3].lower()]
    size = int(whole) * unit + int(part) * unit // int(10 ** len(part))
    if size > _LARGEST:
        raise ValueError(f"{text[:40]!r} is larger than any size that can be counted")
    return size


def say_size(size: int) -> str:
    """The size for people, with at most two decimals: `8 GiB`, `1.5 GiB`, `900 B`."""
    for unit, name in ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{f'{size / unit:.2f}'.rstrip('0').rstrip('.')} {name}"
    return f"{size} B"


def _accept(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("write a size like 512m, 8g or 1.5g")
    if isinstance(value, int):
        return value
    return parse_size(value)


Size = Annotated[
    int,
    BeforeValidator(_accept),
    PlainSerializer(lambda size: f"{size}b", return_type=str),
    WithJsonSchema({"type": "string", "examples": ["512m", "8g"]}),
]
