"""The groups of which a delivery left alerts out, until these are fetched. Filled by intake, emptied by recovery.

It keeps what is needed to ask for a group and no alert, and only so many groups: who sends them is not trusted.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from remediator.kit.redaction import shorten
from remediator.model.alert import Delivery

log = structlog.get_logger(__name__)

_GROUPS = 1000
_LARGEST = 16 * 1024  # characters that name one group; a longer question is one that Alertmanager refuses
_SAID = 200


@dataclass(frozen=True, slots=True)
class CutGroup:
    """A group that was not told whole, and how often it was asked for in vain."""

    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    missing: int
    tries: int = 0
    not_before: float = 0.0  # on the monotonic clock

    @property
    def told(self) -> dict[str, str | int]:
        """What a line of the log says of it."""
        receiver, group = shorten(self.receiver, _SAID), shorten(self.group_key, _SAID)
        return {"missing": self.missing, "receiver": receiver, "group": group}

    @property
    def size(self) -> int:
        names = sum(len(name) + len(value) for name, value in self.group_labels.items())
        return len(self.receiver) + len(self.group_key) + names


class Incomplete:
    """The groups that wait, each once."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], CutGroup] = {}
        self._come = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, delivery: Delivery) -> None:
        """Have the rest of a delivery's group fetched; where too many wait, the oldest gives way."""
        group = CutGroup(delivery.receiver, delivery.group_key, dict(delivery.group_labels), delivery.truncated)
        if group.size > _LARGEST:
            log.error("delivery_not_completed", error="the labels of its group are too long to ask for", **group.told)
            return
        self._waiting.pop((group.receiver, group.group_key), None)
        self._add(group)

    def put_back(self, group: CutGroup) -> None:
        """Have it tried again; a newer delivery of the same group goes first."""
        if (group.receiver, group.group_key) not in self._waiting:
            self._add(group)

    def take_due(self, now: float) -> tuple[CutGroup, ...]:
        """Every group whose time has come; they wait no more."""
        due = tuple(group for group in self._waiting.values() if group.not_before <= now)
        for group in due:
            del self._waiting[group.receiver, group.group_key]
        return due

    async def wait(self) -> None:
        """Wait until there is one, due or not."""
        while not self._waiting:
            self._come.clear()
            await self._come.wait()

    def _add(self, group: CutGroup) -> None:
        if len(self._waiting) >= _GROUPS:
            oldest = self._waiting.pop(next(iter(self._waiting)))
            log.error("delivery_not_completed", error=f"more than {_GROUPS} groups wait to be fetched", **oldest.told)
        self._waiting[group.receiver, group.group_key] = group
        self._come.set()
