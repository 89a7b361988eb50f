"""A receiver of webhooks that answers as a test wishes, and what posts to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.chat.webhook import WebhookChat
from remediator.clients.webhook import WebhookClient
from remediator.kit.metrics import Metrics
from remediator.model.budget import Budget
from remediator.pipeline.outbox import Outbox
from remediator.settings import EscalationSettings
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

PAGER = "webhook:pager"


@dataclass
class Pager:
    """What it heard, and how it answers; without a status it does not answer at all."""

    status: int | None = 200
    url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    """What it has answered with success."""
    calls: list[str] = field(default_factory=list)
    """The key of each call, in their order."""

    async def hear(self, request: web.Request) -> web.Response:
        self.calls.append(request.headers["Idempotency-Key"])
        if self.status is None:
            await asyncio.Event().wait()
        if self.status == 200:
            self.told.append(json.loads(await request.text()))
        return web.Response(status=self.status or 200, text="s3cr3t-path is not what it was")

    def runs(self) -> list[str]:
        """The runs that it was told of, as often as it was."""
        return [one["run"] for body in self.told for one in body.get("problems", [body])]


@asynccontextmanager
async def paging(pager: Pager, timeout: str = "1m") -> AsyncIterator[WebhookChat]:
    """A chat that is this pager alone."""
    app = web.Application()
    app.router.add_post("/{path:.*}", pager.hear)
    async with TestServer(app) as server:
        pager.url = str(server.make_url("/hook/s3cr3t-path"))
        level = EscalationSettings.model_validate({"webhook": pager.url, "timeout": timeout})
        chat = WebhookChat(WebhookClient("pager", pager.url, level), VirtualClock())
        yield chat
        await chat.close()


def poster(store: Store, chat: WebhookChat, clock: VirtualClock, limit: int = 5) -> Outbox:
    """What a process that begins now posts with."""
    return Outbox(
        store=store,
        chat=chat,
        clock=clock,
        metrics=Metrics(),
        interval=timedelta(0),
        limits={PAGER: Budget(limit, timedelta(minutes=1))},
    )
