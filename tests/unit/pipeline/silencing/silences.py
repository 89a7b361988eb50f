"""An Alertmanager whose silences a test can see and bend, and rules that silence."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from remediator.clients.alertmanager import CREATED_BY, OwnSilence, Silence
from remediator.errors import RemediatorError
from remediator.model.matchers import Matcher
from tests.unit.pipeline.harness import Harness, rule

HALF_AN_HOUR = timedelta(minutes=30)


@dataclass
class Kept:
    """A silence as Alertmanager has it."""

    matchers: frozenset[Matcher]
    comment: str
    ends_at: datetime
    created_by: str = CREATED_BY


@dataclass
class Desk:
    """An Alertmanager: what fires there, and its silences."""

    silences: dict[str, Kept] = field(default_factory=dict)
    over: list[dict[str, str]] = field(default_factory=list)
    """Labels of alerts that do not fire any more; all others do."""
    away: RemediatorError | None = None
    """What every call fails with."""
    away_to: frozenset[str] = frozenset()
    """The only calls that fail, where any are named."""
    restarted_at: datetime | None = None
    dies_after_making: bool = False
    """Whether the next caller never hears that its silence was made."""
    asked: int = 0
    made: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether a silence was made."""

    def _answer(self, call: str) -> None:
        if self.away is not None and (not self.away_to or call in self.away_to):
            raise self.away

    def lasting(self, now: datetime) -> list[Kept]:
        return [one for one in self.silences.values() if one.ends_at > now]

    async def is_firing(self, labels: Mapping[str, str]) -> bool:
        self._answer("is_firing")
        self.asked += 1
        return dict(labels) not in self.over

    async def up_since(self) -> datetime:
        return self.restarted_at or datetime.fromisoformat("2020-01-01T00:00:00+00:00")

    async def own_silences(self, matchers: Collection[Matcher]) -> tuple[OwnSilence, ...]:
        self._answer("own_silences")
        found = [(name, one) for name, one in self.silences.items() if one.matchers == frozenset(matchers)]
        return tuple(OwnSilence(name, one.ends_at, one.ends_at, one.ends_at, one.comment) for name, one in found)

    async def find_silence(self, silence_id: str) -> Silence | None:
        self._answer("find_silence")
        found = self.silences.get(silence_id)
        return None if found is None else Silence(silence_id, found.created_by, found.comment, found.ends_at)

    async def make_silence(
        self, matchers: Collection[Matcher], *, starts_at: datetime, ends_at: datetime, comment: str
    ) -> str:
        self._answer("make_silence")
        name = f"s{len(self.silences) + 1}"
        self.silences[name] = Kept(frozenset(matchers), comment, ends_at)
        self.made.set()
        if self.dies_after_making:
            self.dies_after_making = False
            await asyncio.Event().wait()  # until the process is killed
        return name

    async def end_silence(self, silence_id: str) -> None:
        self._answer("end_silence")
        self.silences[silence_id].ends_at = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


def quiet(**changes: Any) -> dict[str, Any]:
    """A rule that silences its alert for half an hour at most."""
    return rule(silence="30m", **changes)


def unproven(**changes: Any) -> dict[str, Any]:
    """One without checks: the alert's own resolution is the proof."""
    return quiet(verify={"settle": "5s", "sustain": "10s", "within": "10m"}, **changes)


async def titles(it: Harness) -> list[str]:
    run = await it.run()
    return [post.message.title for post in await it.posts(run.id)]
