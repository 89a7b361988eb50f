"""Rule files that change, a reloader that reads them, and what it tells."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from remediator.errors import StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.ids import Digest
from remediator.model.message import Message
from remediator.pipeline.reloading import Reloader, Result
from remediator.pipeline.rulebook import Rulebook
from remediator.rules.loading import load_book
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.harness import rule
from tests.unit.pipeline.world import World, actions_of

ACTIONS = actions_of(World())
MINUTE = timedelta(minutes=1)


class WeakStore(SqliteStore):
    """A store that can be away, and that remembers in which order it was written to."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(None, clock=clock, metrics=Metrics())
        self.is_away = False
        self.told: list[tuple[str, str, Message]] = []
        self.before_remembering: Callable[[], object] = lambda: None
        self.before_telling: Callable[[], object] = lambda: None
        self.documents_read = 0

    async def remember_rules(self, documents: Mapping[Digest, Mapping[str, Any]]) -> None:
        if self.is_away:
            raise StoreUnavailable("the disk is full")
        self.before_remembering()
        await super().remember_rules(documents)

    async def rule_document(self, digest: Digest) -> Mapping[str, Any] | None:
        self.documents_read += 1
        return await super().rule_document(digest)

    async def notify(self, channel: str, key: str, message: Message, at: datetime) -> None:
        if self.is_away:
            raise StoreUnavailable("the disk is full")
        self.before_telling()
        self.told.append((channel, key, message))
        await super().notify(channel, key, message, at)


def document(*rules: Mapping[str, Any], pack: str = "p") -> str:
    return yaml.safe_dump({"pack": pack, "vars": {}, "rules": list(rules)}, sort_keys=False)


class Scene:
    """Rule files, the rules in force, and what is said about them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "p.yaml"
        self.write(rule())
        self.clock = VirtualClock()
        self.store = WeakStore(self.clock)
        self.metrics = Metrics()
        self.rulebook = Rulebook(load_book([folder], ACTIONS), ACTIONS, self.store)
        self.nudges = 0
        self.reloader = Reloader(
            paths=[folder],
            actions=ACTIONS,
            rulebook=self.rulebook,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            redactor=Redactor(["hunter2"]),
            channel="#c",
            on_message=self._note_nudge,
        )
        self.reloader.note_start()

    def _note_nudge(self) -> None:
        self.nudges += 1

    def write(self, *rules: Mapping[str, Any]) -> None:
        self.file.write_text(document(*rules))

    def break_files(self, name: str = "rulez") -> None:
        self.file.write_text(f"{name}: []\n{document(rule())}")

    async def reload(self, *, by_hand: bool = False) -> Result:
        """One reload, with the time that it wants."""
        self.reloader.ask(by_hand=by_hand)
        task = asyncio.create_task(self.reloader.reload())
        await self.let(task)
        return task.result()

    async def let(self, task: "asyncio.Task[Result]") -> None:
        async with asyncio.timeout(60):
            while not task.done():
                await self.clock.advance(timedelta(milliseconds=100))
                await asyncio.sleep(0.001)

    async def until(self, what: str, *, step: timedelta = timedelta(milliseconds=100)) -> None:
        """Let time pass until a metric has counted a result."""
        before = self.counted(what)
        async with asyncio.timeout(60):
            while self.counted(what) == before:
                await self.clock.advance(step)
                await asyncio.sleep(0.001)

    def counted(self, result: str) -> float:
        return self.sample("remediator_rules_reloads_total", result=result) or 0

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.rulebook.book]

    @property
    def titles(self) -> list[str]:
        return [message.title for _, _, message in self.store.told]
