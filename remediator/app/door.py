"""The door of the service: the HTTP application with all that it is given, and the socket it listens on.

The app opens it once everything behind it is ready, and closes it first, so that what was accepted can be stored.
"""

import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from remediator.app.wiring import Wiring
from remediator.errors import BadSettings
from remediator.model.alert import Delivery
from remediator.pipeline.escalation.listing import Escalations
from remediator.pipeline.rerun import Reruns
from remediator.pipeline.resetting import Resetting
from remediator.pipeline.tokens import Tokens
from remediator.pipeline.usage import Usage
from remediator.web.auth import admin_token
from remediator.web.listening import Connections, Listener, most_connections
from remediator.web.server import Parts, build_app

_MOST_MESSAGES = 500  # of one run that are shown


class Door:
    """Where the webhook and the API are served."""

    def __init__(self, parts: Wiring) -> None:
        self._parts = parts
        self._connections: Connections | None = None
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None

    async def open(self) -> int:
        """Listen, and say on which port. Raises BadSettings with the reason where that fails."""
        settings = self._parts.settings
        host, port = settings.address
        connections = self._connections = Connections(most_connections(settings.pressure.most_connections))
        self._parts.metrics.connections.set_function(lambda: connections.count)
        self._runner = web.AppRunner(
            build_app(_parts_of(self._parts, connections)),
            access_log=None,
            shutdown_timeout=settings.pipeline.stop_grace.total_seconds(),
        )
        await self._runner.setup()
        if (server := self._runner.server) is None:
            raise RuntimeError("the HTTP server was not made")
        self._listener = Listener(server, connections)
        try:
            return await self._listener.open(host, port)
        except OSError as error:
            raise BadSettings(f"cannot listen on {settings.listen}: {_reason(error)}") from error

    async def close(self) -> None:
        """Take no new connections, and see to their end the requests that are under way."""
        if self._listener is not None:
            await self._listener.close()
        if self._runner is not None and self._connections is not None:
            await self._connections.see_out(self._runner.cleanup())


def acceptor(parts: Wiring) -> Callable[[Delivery], Awaitable[None]]:
    """Has a delivery on disk, and its first messages on their way."""

    async def accept(delivery: Delivery) -> None:
        accepted = await parts.intake.accept(delivery)
        if accepted.new_runs:  # only these have a message, and each look costs a tenth of accepting
            parts.outbox.nudge()

    return accept


def _parts_of(parts: Wiring, connections: Connections) -> Parts:
    """What the HTTP application is made of."""
    settings = parts.settings
    return Parts(
        accept=acceptor(parts),
        runs=parts.runs,
        alerts=parts.store,
        audit=parts.store,
        breakers=Resetting(parts.systems, parts.store, parts.clock, parts.redactor),
        stops=parts.stops,
        escalations=Escalations(
            parts.store,
            parts.rulebook,
            parts.clock,
            on_word=parts.wake_for_person,
            levels=parts.chats.levels,
            channel=parts.chats.channel,
            tries=parts.outbox.tries,
            redactor=parts.redactor,
        ),
        reruns=Reruns(parts.store, parts.intake, parts.clock, parts.redactor),
        tokens=Tokens(parts.store, parts.clock, parts.redactor, settings.people, settings.approval),
        starts=parts.starts,
        told=partial(parts.store.posts_of, limit=_MOST_MESSAGES),
        slack=parts.slack_inbox,
        usage=Usage(parts.store.known, parts.rulebook, settings.limits, parts.clock),
        health=parts.health.look,
        metrics=parts.metrics,
        settings=settings,
        clock=parts.clock,
        admin_token=admin_token(settings.store.directory),
        admit=parts.pressure.admit,
        connections=connections,
    )


def _reason(error: OSError) -> str:
    """Why an address cannot be listened on, in the system's words: asyncio puts its own around them."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()
