"""Patterns on targets' stable names and on namespaces, as people write them: `docker:local/postgres*`. Pure.

`*` stands for any text, also over a `/`, and `?` for one character; capitals count. A name is compared as it is shown:
its parts are escaped there, so that nothing in a part can pass for a separator.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import quote

_KEPT = "/*?%"  # behind the system: what separates parts, what stands for something, and what is escaped already


@dataclass(frozen=True, slots=True)
class Pattern:
    """As it was written, and as it is compared."""

    text: str
    glob: str

    def matches(self, name: str) -> bool:
        """Whether a name is meant."""
        return fnmatchcase(name, self.glob)

    def __str__(self) -> str:
        return self.text


def parse_pattern(text: str) -> Pattern:
    """A pattern on stable names. Raises ValueError, with what to write, where no target could have such a name."""
    _refuse_brackets(text)
    if "@" in text:
        raise ValueError(f"{text!r}: leave out the `@` and what stands behind it; a pattern is about the stable name")
    system, colon, rest = text.partition(":")
    if not colon and not text.startswith("*"):
        raise ValueError(f"{text!r} is no target's name; write it with its system, like docker:local/postgres*")
    # Escaped as names are, so that `postgres:main db` finds `postgres:main%20db`.
    return Pattern(text, f"{system}{colon}{quote(rest, safe=_KEPT, errors='replace')}")


def parse_glob(text: str) -> Pattern:
    """A pattern on plain names, such as those of namespaces. Raises ValueError."""
    _refuse_brackets(text)
    if not text:
        raise ValueError("a pattern of no characters fits nothing; write one like kube-*")
    return Pattern(text, text)


def _refuse_brackets(text: str) -> None:
    if "[" in text or "]" in text:
        raise ValueError(f"{text!r}: only `*` and `?` stand for something here; write one pattern for each name")
