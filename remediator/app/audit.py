"""That this process started and stopped stands in the audit journal, and the journal is sealed in between.

Called by the app, while the store is open. The key is made where the store is, so it is known only then.
"""

import asyncio
import socket

import structlog

from remediator import __version__
from remediator.app.wiring import Wiring
from remediator.errors import StoreUnavailable
from remediator.kit.tasks import Background
from remediator.model.audit import AuditEntry
from remediator.pipeline import auditing
from remediator.pipeline.audit_key import key_of
from remediator.pipeline.noted_head import HeadFile
from remediator.pipeline.sealing import Sealer

log = structlog.get_logger(__name__)


class ServiceAudit:
    """The service's own entries in the audit journal, and who seals it."""

    def __init__(self, parts: Wiring) -> None:
        self._parts = parts
        self._sealer: Sealer | None = None

    @property
    def trouble(self) -> str:
        """What people should know of the journal; empty where all is well."""
        return self._sealer.trouble if self._sealer is not None else ""

    async def read_key(self) -> bytes:
        """The key to seal with; made where there is none yet."""
        settings = self._parts.settings
        return await asyncio.to_thread(key_of, settings.audit, settings.store.directory)

    async def begin(self, key: bytes, background: Background) -> None:
        """Have the journal say that this process has started, and be sealed from now on."""
        parts = self._parts
        file, keep = HeadFile(parts.settings.store.directory), parts.settings.audit.keep
        self._sealer = Sealer(parts.store, key, parts.clock, parts.metrics, file, keep=keep, leads=parts.leads)
        await self._sealer.recall()
        await parts.store.audit([self._of_service("started")])
        background.start(self._sealer.work(), name="audit")

    async def end(self) -> None:
        """Have the journal say that this process has stopped, and its head told."""
        if self._sealer is None:
            return
        try:
            await self._parts.store.audit([self._of_service("stopped")])
        except StoreUnavailable as error:
            log.warning("stop_not_in_audit", error=str(error))
        await self._sealer.finish()

    def _of_service(self, what: str) -> AuditEntry:
        parts = self._parts
        process = f"{socket.gethostname()} {parts.replicas.owner}"
        return auditing.of_service(
            what, parts.clock.now(), version=__version__, process=process, book=parts.rulebook.book
        )
