"""What works in the background while the service runs, each with the name that is told if it dies.

Started by the app once the service listens. What needs the rest of the service to be there is made only here.
"""

from remediator.app.wiring import Wiring
from remediator.kit.tasks import Background
from remediator.pipeline.completion import Completion
from remediator.pipeline.digest import QuestionDigest
from remediator.pipeline.housekeeping import Housekeeping
from remediator.pipeline.replicas import Replicas
from remediator.pipeline.unheard import Unheard


def start_background(parts: Wiring, background: Background, socket: Background) -> None:
    """Start all of it. `socket`: what hears Slack, because that is stopped before the rest."""
    background.start(parts.worker.work(), name="worker")
    background.start(parts.outbox.work(), name="outbox")
    background.start(parts.doubts.work(), name="doubts")
    background.start(_question_digest(parts).work(), name="questions")
    completion = Completion(parts.store, parts.intake, parts.clients.alertmanager, parts.clock, leads=parts.leads)
    background.start(completion.work(), name="completion")
    background.start(_unheard(parts).work(), name="unheard")
    background.start(parts.pressure.work(), name="pressure")
    background.start(parts.health.watch(), name="health")
    background.start(parts.reloader.work(), name="rules")
    background.start(_housekeeping(parts).work(), name="housekeeping")
    if parts.heartbeat is not None:
        background.start(parts.heartbeat.work(), name="heartbeat")
    if parts.socket_mode is not None:
        socket.start(parts.socket_mode.work(), name="slack-socket")
    if isinstance(parts.replicas, Replicas):
        background.start(parts.replicas.claim(), name="claims")
        background.start(parts.replicas.look_after(), name="overdue")


def _question_digest(parts: Wiring) -> QuestionDigest:
    return QuestionDigest(
        parts.store,
        parts.clock,
        channel=parts.chats.channel,
        rules=lambda: (rule.id for rule in parts.rulebook.book.rules),
        leads=parts.leads,
        on_message=parts.outbox.nudge,
    )


def _unheard(parts: Wiring) -> Unheard:
    give_up_after = parts.settings.occurrences.give_up_after
    return Unheard(parts.store, parts.intake, parts.clock, give_up_after=give_up_after, leads=parts.leads)


def _housekeeping(parts: Wiring) -> Housekeeping:
    return Housekeeping(
        store=parts.store,
        rulebook=parts.rulebook,
        clock=parts.clock,
        metrics=parts.metrics,
        settings=parts.settings.store,
        occurrences=parts.settings.occurrences,
        leads=parts.leads,
    )
