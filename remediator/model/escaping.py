"""The parts of a name, so that no label can forge one."""

from functools import lru_cache
from urllib.parse import quote


@lru_cache(maxsize=4096)
def escaped(part: str) -> str:
    """The part without any character that separates parts. The same few come again and again."""
    return quote(part, safe="", errors="replace")
