"""The service in one process: starts what the wiring has made, in order, and stops it in order.

Built by the commands that serve. Nothing of it decides anything: it says only what comes before what.
"""

import resource
from collections.abc import Callable
from typing import Self

import structlog

from remediator import __version__
from remediator.app.audit import ServiceAudit
from remediator.app.background import start_background
from remediator.app.door import Door
from remediator.app.start_warnings import warn_at_start
from remediator.app.wiring import Wiring
from remediator.chat.chat import Chat
from remediator.kit import logs
from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.kit.tasks import Background
from remediator.model.duration import say_duration
from remediator.pipeline.recovery import resume
from remediator.pipeline.replicas import Alone, Replicas
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.rules.loading import load_book
from remediator.rules.watching import Look, look_at
from remediator.settings import Settings
from remediator.web.auth import refuse_open_door

log = structlog.get_logger(__name__)


class App:
    """The whole service in one process."""

    def __init__(
        self,
        settings: Settings,
        *,
        actions: Actions,
        book: Book,
        chat: Chat | None = None,
        clock: Clock | None = None,
        on_death: Callable[[str, BaseException | None], None] = lambda _name, _error: None,
        seen: Look | None = None,
    ) -> None:
        """`seen`: how the rule files looked before `book` was read from them."""
        self.died: str | None = None
        self.port: int | None = None
        self.parts = Wiring(
            settings,
            actions=actions,
            book=book,
            chat=chat,
            clock=clock,
            seen=seen,
            died=lambda: self.died,
            audit=lambda: self._audit.trouble,
        )
        self._on_death = on_death
        self._background = Background(self._note_death)
        self._socket = Background(self._note_death)  # ends before the inbox: what is being decided is decided
        self._presence = Background(self._note_death)  # ends last: who stops slowly is not dead
        self._door = Door(self.parts)
        self._audit = ServiceAudit(self.parts)
        self._is_open = False
        self._is_started = False

    @classmethod
    def build(cls, settings: Settings, *, on_death: Callable[[str, BaseException | None], None]) -> Self:
        """The service that the settings describe. Raises BadSettings or BadRules where there is none."""
        redactor = Redactor(settings.secrets())
        logs.configure(level=settings.log.level, style=settings.log.style, redactor=redactor)
        refuse_open_door(settings)
        actions = Actions.installed()
        seen = look_at(settings.rules)  # before they are read, so that no change between the two is missed
        return cls(settings, actions=actions, book=load_book(settings.rules, actions), on_death=on_death, seen=seen)

    def reload_rules(self) -> None:
        """Have the rule files read again, as SIGHUP asks for; while the service starts, once it has."""
        self.parts.reloader.ask(by_hand=True)

    async def start(self) -> None:
        """Open the store, take up what was left, and listen. Raises BadSettings with the reason where that fails."""
        _raise_file_limit()
        parts = self.parts
        await parts.store.open()
        self._is_open = True
        await parts.rulebook.remember()
        parts.reloader.note_start()
        resumed = await self._take_up()
        if parts.heartbeat is not None:
            await parts.heartbeat.recall()
        await parts.pressure.look()
        if parts.slack_inbox is not None:
            await parts.slack_inbox.start()
        key = await self._audit.read_key()
        self.port = await self._door.open()  # first, so that a service that cannot listen has not begun to act
        await self._audit.begin(key, self._background)
        start_background(parts, self._background, self._socket)
        if parts.settings.rules_watch:
            self._background.start(parts.rule_files.watch(parts.reloader.ask), name="rules-watch")
        else:
            await parts.rule_files.look(parts.reloader.ask)  # they may have changed while the service was starting
        self._show_figures()
        self._is_started = True
        log.info(
            "service_started",
            version=__version__,
            listen=f"{parts.settings.address[0]}:{self.port}",
            rules=len(parts.rulebook.book),
            mode_ceiling=parts.settings.mode_ceiling,
            runs_resumed=resumed,
        )
        warn_at_start(parts.settings, parts.rulebook.book)

    async def _take_up(self) -> int:
        """What was left to do is due again: all of it here, or what is claimed from a store that others share."""
        replicas = self.parts.replicas
        if isinstance(replicas, Alone):
            return await resume(self.parts.store, self.parts.dispatcher)
        await replicas.join()
        self._presence.start(replicas.beat(), name="beats")
        return await replicas.claim_due()

    def _show_figures(self) -> None:
        """Have the metrics ask for what nobody counts."""
        metrics, dispatcher, worker = self.parts.metrics, self.parts.dispatcher, self.parts.worker
        metrics.runs_waiting.set_function(lambda: dispatcher.due)
        metrics.runs_waiting_seconds.set_function(self._measure_lateness)
        metrics.runs_waiting_to_change.set_function(lambda: worker.waiting_to_change)
        metrics.clock_ahead_seconds.set_function(self._measure_clock)

    def _measure_lateness(self) -> float:
        return self.parts.dispatcher.lateness.total_seconds()

    def _measure_clock(self) -> float:
        return self.parts.clock.ahead.total_seconds()

    async def stop(self) -> None:
        """Stop in order: no new deliveries, runs at rest, the outbox, the store."""
        parts, grace = self.parts, self.parts.settings.pipeline.stop_grace
        if self._is_started:
            acting = parts.execution.acting
            log.info("service_stopping", steps_acting=acting, waits_at_most=say_duration(grace))
        await self._door.close()
        await self._socket.stop()
        if parts.slack_inbox is not None:
            await parts.slack_inbox.close()
        await self._background.stop()
        if isinstance(parts.replicas, Replicas) and self._is_open:
            await parts.replicas.retire(await parts.worker.rest())
        parts.intake.unmatched.close()
        await parts.worker.stop(grace)
        await parts.clients.close()
        await parts.chats.chat.close()
        await parts.store_check.close()
        if self._is_open:
            await parts.reloader.note_stop()
            await self._audit.end()
            await self._presence.stop()
            if isinstance(parts.replicas, Replicas):
                await parts.replicas.leave()
            await parts.store.close()
            self._is_open = False
        if self._is_started:
            self._is_started = False
            log.info("service_stopped")

    def _note_death(self, name: str, error: BaseException | None) -> None:
        self.died = name
        self._on_death(name, error)


def _raise_file_limit() -> None:
    """Take as many open files as we may: each waiting sender is one, and so is each call of an action."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
