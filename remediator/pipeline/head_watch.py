"""Watches the head of the audit journal: whether its end was cut off, and whether the key is the one from before.

Called by the sealer. What was seen last is noted in a file (`noted_head`), so it is known after a restart. What is
wrong stays noted until somebody has settled it by removing that file, or until the lost head is there again.
"""

import asyncio
from dataclasses import replace

import structlog

from remediator.kit.clock import Clock
from remediator.model.audit import Part
from remediator.model.chain import NO_HEAD, Head
from remediator.pipeline import auditing
from remediator.pipeline.noted_head import REMEDY, HeadFile, Noted
from remediator.storage.audit import AuditStore

log = structlog.get_logger(__name__)


class HeadWatch:
    """What was seen of the head."""

    def __init__(self, store: AuditStore, key: str, clock: Clock, file: HeadFile) -> None:
        """`key`: the id of the key that we seal with."""
        self._store = store
        self._key = key
        self._clock = clock
        self._file = file
        self._noted = Noted(*NO_HEAD, key)
        self._is_written = True
        self.seen: Head | None = None
        """The head as it was seen last; None until it is known what was noted before this start."""

    @property
    def trouble(self) -> str:
        """What people should know of the journal, until somebody has settled it; empty where all is well."""
        return self._noted.trouble(self._key)

    async def recall(self) -> None:
        """Take up what was noted before this start, and look whether it still holds. Raises StoreUnavailable."""
        noted = await asyncio.to_thread(self._file.read)
        place, seal = await self._store.audit_head()
        if noted is None:
            noted = await self._begin((place, seal))
        self._noted, self.seen = noted, noted.head
        await self.look_back()
        if noted.key != self._key:
            log.warning("audit_key_changed", before=noted.key, now=self._key, remedy=REMEDY)
        await self.note((place, seal))

    async def _begin(self, head: Head) -> Noted:
        """What is taken for right, as nothing is noted."""
        place, seal = head
        if place == 0:
            return Noted(place, seal, self._key)
        log.info("audit_head_unknown", place=place, what="whether newer entries were cut off before this start")
        newest = await self._store.audit_page(after=place - 1, limit=1, part=Part.SEALED)
        return Noted(place, seal, (newest[0].key if newest else None) or self._key)

    async def look_back(self) -> None:
        """Whether the chain goes on from the head that was seen last. Raises StoreUnavailable."""
        noted, (place, seal) = self._noted, self.seen or NO_HEAD
        if noted.is_lost and await self._has(noted.head):
            log.info("audit_chain_whole_again", place=noted.place, seal=noted.seal)
            self._noted = replace(noted, is_lost=False)
        if await self._has((place, seal)):
            return
        what = "the entry that was the newest is gone, or is another one: somebody has changed the store"
        log.error("audit_chain_broken", place=place, seal=seal, what=what, remedy=REMEDY)
        if not self._noted.is_lost:
            self._noted = Noted(place, seal, noted.key, is_lost=True)
            await self._write()  # a file that was removed before says nothing of this

    async def _has(self, head: Head) -> bool:
        """Whether the chain has that head, or has dropped it as it was old."""
        place = head[0]
        if place == 0:
            return True
        found = await self._store.audit_page(after=place - 1, limit=1, part=Part.SEALED)
        if found and (found[0].place, found[0].seal) == head:
            return True
        begins = await self._store.audit_begin()
        return begins[0] > place or begins == head

    async def note(self, head: Head) -> None:
        """It is this one now."""
        self.seen = head
        if not self._noted.is_lost:
            self._noted = replace(self._noted, place=head[0], seal=head[1])
        if not await self._is_settled():  # else that would be lost
            await self._write()

    async def _write(self) -> None:
        """A file that cannot be written is no reason not to seal."""
        try:
            await asyncio.to_thread(self._file.write, self._noted)
        except OSError as error:
            if self._is_written:
                log.warning("audit_head_not_noted", error=str(error))
            self._is_written = False
        else:
            self._is_written = True

    async def _is_settled(self) -> bool:
        """Whether something is wrong, and somebody has removed the file."""
        return bool(self.trouble) and await asyncio.to_thread(self._file.is_gone)

    async def settle(self) -> None:
        """Take the journal as it is, where somebody has removed the file to say so. Raises StoreUnavailable."""
        if not await self._is_settled():
            return
        await self._store.audit([auditing.of_settled(self._clock.now(), self.trouble)])
        log.warning("audit_settled", what=self.trouble)
        self._noted = Noted(*NO_HEAD, self._key)
        await self.note(await self._store.audit_head())
