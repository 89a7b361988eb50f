"""The composition root: makes every part from the settings, starts and stops them in order, and says how they are."""

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Self

import structlog
from aiohttp import web

from remediator import __version__
from remediator.chat.chat import WEBHOOK, Chat
from remediator.chat.routed import RoutedChat, SparedChat
from remediator.chat.terminal import TerminalChat
from remediator.clients import Clients
from remediator.clients.reach import Reach
from remediator.errors import BadSettings, RemediatorError, StoreUnavailable
from remediator.kit import logs
from remediator.kit.clock import Clock, SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor, shorten
from remediator.kit.tasks import Background
from remediator.model.alert import Alert, Delivery
from remediator.model.audit import AuditEntry
from remediator.model.duration import say_duration
from remediator.model.ids import OwnerId, RunId, new_owner_id
from remediator.model.occurrence import Occurrence
from remediator.model.priority import Priority
from remediator.model.run import Cancel, Run, RunSummary, Settle, Undo
from remediator.pipeline import auditing
from remediator.pipeline.approvals import Approvals, Said, Verdict
from remediator.pipeline.audit_key import KEY_NOT_SHARED, key_not_shared, key_of
from remediator.pipeline.busy import BusyTargets
from remediator.pipeline.calls import Calls
from remediator.pipeline.completion import Completion
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.digest import QuestionDigest
from remediator.pipeline.dispatch import Dispatcher, HeapDispatcher
from remediator.pipeline.doubts import Doubts
from remediator.pipeline.escalation.levels import Levels, levels_of, limits_of
from remediator.pipeline.escalation.listing import Escalations, unknown_levels
from remediator.pipeline.execution import Execution
from remediator.pipeline.explaining import Explanation, explain
from remediator.pipeline.flow import Flow, Stages
from remediator.pipeline.guards import Guards
from remediator.pipeline.guards.alert_rules import AlertRules
from remediator.pipeline.guards.asking import Asking
from remediator.pipeline.guards.dead_man import DeadMan
from remediator.pipeline.guards.dependencies import Dependencies
from remediator.pipeline.guards.deploys import Deploys
from remediator.pipeline.guards.effective import limits_by
from remediator.pipeline.guards.health_floor import HealthFloor
from remediator.pipeline.guards.names import endless_in_rules, endless_limits
from remediator.pipeline.guards.pause_file import PauseFile, say_file
from remediator.pipeline.guards.protected import ProtectedGroup
from remediator.pipeline.guards.shipped import shipped
from remediator.pipeline.guards.still_true import StillTrue
from remediator.pipeline.heartbeat import Heartbeat
from remediator.pipeline.housekeeping import Housekeeping
from remediator.pipeline.intake import Intake
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.notifying import Places, channel_of
from remediator.pipeline.outbox import Outbox
from remediator.pipeline.people import People
from remediator.pipeline.planning import Planner
from remediator.pipeline.pressure import Pressure
from remediator.pipeline.recovery import resume
from remediator.pipeline.reloading import Reloader
from remediator.pipeline.replicas import Alone, Replicas
from remediator.pipeline.rerun import Reruns
from remediator.pipeline.resetting import Resetting
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.sealing import Sealer
from remediator.pipeline.silencing.silences import unsilenced_rules
from remediator.pipeline.silencing.silencing import Silencing
from remediator.pipeline.starting import Starts
from remediator.pipeline.stops import Stops
from remediator.pipeline.store_check import StoreCheck
from remediator.pipeline.systems import Systems
from remediator.pipeline.tokens import Tokens
from remediator.pipeline.undo.looking import Found, Looking
from remediator.pipeline.undo.putting_back import PuttingBack
from remediator.pipeline.undo.verdicts import Key
from remediator.pipeline.undo.younger import Younger
from remediator.pipeline.unheard import Unheard
from remediator.pipeline.usage import Usage
from remediator.pipeline.verification import Watch
from remediator.pipeline.worker import Worker
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.rules.loading import load_book
from remediator.rules.watching import Look, RuleFiles, look_at
from remediator.settings import NotifySettings, Settings, StoreSettings
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import SharedStore, Store
from remediator.web.auth import admin_token, refuse_open_door
from remediator.web.health import Health, HealthCheck
from remediator.web.listening import Connections, Listener, most_connections
from remediator.web.server import Parts, build_app
from remediator.web.slack.commands import Commands
from remediator.web.slack.inbox import SlackInbox
from remediator.web.slack.socket import SocketMode
from remediator.web.slack.workspace import Workspace

log = structlog.get_logger(__name__)

_OUTBOX_LATE = 60.0  # seconds that a chat message may wait before readiness says so
_HEALTH_EVERY = timedelta(seconds=15)
_CLOCK_WRONG = timedelta(minutes=1)  # a difference to the machine's clock that people should know of
_HEALTH_PATIENCE = 3.0  # seconds for one look at something of ours
_MOST_MESSAGES = 500  # of one run that are shown
_TERMINAL, _SLACK = "terminal", "slack"


@dataclass(frozen=True, slots=True)
class Runs:
    """What the API may ask and say about runs."""

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
        stored = await self.store.signal(run, word, [auditing.of_word(run, word, self.redactor)])
        if stored:
            self.dispatcher.wake(run, self.clock.now(), Priority.HIGH)  # a person waits to see it done
        return stored


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
        self.settings = settings
        self.clock = clock or SystemClock()
        self.metrics = Metrics()
        self.redactor = Redactor(settings.secrets())
        self.clients = Clients(settings)
        self.reach = Reach(self.clients, self.redactor)
        self.systems = Systems(settings.systems, self.clock, self.metrics, self.redactor)
        self.shared = _shared_store_of(settings.store, self.clock, self.metrics)
        self.store: Store = self.shared or SqliteStore(settings.store.directory, clock=self.clock, metrics=self.metrics)
        self.rulebook = Rulebook(book, actions, self.store)
        self.people = People(settings.people, settings.approval)
        self.dispatcher = HeapDispatcher(self.clock, at_once_per_rule=settings.pipeline.most_of_one_rule)
        self.approvals = Approvals(
            self.store,
            self.people,
            self.dispatcher,
            self.clock,
            self.redactor,
            self.metrics,
            rule_now=self.rulebook.digest_now,
            pause_file=partial(say_file, settings.pause_path, is_set=settings.pause_file is not None),
        )
        self._webhooks = _webhooks_of(settings, self.clock)
        self._places = Places(settings.notify, settings.public_url)
        self.chat = RoutedChat(chat or _chat_of(settings), {**self._webhooks, **_places_of(settings, self.clock)})
        self._channel = settings.slack.channel if self.chat.name != _TERMINAL else _TERMINAL
        self.died: str | None = None
        self.port: int | None = None
        self._on_death = on_death
        self._background = Background(self._note_death)
        self._socket = Background(self._note_death)  # ends before the inbox: what is being decided is decided
        self._presence = Background(self._note_death)  # ends last: who stops slowly is not dead
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self._store_check = StoreCheck(self.store, self.clock)
        self._is_open = False
        self._is_started = False
        self.pressure = Pressure(
            waiting=lambda: self.dispatcher.due,
            disk=settings.store.directory if settings.store.url is None else None,
            settings=settings.pressure,
            clock=self.clock,
            metrics=self.metrics,
            unclaimed=self._count_unclaimed if self.shared is not None else None,
        )
        self.heartbeat = self._listen_for_heartbeat()
        self.stops = Stops(
            self.store,
            self.rulebook,
            self.clock,
            self.redactor,
            channel=self._channel,
            on_message=self._nudge,  # the outbox is made after it
            pause_file=PauseFile(settings.pause_path, is_set=settings.pause_file is not None),
            calendar=settings.calendar,
            limits=settings.limits,
        )
        self.intake, self.worker, self.outbox, self.doubts = self._wire()
        self.starts = Starts(self.store, self.intake, self.rulebook, self.clock, self.redactor)
        self.replicas = self._join_others()
        self.slack_inbox = self._listen_to_slack()
        self._socket_mode = self._listen_on_socket()
        self.sealer: Sealer | None = None  # its key is made where the store is
        self.rule_files = RuleFiles(settings.rules, self.clock, seen=seen)
        self.reloader = Reloader(
            paths=settings.rules,
            actions=actions,
            rulebook=self.rulebook,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            redactor=self.redactor,
            channel=self._channel,
            on_message=self.outbox.nudge,
        )

    @classmethod
    def build(cls, settings: Settings, *, on_death: Callable[[str, BaseException | None], None]) -> Self:
        """The service that the settings describe. Raises BadSettings or BadRules where there is none."""
        redactor = Redactor(settings.secrets())
        logs.configure(level=settings.log.level, style=settings.log.style, redactor=redactor)
        refuse_open_door(settings)
        actions = Actions.installed()
        seen = look_at(settings.rules)  # before they are read, so that no change between the two is missed
        return cls(settings, actions=actions, book=load_book(settings.rules, actions), on_death=on_death, seen=seen)

    def _listen_for_heartbeat(self) -> Heartbeat | None:
        if self.settings.heartbeat.alertname is None:
            return None
        return Heartbeat(
            self.settings.heartbeat.alertname,
            self.settings.heartbeat.silence,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            channel=self._channel,
            on_message=self._nudge,  # the outbox is made after it
        )

    def _listen_to_slack(self) -> SlackInbox | None:
        """Whoever takes what people press and say in Slack; None where nothing can come from there."""
        slack = self.settings.slack
        if slack.token is None or not slack.interactive:
            return None
        from remediator.clients.slack import SlackClient

        # Another client than the chat's: nobody's answer waits behind the posts.
        client = SlackClient(token=slack.token.get_secret_value(), base_url=slack.base_url)
        commands = Commands(
            runs=self._runs(),
            alerts=self.store,
            stops=self.stops,
            journal=self.store,
            health=self.health,
            explain=self._explain,
            clock=self.clock,
            starts=self.starts,
            deciders=frozenset(self.settings.approval.groups),
        )
        return SlackInbox(
            desk=self.approvals,
            buttons=self.store,
            people=self.people,
            commands=commands,
            client=client,
            workspace=Workspace(slack, client),
            clock=self.clock,
            redactor=self.redactor,
        )

    def _listen_on_socket(self) -> SocketMode | None:
        """Whoever hears Slack over a connection of ours; None where that is not wanted."""
        slack = self.settings.slack
        if self.slack_inbox is None or slack.app_token is None:
            return None
        from remediator.clients.slack_socket import SlackSocketClient

        client = SlackSocketClient(token=slack.app_token.get_secret_value(), base_url=slack.base_url)
        return SocketMode(client, self.slack_inbox, self.clock, self.metrics)

    def _explain(self, alert: Alert) -> Explanation:
        heartbeat = self.settings.heartbeat.alertname
        return explain(
            alert, self.rulebook.book, ceiling=self.settings.mode_ceiling, clients=self.clients, heartbeat=heartbeat
        )

    def _runs(self) -> Runs:
        return Runs(
            self.store, self.dispatcher, self.clock, self.replicas, self._looking, self.approvals, self.redactor
        )

    def _nudge(self) -> None:
        self.outbox.nudge()

    async def _close_resolved(self, gone: Sequence[Occurrence], asked_at: datetime) -> None:
        await self.intake.close_resolved(gone, asked_at)  # it is made after the flow

    def _wire(self) -> tuple[Intake, Worker, Outbox, Doubts]:
        calls = Calls(self.clients, self.clock, self.redactor, self.metrics, self.systems)
        guards = self.guards(calls)
        busy = BusyTargets(self.dispatcher, self.clock)
        self._execution = Execution(calls, guards, busy, self.clock, self.metrics)
        younger = Younger(self.store, lambda run: self.dispatcher.wake(run, self.clock.now()))
        self._looking = Looking(calls, younger, self.rulebook)
        stages = Stages(
            diagnosis=Diagnosis(calls),
            planner=Planner(calls),
            guards=guards,
            execution=self._execution,
            watch=Watch(calls, self.clock),
            lessons=Lessons(self.store, self.stops),
            putting_back=PuttingBack(calls, guards, self._execution, younger, self.clock, self.metrics),
            silencing=Silencing(
                self.store,
                self._close_resolved,
                self.clients.alertmanager,
                self.clock,
                longest=self.settings.alertmanager.longest_silence,
            ),
        )
        flow = Flow(
            store=self.store,
            rulebook=self.rulebook,
            stages=stages,
            clock=self.clock,
            metrics=self.metrics,
            redactor=self.redactor,
            settings=self.settings.pipeline,
            ceiling=self.settings.mode_ceiling,
            limits=limits_by(self.settings.limits),
            people=self.people,
            approval=self.settings.approval,
            levels=self._levels,
            hours=self.settings.hours_to_decide,
            places=self._places,
        )
        intake = Intake(
            store=self.store,
            rulebook=self.rulebook,
            dispatcher=self.dispatcher,
            owner=lambda: self.replicas.owner_of_new,
            clock=self.clock,
            metrics=self.metrics,
            redactor=self.redactor,
            settings=self.settings.occurrences,
            channel=self._channel,
            heartbeat=self.heartbeat,
        )
        worker = Worker(
            store=self.store,
            flow=flow,
            dispatcher=self.dispatcher,
            owner=lambda: self.replicas.owner,
            clock=self.clock,
            metrics=self.metrics,
            runs_at_once=self.settings.pipeline.runs_at_once,
            changes_at_once=self.settings.pipeline.most_changes,
        )
        outbox = Outbox(
            store=self.store,
            chat=self.chat,
            clock=self.clock,
            metrics=self.metrics,
            interval=self.settings.slack.post_interval if self.chat.name != _TERMINAL else timedelta(0),
            moved=self._moved,
            leads=self._leads,
            limits={**limits_of(self.settings.escalation, instead=self._one_channel), **self._places.limits},
            has_buttons=self._has_buttons,
        )
        doubts = Doubts(self.store, intake, self.clients.alertmanager, self.clock, leads=self._leads)
        return intake, worker, outbox, doubts

    def _question_digest(self) -> QuestionDigest:
        return QuestionDigest(
            self.store,
            self.clock,
            channel=self._channel,
            rules=lambda: (rule.id for rule in self.rulebook.book.rules),
            leads=self._leads,
            on_message=self.outbox.nudge,
        )

    def _has_buttons(self, _channel: str) -> bool:
        """Whether questions are shown with buttons: only where somebody listens to who presses them."""
        return self.chat.name == _SLACK and self.settings.slack.interactive

    @property
    def _one_channel(self) -> str | None:
        """The only channel of a chat that has no others."""
        return _TERMINAL if self._channel == _TERMINAL else None

    @property
    def _levels(self) -> Levels:
        return levels_of(self.settings.escalation, instead=self._one_channel)

    def _moved(self, channel: str) -> str | None:
        """Where to tell instead what waits for a channel that the settings do not have any more."""
        if channel.startswith(WEBHOOK) and channel not in self._webhooks:
            return self._channel
        return self._channel if channel == _TERMINAL and channel != self._channel else None

    def guards(self, calls: Calls) -> Guards:
        """All that stands in the way of changes, by what is known and by what the world says."""
        settings, client = self.settings, self.clients.alertmanager
        asking = Asking(client, self.clock) if client is not None else None
        rules = self._alert_rules() if client is None and settings.prometheus.is_asked_for_alerts else None
        still_true = StillTrue(self.store, asking, rules)
        probes = (
            PauseFile(settings.pause_path, is_set=settings.pause_file is not None),
            ProtectedGroup(settings.protected, self.store),
            still_true,
            Dependencies(self.store, asking, rules),
            HealthFloor(calls),
            Deploys(calls, self.store.known),
            DeadMan(
                self.store,
                self._ping_prometheus if settings.prometheus.url is not None else None,
                started=self.clock.now(),
            ),
        )
        judges = shipped(settings.calendar, settings.protected)
        return Guards(judges, self.store.known, probes, alert_from=still_true.source)

    def _alert_rules(self) -> AlertRules:
        """What guards ask Prometheus, where it is configured."""
        return AlertRules(Asking(self.clients.prometheus, self.clock, name="Prometheus"), self.clock)

    async def _ping_prometheus(self) -> None:
        await self.clients.prometheus.ping()

    def _join_others(self) -> Alone | Replicas:
        if self.shared is None:
            return Alone(new_owner_id(self.clock.now()), self.metrics, socket.gethostname())
        return Replicas(
            store=self.shared,
            places=self.worker,
            dispatcher=self.dispatcher,
            clock=self.clock,
            metrics=self.metrics,
            name=socket.gethostname(),
        )

    async def _count_unclaimed(self) -> int:
        """Runs that are due and that none of those who share the store has taken up, as far as it matters."""
        return await self.shared.count_unclaimed(self.settings.pressure.most_waiting + 1) if self.shared else 0

    def _leads(self) -> bool:
        return self.replicas.leads

    async def start(self) -> None:
        """Open the store, take up what was left, and listen. Raises BadSettings with the reason where that fails."""
        _raise_file_limit()
        await self.store.open()
        self._is_open = True
        await self.rulebook.remember()
        self.reloader.note_start()
        resumed = await self._take_up()
        if self.heartbeat is not None:
            await self.heartbeat.recall()
        await self.pressure.look()
        if self.slack_inbox is not None:
            await self.slack_inbox.start()
        key = await asyncio.to_thread(key_of, self.settings.audit, self.settings.store.directory)
        await self._listen()  # first, so that a service that cannot listen has not begun to act
        await self._begin_journal(key)
        self._background.start(self.worker.work(), name="worker")
        self._background.start(self.outbox.work(), name="outbox")
        self._background.start(self.doubts.work(), name="doubts")
        self._background.start(self._question_digest().work(), name="questions")
        completion = Completion(self.store, self.intake, self.clients.alertmanager, self.clock, leads=self._leads)
        self._background.start(completion.work(), name="completion")
        self._background.start(self._unheard().work(), name="unheard")
        self._background.start(self.pressure.work(), name="pressure")
        self._background.start(self._watch_health(), name="health")
        self._background.start(self.reloader.work(), name="rules")
        self._background.start(self._housekeeping().work(), name="housekeeping")
        self._start_what_is_wanted()
        if self.settings.rules_watch:
            self._background.start(self.rule_files.watch(self.reloader.ask), name="rules-watch")
        else:
            await self.rule_files.look(self.reloader.ask)  # they may have changed while the service was starting
        self.metrics.runs_waiting.set_function(self._count_due)
        self.metrics.runs_waiting_seconds.set_function(self._measure_lateness)
        self.metrics.runs_waiting_to_change.set_function(lambda: self.worker.waiting_to_change)
        self.metrics.clock_ahead_seconds.set_function(self._measure_clock)
        self._is_started = True
        log.info(
            "service_started",
            version=__version__,
            listen=f"{self.settings.address[0]}:{self.port}",
            rules=len(self.rulebook.book),
            mode_ceiling=self.settings.mode_ceiling,
            runs_resumed=resumed,
        )
        for what, remedy in not_configured(self.settings):
            log.warning("not_configured", what=what, remedy=remedy)
        if key_not_shared(self.settings):
            log.warning("audit_key_not_shared", what=KEY_NOT_SHARED)
        for one in endless_limits(self.settings):
            log.warning("limit_switched_off", where=".".join(map(str, one.path)), what=one.what)
        for rule, what in endless_in_rules(self.rulebook.book):
            log.warning("limit_switched_off", where=f"rule {rule}", what=what)
        for rule, what in unsilenced_rules(self.rulebook.book, self.settings.alertmanager):
            log.warning("rule_not_silenced", rule=rule, what=what)
        for rule, level in unknown_levels(self.rulebook.book, self.settings.escalation):
            remedy = f"add it under escalation; until then {rule} tells nobody but its own thread"
            log.warning("escalation_level_unknown", rule=rule, level=level, remedy=remedy)

    async def _begin_journal(self, key: bytes) -> None:
        """Have the journal say that this process has started, and be sealed from now on."""
        keep = self.settings.audit.keep
        self.sealer = Sealer(self.store, key, self.clock, self.metrics, keep=keep, leads=self._leads)
        await self.store.audit([self._of_service("started")])
        self._background.start(self.sealer.work(), name="audit")

    async def _end_journal(self) -> None:
        """Have the journal say that this process has stopped, and its head told."""
        if self.sealer is None:
            return
        try:
            await self.store.audit([self._of_service("stopped")])
        except StoreUnavailable as error:
            log.warning("stop_not_in_audit", error=str(error))
        await self.sealer.finish()

    def _of_service(self, what: str) -> AuditEntry:
        process = f"{socket.gethostname()} {self.replicas.owner}"
        book = self.rulebook.book
        return auditing.of_service(what, self.clock.now(), version=__version__, process=process, book=book)

    def _start_what_is_wanted(self) -> None:
        """What works in the background where the settings ask for it."""
        if self.heartbeat is not None:
            self._background.start(self.heartbeat.work(), name="heartbeat")
        if self._socket_mode is not None:
            self._socket.start(self._socket_mode.work(), name="slack-socket")
        if isinstance(self.replicas, Replicas):
            self._background.start(self.replicas.claim(), name="claims")
            self._background.start(self.replicas.look_after(), name="overdue")

    async def _take_up(self) -> int:
        """What was left to do is due again: all of it here, or what is claimed from a store that others share."""
        if isinstance(self.replicas, Alone):
            return await resume(self.store, self.dispatcher)
        await self.replicas.join()
        self._presence.start(self.replicas.beat(), name="beats")
        return await self.replicas.claim_due()

    def _unheard(self) -> Unheard:
        give_up_after = self.settings.occurrences.give_up_after
        return Unheard(self.store, self.intake, self.clock, give_up_after=give_up_after, leads=self._leads)

    def _housekeeping(self) -> Housekeeping:
        return Housekeeping(
            store=self.store,
            rulebook=self.rulebook,
            clock=self.clock,
            metrics=self.metrics,
            settings=self.settings.store,
            occurrences=self.settings.occurrences,
            leads=self._leads,
        )

    def _wake_for_person(self, run: RunId) -> None:
        self.dispatcher.wake(run, self.clock.now(), Priority.HIGH)

    def reload_rules(self) -> None:
        """Have the rule files read again, as SIGHUP asks for; while the service starts, once it has."""
        self.reloader.ask(by_hand=True)

    async def _listen(self) -> None:
        host, port = self.settings.address
        connections = Connections(most_connections(self.settings.pressure.most_connections))
        self.metrics.connections.set_function(lambda: connections.count)
        parts = Parts(
            accept=self._accept,
            runs=self._runs(),
            alerts=self.store,
            audit=self.store,
            breakers=Resetting(self.systems, self.store, self.clock, self.redactor),
            stops=self.stops,
            escalations=Escalations(
                self.store,
                self.rulebook,
                self.clock,
                on_word=self._wake_for_person,
                levels=self._levels,
                channel=self._channel,
                tries=self.outbox.tries,
                redactor=self.redactor,
            ),
            reruns=Reruns(self.store, self.intake, self.clock, self.redactor),
            tokens=Tokens(self.store, self.clock, self.redactor, self.settings.people, self.settings.approval),
            starts=self.starts,
            told=partial(self.store.posts_of, limit=_MOST_MESSAGES),
            slack=self.slack_inbox,
            usage=Usage(self.store.known, self.rulebook, self.settings.limits, self.clock),
            health=self.health,
            metrics=self.metrics,
            settings=self.settings,
            clock=self.clock,
            admin_token=admin_token(self.settings.store.directory),
            admit=self.pressure.admit,
            connections=connections,
        )
        self._runner = web.AppRunner(
            build_app(parts),
            access_log=None,
            shutdown_timeout=self.settings.pipeline.stop_grace.total_seconds(),
        )
        await self._runner.setup()
        if (server := self._runner.server) is None:
            raise RuntimeError("the HTTP server was not made")
        self._listener = Listener(server, connections)
        try:
            self.port = await self._listener.open(host, port)
        except OSError as error:
            raise BadSettings(f"cannot listen on {self.settings.listen}: {_reason(error)}") from error

    async def _accept(self, delivery: Delivery) -> None:
        """Have a delivery on disk, and its first messages on their way."""
        await self.intake.accept(delivery)
        self.outbox.nudge()

    async def stop(self) -> None:
        """Stop in order: no new deliveries, runs at rest, the outbox, the store."""
        if self._is_started:
            grace = say_duration(self.settings.pipeline.stop_grace)
            log.info("service_stopping", steps_acting=self._execution.acting, waits_at_most=grace)
        if self._listener is not None:
            await self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._socket.stop()
        if self.slack_inbox is not None:
            await self.slack_inbox.close()
        await self._background.stop()
        if isinstance(self.replicas, Replicas) and self._is_open:
            await self.replicas.retire(await self.worker.rest())
        self.intake.unmatched.close()
        await self.worker.stop(self.settings.pipeline.stop_grace)
        await self.clients.close()
        await self.chat.close()
        await self._store_check.close()
        if self._is_open:
            await self.reloader.note_stop()
            await self._end_journal()
            await self._presence.stop()
            if isinstance(self.replicas, Replicas):
                await self.replicas.leave()
            await self.store.close()
            self._is_open = False
        if self._is_started:
            self._is_started = False
            log.info("service_stopped")

    def _note_death(self, name: str, error: BaseException | None) -> None:
        self.died = name
        self._on_death(name, error)

    async def health(self) -> Health:
        """Whether alerts can be accepted, and what is degraded and why."""
        store, chat = await asyncio.gather(self._check_store(), self._check_chat())
        checks = (store, self._check_pressure(), self._check_parts(), self._check_rules(), chat)
        degraded = tuple(
            HealthCheck(what, ok=True, degraded=True, detail=remedy) for what, remedy in not_configured(self.settings)
        )
        ready = all(check.ok for check in checks)
        self.metrics.ready.set(ready)
        more = (
            *self._check_replicas(),
            *self._check_heartbeat(),
            *self._check_socket(),
            *degraded,
            *self._check_reach(),
            self._check_systems(),
            *self._check_clock(),
        )
        return Health(ready, (*checks, *more))

    def _check_replicas(self) -> tuple[HealthCheck, ...]:
        """Who shares the store; nothing where nobody can."""
        if isinstance(self.replicas, Alone):
            return ()
        return (HealthCheck("replicas", ok=True, detail=self.replicas.state),)

    def _check_heartbeat(self) -> tuple[HealthCheck, ...]:
        """That alerts have stopped coming keeps none out."""
        if self.heartbeat is None:
            return ()
        late = self.heartbeat.trouble is not None
        return (HealthCheck("heartbeat", ok=True, degraded=late, detail=self.heartbeat.state),)

    def _check_socket(self) -> tuple[HealthCheck, ...]:
        """That nobody can decide in Slack for a while keeps no alerts out: the terminal and the API are there."""
        if self._socket_mode is None:
            return ()
        trouble = self._socket_mode.trouble
        told = "connected" if trouble is None else shorten(self.redactor.text(trouble), 200)
        return (HealthCheck("slack socket", ok=True, degraded=trouble is not None, detail=told),)

    def _check_reach(self) -> tuple[HealthCheck, ...]:
        """What the last look found, so that readiness itself waits for no other service."""
        return tuple(
            HealthCheck(name, ok=True, degraded=bool(trouble), detail=trouble or "answers")
            for name, trouble in self.reach.troubles.items()
        )

    def _check_systems(self) -> HealthCheck:
        """What steps have found out; one that does not answer keeps no alerts out."""
        is_any_away, told = self.systems.summary()
        return HealthCheck("systems", ok=True, degraded=is_any_away, detail=told)

    def _check_clock(self) -> tuple[HealthCheck, ...]:
        """That the machine's clock was set keeps nothing from working; but what is stored and told has other times."""
        ahead = self.clock.ahead
        if abs(ahead) < _CLOCK_WRONG:
            return ()
        told = f"the machine's clock was set by {'-' if ahead < timedelta(0) else '+'}{say_duration(abs(ahead))} since"
        remedy = "the start; it is followed by a hundredth of the time that passes, or at once by a restart"
        return (HealthCheck("clock", ok=True, degraded=True, detail=f"{told} {remedy}"),)

    def _count_due(self) -> float:
        return self.dispatcher.due

    def _measure_lateness(self) -> float:
        return self.dispatcher.lateness.total_seconds()

    def _measure_clock(self) -> float:
        return self.clock.ahead.total_seconds()

    async def _watch_health(self) -> None:
        """Keep the metric `remediator_ready` true, whoever asks, and know which other services answer."""
        while True:
            await asyncio.gather(self.health(), self.reach.look())
            await self.clock.sleep(_HEALTH_EVERY)

    async def _check_store(self) -> HealthCheck:
        trouble = await self._store_check.trouble()
        return HealthCheck("store", ok=trouble is None, detail=trouble or "writable")

    def _check_pressure(self) -> HealthCheck:
        """While deliveries are refused, another replica takes them, if a load balancer goes by readiness."""
        trouble = self.pressure.trouble
        return HealthCheck("pressure", ok=trouble is None, detail=trouble or "deliveries are taken")

    def _check_parts(self) -> HealthCheck:
        if self.died is not None:
            return HealthCheck("parts", ok=False, detail=f"{self.died} has died; restart the service")
        return HealthCheck("parts", ok=True, detail="all running")

    def _check_rules(self) -> HealthCheck:
        """Files with mistakes keep no alerts out: the rules from before are in force."""
        count, trouble = len(self.rulebook.book), self.reloader.trouble
        detail = f"{count} loaded" + (f"; the files are not in force: {trouble.why}" if trouble else "")
        return HealthCheck("rules", ok=True, degraded=count == 0 or trouble is not None, detail=detail)

    async def _check_chat(self) -> HealthCheck:
        """Chat never keeps alerts out: what waits is told later."""
        try:
            async with asyncio.timeout(_HEALTH_PATIENCE):
                state = await self.store.outbox_state()
        except (RemediatorError, TimeoutError) as error:
            return HealthCheck("chat", ok=True, degraded=True, detail=str(error) or "the store does not answer")
        age = (self.clock.now() - state.oldest).total_seconds() if state.oldest else 0.0
        late = age > _OUTBOX_LATE or self.outbox.trouble is not None
        why = f": {shorten(self.redactor.text(self.outbox.trouble), 200)}" if self.outbox.trouble else ""
        behind = f", and {state.minor} behind these" if state.minor else ""
        detail = f"{state.waiting} waiting, the oldest {age:.0f} s{behind}{why}"
        return HealthCheck("chat", ok=True, degraded=late, detail=detail)


def not_configured(settings: Settings) -> list[tuple[str, str]]:
    """What is missing for the product to do all that it can: a name, and what to set."""
    missing = []
    if settings.slack.token is None:
        missing.append(("slack", "the story is printed here instead; set slack.token and slack.channel"))
    if not settings.docker.engines:
        missing.append(("docker", "docker.* actions will fail; set docker.engines"))
    if settings.prometheus.url is None:
        missing.append(("prometheus", "prometheus.query will fail; set prometheus.url"))
    if settings.alertmanager.url is None:
        remedy = "doubtful alerts are not asked about, cut deliveries not completed; set alertmanager.url"
        missing.append(("alertmanager", remedy))
    if not settings.http.allow:
        missing.append(("http", "http.* actions may reach nothing; set http.allow"))
    return missing


def _reason(error: OSError) -> str:
    """Why an address cannot be listened on, in the system's words: asyncio puts its own around them."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


def _shared_store_of(settings: StoreSettings, clock: Clock, metrics: Metrics) -> SharedStore | None:
    if settings.url is None:
        return None
    from remediator.storage.postgres import PostgresStore  # its library takes a quarter of a second to import

    return PostgresStore(settings, clock=clock, metrics=metrics)


def _chat_of(settings: Settings) -> Chat:
    if settings.slack.token is None:
        return TerminalChat(sys.stdout)
    from remediator.chat.slack import SlackChat
    from remediator.clients.slack import SlackClient

    return SlackChat(SlackClient(token=settings.slack.token.get_secret_value(), base_url=settings.slack.base_url))


def _webhooks_of(settings: Settings, clock: Clock) -> dict[str, Chat]:
    """The webhooks of the levels of escalation, by their channels."""
    found: dict[str, Chat] = {}
    for name, level in settings.escalation.items():
        if level.webhook is not None:
            from remediator.chat.webhook import WebhookChat
            from remediator.clients.webhook import WebhookClient

            client = WebhookClient(name, level.webhook.get_secret_value(), level)
            found[f"{WEBHOOK}{name}"] = WebhookChat(client, clock)
    return found


def _places_of(settings: Settings, clock: Clock) -> dict[str, Chat]:
    """The other places that hear of runs, by their channels. Raises BadSettings where apprise cannot tell one."""
    return {channel_of(name): SparedChat(_place(name, place, clock), clock) for name, place in settings.notify.items()}


def _place(name: str, place: NotifySettings, clock: Clock) -> Chat:
    if place.url is not None:
        from remediator.chat.apprise import AppriseChat
        from remediator.clients.apprise import AppriseClient

        return AppriseChat(AppriseClient(name, place.url, place), clock)
    from remediator.chat.signed import SignedChat
    from remediator.clients.webhook import SignedClient

    if place.webhook is None or place.secret is None:
        raise BadSettings(f"notify.{name}: a place has a `url`, or a `webhook` with a `secret`")
    url = place.webhook.get_secret_value()
    return SignedChat(SignedClient(name, url, place.secret, timeout=place.timeout, clock=clock), clock)


def _raise_file_limit() -> None:
    """Take as many open files as we may: each waiting sender is one, and so is each call of an action."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
