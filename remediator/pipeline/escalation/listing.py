"""Which problems are open that somebody else is told of, and that a person takes one on; levels that are not set up.

Called by the API and at the start. A person's word is stored as a signal and nothing else: the run's owner tells it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.errors import BadRules, Failed
from remediator.kit.clock import Clock
from remediator.model.facts import Escalated
from remediator.model.ids import RuleId, RunId
from remediator.model.run import Acknowledge, Run, RunSummary
from remediator.model.stage import acknowledged
from remediator.pipeline.escalation.levels import IN_HAND, is_over, levels_left
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.story import say_standing
from remediator.rules.book import Book
from remediator.storage.store import Store

_NEWEST = 500  # runs that are looked through


class NoProblem(Failed):
    """There is nothing to take on any more."""


@dataclass(frozen=True, slots=True)
class OpenProblem:
    """A run whose rule escalates, and whose problem is not over."""

    run: Run
    told: tuple[Escalated, ...]
    next_level: str | None
    """The level that is told next; None where nobody else is."""
    next_at: datetime | None
    taken_on: Acknowledge | None


class Escalations:
    """Looks through the newest runs, and leaves word for one."""

    def __init__(
        self, store: Store, rulebook: Rulebook, clock: Clock, *, on_word: Callable[[RunId], None] = lambda _run: None
    ) -> None:
        """`on_word` is called when word was left for a run."""
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._on_word = on_word

    async def list_open(self) -> Sequence[OpenProblem]:
        """The open problems among the newest runs, the newest first. Raises StoreUnavailable."""
        found = []
        for summary in await self._store.list_runs(limit=_NEWEST):
            problem = await self._look(summary) if _may_be_open(summary) else None
            if problem is not None:
                found.append(problem)
        return found

    async def acknowledge(self, run_id: RunId, by: str, reason: str) -> Acknowledge | None:
        """Have a person take a problem on: nobody else is told of it. Whose it is: theirs, or whoever came first.

        None where there is no such run. Raises NoProblem where it is over, and StoreUnavailable.
        """
        run = await self._store.read_run(run_id)
        if run is None:
            return None
        if is_over(run):
            raise NoProblem(f"the problem is over: {say_standing(run)}")
        if (first := acknowledged(run)) is not None:
            return first
        word = Acknowledge(self._clock.now(), by, reason)
        if not await self._store.signal(run_id, word):
            return None
        self._on_word(run_id)
        return word

    async def _look(self, summary: RunSummary) -> OpenProblem | None:
        run = await self._store.read_run(summary.id)
        if run is None or is_over(run):
            return None
        try:
            rule = await self._rulebook.rule(run.rule_digest)
        except (Failed, BadRules):  # such a run is told in its own thread, and ends
            return None
        if not rule.escalate:
            return None
        left = levels_left(run, rule)
        return OpenProblem(
            run,
            tuple(fact for fact in run.facts if isinstance(fact, Escalated)),
            left[0].level.to if left else None,
            left[0].at if left else None,
            acknowledged(run),
        )


def _may_be_open(summary: RunSummary) -> bool:
    return summary.outcome not in IN_HAND


def unknown_levels(book: Book, levels: Collection[str]) -> Iterator[tuple[RuleId, str]]:
    """Each rule, with a level that it names and that there is not."""
    for rule in book:
        for name in dict.fromkeys(level.to for level in rule.escalate):
            if name not in levels:
                yield rule.id, name
