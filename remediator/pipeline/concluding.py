"""Has lessons drawn from how a round has ended, in the right order: first stored, then concluded from.

Called by the flow and its parts whenever a round is over. What follows is up to `Lessons`. It may be called again.
"""

from remediator.model.facts import Planned
from remediator.pipeline.cases import Cases
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.lessons import Lessons
from remediator.rules.book import Rule


class Concluding:
    """Concludes rounds."""

    def __init__(self, lessons: Lessons, cases: Cases) -> None:
        self._lessons = lessons
        self._cases = cases

    async def conclude(self, ledger: Ledger, rule: Rule, planned: Planned) -> None:
        """Have what a round has shown stand in the way from now on. The journal must show it as well, so it is stored.

        Raises StoreUnavailable: then all of it is done again, before the run goes on.
        """
        await ledger.save()
        await self._lessons.learn(self._cases.of(ledger, rule, planned))

    async def conclude_well(self, ledger: Ledger, rule: Rule, planned: Planned) -> None:
        """The same for an ending that was not bad: all that can follow is that a breaker closes."""
        if await self._lessons.has_open_breaker(self._cases.of(ledger, rule, planned)):
            await self.conclude(ledger, rule, planned)
