"""Every part of the service, made from the settings and tied to the others. Nothing is started here.

Made by the app. Where two parts need each other, the first is given a function that looks for the second when it is
called. Whether a part is wanted, and how, is read from the settings here, so that parts get only what they need.
"""

import socket
from collections.abc import Callable
from functools import partial

from remediator.app.chats import Chats
from remediator.app.guards import guards_of
from remediator.app.health import HealthChecks
from remediator.app.runs import Runs
from remediator.app.slack import inbox_of, socket_of
from remediator.chat.chat import Chat
from remediator.clients import Clients
from remediator.clients.reach import Reach
from remediator.kit.clock import Clock, SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert
from remediator.model.ids import RunId, new_owner_id
from remediator.model.priority import Priority
from remediator.pipeline.approvals import Approvals
from remediator.pipeline.busy import BusyTargets
from remediator.pipeline.calls import Calls
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.doubts import Doubts
from remediator.pipeline.execution import Execution
from remediator.pipeline.explaining import Explanation, explain
from remediator.pipeline.flow import Flow, Stages
from remediator.pipeline.guards.effective import limits_by
from remediator.pipeline.guards.pause_file import PauseFile, say_file
from remediator.pipeline.heartbeat import Heartbeat
from remediator.pipeline.intake import Intake
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.outbox import Outbox
from remediator.pipeline.people import People
from remediator.pipeline.planning import Planner
from remediator.pipeline.pressure import Pressure
from remediator.pipeline.reloading import Reloader
from remediator.pipeline.replicas import Alone, Replicas
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.silencing.silencing import Silencing
from remediator.pipeline.starting import Starts
from remediator.pipeline.stops import Stops
from remediator.pipeline.store_check import StoreCheck
from remediator.pipeline.systems import Systems
from remediator.pipeline.undo.looking import Looking
from remediator.pipeline.undo.putting_back import PuttingBack
from remediator.pipeline.undo.younger import Younger
from remediator.pipeline.verification import Watch
from remediator.pipeline.worker import Worker
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.rules.watching import Look, RuleFiles
from remediator.settings import Settings, StoreSettings
from remediator.storage.presence import SharedStore
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Store
from remediator.web.health import Health


class Wiring:
    """The parts of the service, each by its name."""

    def __init__(
        self,
        settings: Settings,
        *,
        actions: Actions,
        book: Book,
        chat: Chat | None,
        clock: Clock | None,
        seen: Look | None,
        died: Callable[[], str | None],
        audit: Callable[[], str],
    ) -> None:
        """`seen`: how the rule files looked before `book` was read from them. `died`: a part that has died, if any.

        `audit`: what people should know of the audit journal, if anything.
        """
        self.settings = settings
        self.clock = clock or SystemClock()
        self.metrics = Metrics()
        self.redactor = Redactor(settings.secrets())
        self.clients = Clients(settings)
        self.reach = Reach(self.clients, self.redactor)
        self.systems = Systems(settings.systems, self.clock, self.metrics, self.redactor)
        self.shared = _shared_store_of(settings.store, self.clock, self.metrics)
        self.store: Store = self.shared or SqliteStore(settings.store.directory, clock=self.clock, metrics=self.metrics)
        self.store_check = StoreCheck(self.store, self.clock)
        self.rulebook = Rulebook(book, actions, self.store)
        self.people = People(settings.people, settings.approval)
        self.dispatcher = HeapDispatcher(self.clock, at_once_per_rule=settings.pipeline.most_of_one_rule)
        self.approvals = self._judge_decisions()
        self.chats = Chats(settings, self.clock, chat)
        self.pressure = self._measure_pressure()
        self.heartbeat = self._listen_for_heartbeat()
        self.stops = self._keep_stops()
        self.calls = Calls(self.clients, self.clock, self.redactor, self.metrics, self.systems)
        self.guards = guards_of(settings, self.store, self.clients, self.calls, self.clock)
        busy = BusyTargets(self.dispatcher, self.clock)
        self.execution = Execution(self.calls, self.guards, busy, self.clock, self.metrics)
        self.younger = Younger(self.store, lambda run: self.dispatcher.wake(run, self.clock.now()))
        self.looking = Looking(self.calls, self.younger, self.rulebook)
        self.intake = self._take_deliveries()
        self.worker = self._work_on(self._bring_together(self._stages()))
        self.outbox = self._tell()
        self.doubts = Doubts(self.store, self.intake, self.clients.alertmanager, self.clock, leads=self.leads)
        self.starts = Starts(self.store, self.intake, self.rulebook, self.clock, self.redactor)
        self.replicas = self._join_others()
        self.runs = Runs(
            self.store, self.dispatcher, self.clock, self.replicas, self.looking, self.approvals, self.redactor
        )
        self.slack_inbox = inbox_of(
            settings,
            store=self.store,
            runs=self.runs,
            approvals=self.approvals,
            people=self.people,
            stops=self.stops,
            starts=self.starts,
            health=self._look_at_health,
            explain=self._explain,
            clock=self.clock,
            redactor=self.redactor,
        )
        self.socket_mode = socket_of(settings.slack, self.slack_inbox, clock=self.clock, metrics=self.metrics)
        self.rule_files = RuleFiles(settings.rules, self.clock, seen=seen)
        self.reloader = self._reload_rules_of(actions)
        self.health = self._check_health(died, audit)

    def leads(self) -> bool:
        """Whether it is this process that does what only one of those who share the store may do."""
        return self.replicas.leads

    def wake_for_person(self, run: RunId) -> None:
        """Have the run looked at before others: a person waits to see it done."""
        self.dispatcher.wake(run, self.clock.now(), Priority.HIGH)

    def _judge_decisions(self) -> Approvals:
        return Approvals(
            self.store,
            self.people,
            self.dispatcher,
            self.clock,
            self.redactor,
            self.metrics,
            rule_now=self.rulebook.digest_now,
            pause_file=partial(say_file, self.settings.pause_path, is_set=self.settings.pause_file is not None),
        )

    def _measure_pressure(self) -> Pressure:
        return Pressure(
            waiting=lambda: self.dispatcher.due,
            disk=self.settings.store.directory if self.settings.store.url is None else None,
            settings=self.settings.pressure,
            clock=self.clock,
            metrics=self.metrics,
            unclaimed=self._count_unclaimed if self.shared is not None else None,
        )

    async def _count_unclaimed(self) -> int:
        """Runs that are due and that none of those who share the store has taken up, as far as it matters."""
        return await self.shared.count_unclaimed(self.settings.pressure.most_waiting + 1) if self.shared else 0

    def _listen_for_heartbeat(self) -> Heartbeat | None:
        if self.settings.heartbeat.alertname is None:
            return None
        return Heartbeat(
            self.settings.heartbeat.alertname,
            self.settings.heartbeat.silence,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            channel=self.chats.channel,
            on_message=self._nudge,
        )

    def _keep_stops(self) -> Stops:
        return Stops(
            self.store,
            self.rulebook,
            self.clock,
            self.redactor,
            channel=self.chats.channel,
            on_message=self._nudge,
            pause_file=PauseFile(self.settings.pause_path, is_set=self.settings.pause_file is not None),
            calendar=self.settings.calendar,
            limits=self.settings.limits,
        )

    def _nudge(self) -> None:
        self.outbox.nudge()  # it is made after those who have something told

    def _stages(self) -> Stages:
        return Stages(
            diagnosis=Diagnosis(self.calls),
            planner=Planner(self.calls),
            guards=self.guards,
            execution=self.execution,
            watch=Watch(self.calls, self.clock),
            lessons=Lessons(self.store, self.stops),
            putting_back=PuttingBack(self.calls, self.guards, self.execution, self.younger, self.clock, self.metrics),
            silencing=Silencing(
                self.store,
                self.intake.close_resolved,
                self.clients.alertmanager,
                self.clock,
                longest=self.settings.alertmanager.longest_silence,
            ),
        )

    def _bring_together(self, stages: Stages) -> Flow:
        return Flow(
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
            levels=self.chats.levels,
            hours=self.settings.hours_to_decide,
            places=self.chats.places,
        )

    def _take_deliveries(self) -> Intake:
        return Intake(
            store=self.store,
            rulebook=self.rulebook,
            dispatcher=self.dispatcher,
            owner=lambda: self.replicas.owner_of_new,
            clock=self.clock,
            metrics=self.metrics,
            redactor=self.redactor,
            settings=self.settings.occurrences,
            channel=self.chats.channel,
            heartbeat=self.heartbeat,
        )

    def _work_on(self, flow: Flow) -> Worker:
        return Worker(
            store=self.store,
            flow=flow,
            dispatcher=self.dispatcher,
            owner=lambda: self.replicas.owner,
            clock=self.clock,
            metrics=self.metrics,
            runs_at_once=self.settings.pipeline.runs_at_once,
            changes_at_once=self.settings.pipeline.most_changes,
        )

    def _tell(self) -> Outbox:
        return Outbox(
            store=self.store,
            chat=self.chats.chat,
            clock=self.clock,
            metrics=self.metrics,
            interval=self.chats.interval,
            moved=self.chats.moved,
            leads=self.leads,
            limits=self.chats.limits,
            has_buttons=self.chats.has_buttons,
            rests=self.chats.rests,
        )

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

    def _explain(self, alert: Alert) -> Explanation:
        heartbeat = self.settings.heartbeat.alertname
        return explain(
            alert, self.rulebook.book, ceiling=self.settings.mode_ceiling, clients=self.clients, heartbeat=heartbeat
        )

    def _reload_rules_of(self, actions: Actions) -> Reloader:
        return Reloader(
            paths=self.settings.rules,
            actions=actions,
            rulebook=self.rulebook,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            redactor=self.redactor,
            channel=self.chats.channel,
            on_message=self.outbox.nudge,
        )

    def _check_health(self, died: Callable[[], str | None], audit: Callable[[], str]) -> HealthChecks:
        return HealthChecks(
            self.settings,
            store=self.store,
            store_check=self.store_check,
            pressure=self.pressure,
            rulebook=self.rulebook,
            reloader=self.reloader,
            outbox=self.outbox,
            replicas=self.replicas,
            heartbeat=self.heartbeat,
            socket_mode=self.socket_mode,
            systems=self.systems,
            reach=self.reach,
            clock=self.clock,
            metrics=self.metrics,
            redactor=self.redactor,
            died=died,
            audit=audit,
        )

    async def _look_at_health(self) -> Health:
        return await self.health.look()  # it is made after those who ask


def _shared_store_of(settings: StoreSettings, clock: Clock, metrics: Metrics) -> SharedStore | None:
    if settings.url is None:
        return None
    from remediator.storage.postgres import PostgresStore  # its library takes a quarter of a second to import

    return PostgresStore(settings, clock=clock, metrics=metrics)
