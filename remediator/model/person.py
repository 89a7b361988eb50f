"""A person who says something to us, as far as it is known who that is. Whoever checks a caller makes it."""

from dataclasses import dataclass
from enum import StrEnum

ADMIN = "admin"
"""The name of whoever holds the admin token: one person, whatever names are given with it."""


class Via(StrEnum):
    """The way by which a person's word came."""

    SLACK = "slack"
    TOKEN = "token"  # noqa: S105 - an API token of a subject
    ADMIN = "admin"  # the admin token, as the terminal uses it
    SERVICE = "service"  # it is ourselves


@dataclass(frozen=True, slots=True)
class Person:
    """Who says something, and by which way."""

    name: str
    """The same for one person by every way: the name in `people`; else `slack:U…`, `token:<subject>`, or `admin`."""
    via: Via
    shown: str
    """The name for people to read. With the admin token it is whatever its owner states."""
    groups: frozenset[str] = frozenset()
    """The groups of approvers that they are in."""
    given: frozenset[str] = frozenset()
    """Those of them that the person's token gives; the settings may say otherwise later of all others."""
    is_known: bool = False
    """Whether the settings, or a token of ours, say who this is."""
    token: str = ""
    """The id of the token of the API by which they speak; empty for every other way."""

    @property
    def is_admin(self) -> bool:
        return self.via is Via.ADMIN


SERVICE = Person("remediator", Via.SERVICE, "remediator", is_known=True)
"""Ourselves, where nobody has decided."""
