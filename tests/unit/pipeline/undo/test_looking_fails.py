"""A look at what is left of changes that fails leaves nothing going on behind it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import StoreUnavailable
from remediator.model.history import Known, Question
from remediator.pipeline.undo.younger import Younger
from tests.unit.pipeline.harness import Harness, rule
from tests.unit.pipeline.undo.temporary import BOLD, NAME, healed


class Away:
    """A store that does not answer, once nothing else is to come first."""

    def __init__(self, ready: asyncio.Event) -> None:
        self.ready = ready

    async def known(self, questions: Sequence[Question]) -> Known:
        await self.ready.wait()
        raise StoreUnavailable("it is away")

    async def read_run(self, run: object) -> None:
        raise AssertionError(run)

    async def signal(self, run: object, signal: object) -> bool:
        raise AssertionError(run, signal)


async def test_where_one_look_fails_the_others_are_ended(tmp_path: Path) -> None:
    """Whoever asked has the error by then, and what still asks its target would do so for nobody."""
    steps: list[dict[str, Any]] = [{"test.set": {"name": NAME, "way": way}} for way in ("first", BOLD)]
    async with Harness(tmp_path, rule(remediate=[{"name": "both", "do": steps}])) as it:
        await healed(it)
        looks, ended, second = 0, 0, asyncio.Event()

        async def look() -> None:
            nonlocal looks, ended
            looks += 1
            if looks == 1:
                return
            second.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended += 1

        it.world.on_remains = look
        it.process.looking._younger = Younger(Away(second), lambda _run: None)
        with pytest.raises(StoreUnavailable, match="it is away"):
            await it.process.looking.look(await it.run())

        assert (2, 1) == (looks, ended)
