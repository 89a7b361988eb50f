"""Puts changed rule files in force while the service runs. The composition root starts it; a signal or a watcher asks.

Files with mistakes never replace rules that work. That is told in the log, in the metrics, by readiness and in chat,
and so is it when the files are good again. Rules are in the store before any run can start with them, and a run keeps
the rule that it started with. Nothing that goes wrong here may end the service.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import structlog

from remediator.documents import Mistake
from remediator.errors import StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.kit.wording import counted
from remediator.model.message import Excerpt, Message, Text, Tone
from remediator.pipeline import auditing
from remediator.pipeline.dispatch import wait_for_event
from remediator.pipeline.rounds import survive
from remediator.pipeline.rulebook import Rulebook
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.rules.loading import check_files
from remediator.rules.watching import look_at
from remediator.storage.outbox import OutboxStore

log = structlog.get_logger(__name__)

_QUIET = timedelta(milliseconds=200)  # files that have just changed may change again: a half-written one may look good
_MOST_READINGS = 10  # then what was read last counts; a later change asks again
_AGAIN = timedelta(seconds=30)  # while files are not in force: what could not be read may be readable by now
_SHOWN = 5  # mistakes, and names of rules
_LONGEST = 500  # characters of one mistake


class Result(StrEnum):
    """What became of one try."""

    RELOADED = "reloaded"
    UNCHANGED = "unchanged"
    MISTAKES = "mistakes"
    STORE_AWAY = "store_away"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Changes:
    """How one book differs from another, by the ids of rules."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reordered: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.reordered)

    def said(self) -> dict[str, str]:
        """What there is of each kind, with the first names."""
        kinds = {"added": self.added, "removed": self.removed, "changed": self.changed}
        said = {kind: _first_of(names) for kind, names in kinds.items() if names}
        return said or ({"order": "changed"} if self.reordered else {})


def compare(old: Book, new: Book) -> Changes:
    """What a new book would change. The order of rules counts: of a pack, the first that matches is carried out."""
    before, after = ({rule.id: rule.digest for rule in book.rules} for book in (old, new))
    return Changes(
        added=tuple(rule for rule in after if rule not in before),
        removed=tuple(rule for rule in before if rule not in after),
        changed=tuple(rule for rule in after if rule in before and after[rule] != before[rule]),
        reordered=list(before) != list(after),
    )


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the rule files are not in force as they are; without secrets."""

    result: Result
    why: str
    """In one line, for readiness."""
    details: tuple[str, ...] = ()
    """The first mistakes, each with its place."""


def trouble_of(mistakes: Sequence[Mistake], redactor: Redactor) -> Trouble:
    """What mistakes in rule files come to."""
    first = mistakes[0]
    place = f"{first.file}:{first.line}:{first.column}" if first.line else first.file
    where = f", the first in {place}" if len(mistakes) > 1 else f" in {place}"
    details = tuple(redactor.start(str(mistake), _LONGEST) for mistake in mistakes[:_SHOWN])
    more = (f"… and {len(mistakes) - _SHOWN} more",) if len(mistakes) > _SHOWN else ()
    return Trouble(Result.MISTAKES, redactor.text(f"{counted(len(mistakes), 'mistake')}{where}"), (*details, *more))


def tell_trouble(trouble: Trouble, in_force: int) -> Message:
    """What people read while rule files cannot be put in force."""
    staying = f"The rules from before stay in force: {counted(in_force, 'rule')}."
    if not trouble.details:
        return Message(Tone.BAD, f"the rule files could not be taken: {trouble.why}", (Text(staying),))
    listed = Excerpt("mistakes", "\n".join(trouble.details))
    return Message(Tone.BAD, f"the rule files are not in force: {trouble.why}", (listed, Text(staying)))


def tell_good(in_force: int, changes: Changes) -> Message:
    """What it becomes when they are in force again."""
    said = "; ".join(f"{kind}: {names}" for kind, names in changes.said().items())
    text = f"Compared with the rules from before: {said}." if said else "They are the rules from before."
    return Message(Tone.GOOD, f"the rule files are good again: {counted(in_force, 'rule')}", (Text(text),))


class Reloader:
    """Reads the rule files when it is asked, and puts them in force where there is no mistake in any."""

    def __init__(
        self,
        *,
        paths: Sequence[Path],
        actions: Actions,
        rulebook: Rulebook,
        store: OutboxStore,
        clock: Clock,
        metrics: Metrics,
        redactor: Redactor,
        channel: str,
        on_message: Callable[[], None],
    ) -> None:
        """`on_message` is called when a message was left in the store for `channel`."""
        self._paths = tuple(paths)
        self._actions = actions
        self._rulebook = rulebook
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._redactor = redactor
        self._channel = channel
        self._on_message = on_message
        self._asked = asyncio.Event()
        self._by_hand = False
        self._message_key = ""  # of the message that tells of the trouble, while there is one
        self._told: Message | None = None
        self._to_tell: Message | None = None
        self._rest = _AGAIN
        self.trouble: Trouble | None = None
        """Why the files are not in force, while it is so."""

    def ask(self, *, by_hand: bool = False) -> None:
        """Have the files read soon; once more, if they are being read. `by_hand`: somebody waits for an answer."""
        self._by_hand = self._by_hand or by_hand
        self._asked.set()

    async def work(self) -> None:
        """Do what is asked for, until cancelled."""
        while True:
            if self.trouble is None and self._to_tell is None:
                await self._asked.wait()
            else:
                await wait_for_event(self._asked, self._rest, self._clock)
            self._asked.clear()
            await self.reload()

    def note_start(self) -> None:
        """The rules with which the service starts are a success as well."""
        self._note_success()

    async def note_stop(self) -> None:
        """Let no message say for ever that files have mistakes. This one is sent once a service has started again."""
        if self._message_key:
            self._to_tell = Message(Tone.NEUTRAL, "the service was started again, with rule files that are good")
            await self._tell()

    async def reload(self) -> Result:
        """Read the files, and put them in force where they can be."""
        by_hand, self._by_hand = self._by_hand, False
        self._rest = _AGAIN
        try:
            mistakes, book = await self._read()
            if book is None:
                result = self._note_trouble(trouble_of(mistakes, self._redactor), by_hand=by_hand)
            else:
                result = await self._take(book, by_hand=by_hand)
        except StoreUnavailable as error:
            self._rest = error.retry_after
            result = self._note_trouble(Trouble(Result.STORE_AWAY, self._redactor.text(str(error))), by_hand=by_hand)
        except Exception as error:
            # Whatever reading them has met, the rules from before go on healing.
            log.exception("rules_reload_failed")
            why = self._redactor.start(f"{type(error).__name__}: {error}", _LONGEST)
            result = self._note_trouble(Trouble(Result.FAILED, why), by_hand=by_hand)
        self._metrics.rules_reloads.labels(result).inc()
        await self._tell()
        return result

    async def _read(self) -> tuple[list[Mistake], Book | None]:
        """What is in the files, once they keep still: the last state of them counts."""
        for _ in range(_MOST_READINGS):
            before = await asyncio.to_thread(look_at, self._paths)
            await self._clock.sleep(_QUIET)
            found = await asyncio.to_thread(check_files, self._paths, self._actions)
            if before.files == (await asyncio.to_thread(look_at, self._paths)).files:
                break
        return found

    async def _take(self, book: Book, *, by_hand: bool) -> Result:
        changes = compare(self._rulebook.book, book)
        if changes:
            entry = auditing.of_reload(self._clock.now(), self._rulebook.book, book)
            await self._rulebook.replace(book, [entry])
        recovered = self.trouble is not None
        self._note_success()
        if changes or recovered or by_hand:
            log.info("rules_reloaded", rules=len(book), **(changes.said() or {"changes": "none"}))
        self._to_tell = tell_good(len(book), changes) if self._message_key else None
        return Result.RELOADED if changes else Result.UNCHANGED

    def _note_success(self) -> None:
        self.trouble = None
        self._metrics.rules_loaded.set(len(self._rulebook.book))
        self._metrics.rules_reload_successful.set(1)
        self._metrics.rules_reload_timestamp.set(self._clock.now().timestamp())

    def _note_trouble(self, trouble: Trouble, *, by_hand: bool) -> Result:
        """Keep why they are not in force; log it unless that was done."""
        in_force = len(self._rulebook.book)
        if trouble != self.trouble or by_hand:
            log.error(
                "rules_not_reloaded", reason=trouble.why, mistakes=" | ".join(trouble.details), rules_in_force=in_force
            )
        self.trouble = trouble
        self._metrics.rules_reload_successful.set(0)
        self._to_tell = tell_trouble(trouble, in_force)
        return trouble.result

    async def _tell(self) -> None:
        """Leave what is to be told in the outbox: one message for one trouble, edited while that changes and ends."""
        message, now = self._to_tell, self._clock.now()
        if message is None:
            return
        key = self._message_key or f"rules-{now:%Y%m%dT%H%M%S%f}"

        async def queue() -> None:
            await self._store.notify(self._channel, key, message, now)
            self._on_message()

        try:
            if message != self._told:
                # It stands in the log, the metrics and readiness; a message must not end the service.
                await survive(queue(), "rules_trouble_not_told")
        except StoreUnavailable as error:
            self._rest = error.retry_after
            log.warning("rules_trouble_not_told_yet", error=str(error))
            return
        self._to_tell, self._told, self._message_key = None, message, key
        if self.trouble is None:
            self._told, self._message_key = None, ""


def _first_of(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
