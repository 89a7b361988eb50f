"""What the API and Slack may ask and say about runs. They are given it by the composition root.

What people say is stored first, and only then is the run woken: a word is never lost with this process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.model.ids import OwnerId, RunId
from remediator.model.priority import Priority
from remediator.model.run import Cancel, Run, RunSummary, Settle, Undo
from remediator.pipeline import auditing
from remediator.pipeline.approvals import Approvals, Said, Verdict
from remediator.pipeline.dispatch import Dispatcher
from remediator.pipeline.replicas import Alone, Replicas
from remediator.pipeline.undo.looking import Found, Looking
from remediator.pipeline.undo.verdicts import Key
from remediator.storage.store import Store


@dataclass(frozen=True, slots=True)
class Runs:
    """What may be asked and said about runs."""

    store: Store
    dispatcher: Dispatcher
    clock: Clock
    replicas: Alone | Replicas
    looking: Looking
    approvals: Approvals
    redactor: Redactor

    async def list_runs(
        self, *, limit: int, outcome: str | None, active: bool, unsettled: bool
    ) -> tuple[RunSummary, ...]:
        return await self.store.list_runs(limit=limit, outcome=outcome, active=active, unsettled=unsettled)

    def processes(self) -> Mapping[OwnerId, str]:
        return self.replicas.names

    async def read_run(self, run: RunId, /) -> Run | None:
        return await self.store.read_run(run)

    async def decide(self, run: RunId, said: Said, /) -> Verdict | None:
        return await self.approvals.decide(run, said)

    async def cancel(self, run: RunId, wish: Cancel, /) -> bool:
        """Store the wish, then wake the run's owner."""
        return await self._say(run, wish)

    async def settle(self, run: RunId, word: Settle, /) -> bool:
        """Store what a person knows, then wake the run's owner."""
        return await self._say(run, word)

    async def look_at_changes(self, run: Run, /) -> Mapping[Key, Found]:
        return await self.looking.look(run)

    async def undo(self, run: RunId, wish: Undo, /) -> bool:
        """Store the wish, then wake the run's owner."""
        return await self._say(run, wish)

    async def _say(self, run: RunId, word: Cancel | Settle | Undo) -> bool:
        word = replace(word, by=self.redactor.text(word.by), reason=self.redactor.text(word.reason))
        stored = await self.store.signal(run, word, [auditing.of_word(run, word, self.redactor)])
        if stored:
            self.dispatcher.wake(run, self.clock.now(), Priority.HIGH)  # a person waits to see it done
        return stored
