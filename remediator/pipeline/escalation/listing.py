"""Which problems are open that somebody else is told of, and that a person takes one on; levels that are not set up.

Called by the API and at the start. A person's word is stored as a signal and nothing else: the run's owner tells it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.errors import BadRules, Failed
from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.kit.wording import say_time
from remediator.model.ids import RuleId, RunId
from remediator.model.person import Person
from remediator.model.run import Acknowledge, Run, RunSummary
from remediator.model.stage import acknowledged
from remediator.pipeline import auditing
from remediator.pipeline.escalation.deliveries import LevelState, Name, gathered_in, states_of, wanted
from remediator.pipeline.escalation.levels import IN_HAND, NO_LEVELS, DueLevel, Levels, is_over, levels_left
from remediator.pipeline.outbox import Tries
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.story import say_standing
from remediator.rules.book import Book
from remediator.storage.outbox import NoticeState
from remediator.storage.store import Store

_NEWEST = 500  # runs that are looked through


class NoProblem(Failed):
    """There is nothing to take on any more."""


class TakenAlready(Failed):
    """Somebody else has it."""


@dataclass(frozen=True, slots=True)
class OpenProblem:
    """A run whose rule escalates, and whose problem is not over."""

    run: Run
    levels: tuple[LevelState, ...]
    """Those that it was sent on to, then those that are due."""
    next_level: str | None
    """The level that is told next; None where nobody else is."""
    next_at: datetime | None
    taken_on: Acknowledge | None


class Escalations:
    """Looks through the newest runs, and leaves word for one."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        clock: Clock,
        *,
        on_word: Callable[[RunId], None] = lambda _run: None,
        levels: Levels = NO_LEVELS,
        channel: str = "",
        tries: Callable[[int], Tries | None] = lambda _seq: None,
        redactor: Redactor | None = None,
    ) -> None:
        """`on_word` is called when word was left for a run.

        `levels` are those of the settings, `channel` is where what waits for one that there is no more is told, and
        `tries` says how often this process has tried to send a post.
        """
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._on_word = on_word
        self._levels = levels
        self._channel = channel
        self._tries = tries
        self._redactor = redactor or Redactor()

    async def list_open(self) -> Sequence[OpenProblem]:
        """The open problems among the newest runs, the newest first. Raises StoreUnavailable."""
        found = []
        for summary in await self._store.list_runs(limit=_NEWEST):
            seen = await self._look(summary) if _may_be_open(summary) else None
            if seen is not None:
                found.append(seen)
        notices = await self._notices([run for run, _ in found])
        return [self._problem(run, left, notices) for run, left in found]

    async def acknowledge(
        self,
        run_id: RunId,
        by: str,
        reason: str,
        *,
        take_over: bool = False,
        person: Person | None = None,
        origin: str = "",
    ) -> Acknowledge | None:
        """Have a person take a problem on: nobody else is told of it; with `take_over` also from whoever has it.

        None where there is no such run. Raises NoProblem where it is over, TakenAlready where it is somebody else's,
        and StoreUnavailable.
        """
        by, reason = self._redactor.text(by), self._redactor.text(reason)
        run = await self._store.read_run(run_id)
        if run is None:
            return None
        if is_over(run):
            raise NoProblem(f"the problem is over: {say_standing(run)}")
        has_it = acknowledged(run)
        if has_it is not None and (has_it.by == by or not take_over):
            return _theirs(has_it, by)
        name, via = (person.name, person.via.value) if person is not None else ("", "")
        word = Acknowledge(self._clock.now(), by, reason, take_over, name, via, origin)
        entry = auditing.of_word(run_id, word, self._redactor, run.rule)
        if not await self._store.signal(run_id, word, [entry]):
            return None
        self._on_word(run_id)
        run = await self._store.read_run(run_id)  # two may have said it at once
        return _theirs((acknowledged(run) if run is not None else None) or word, by)

    async def _notices(self, runs: Sequence[Run]) -> dict[Name, NoticeState]:
        """How far the telling of these is."""
        names = list(dict.fromkeys(name for run in runs for name in wanted(run, self._channel)))
        found = {(one.channel, one.key): one for one in await self._store.read_notices(names)} if names else {}
        if several := list(dict.fromkeys(gathered_in(found, self._channel))):
            found.update({(one.channel, one.key): one for one in await self._store.read_notices(several)})
        return found

    def _problem(self, run: Run, left: tuple[DueLevel, ...], notices: dict[Name, NoticeState]) -> OpenProblem:
        return OpenProblem(
            run,
            states_of(run, left, self._levels, notices, self._channel, self._tries),
            left[0].level.to if left else None,
            left[0].at if left else None,
            acknowledged(run),
        )

    async def _look(self, summary: RunSummary) -> tuple[Run, tuple[DueLevel, ...]] | None:
        run = await self._store.read_run(summary.id)
        if run is None or is_over(run):
            return None
        try:
            rule = await self._rulebook.rule(run.rule_digest)
        except (Failed, BadRules):  # such a run is told in its own thread, and ends
            return None
        if not rule.escalate:
            return None
        return run, levels_left(run, rule)


def _theirs(word: Acknowledge, by: str) -> Acknowledge:
    """The word of whoever has it. Raises TakenAlready where that is somebody else."""
    if word.by != by:
        why = f" ({word.reason})" if word.reason else ""
        raise TakenAlready(
            f"{word.by} has it since {say_time(word.at)}{why}, so it was not taken on; to take it from them, say so: "
            "--take-over, or take_over over the API"
        )
    return word


def _may_be_open(summary: RunSummary) -> bool:
    return summary.outcome not in IN_HAND


def unknown_levels(book: Book, levels: Collection[str]) -> Iterator[tuple[RuleId, str]]:
    """Each rule, with a level that it names and that there is not."""
    for rule in book:
        for name in dict.fromkeys(level.to for level in rule.escalate):
            if name not in levels:
                yield rule.id, name
