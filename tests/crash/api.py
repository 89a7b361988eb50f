"""What the driver asks of the services by their API, whichever of them answers."""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp

from tests.crash.journal import Record
from tests.crash.rig import LIMIT, Rig

_PAGE = 500


class Api:
    """The API of whichever service answers."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    async def get(self, path: str) -> Any:
        """The JSON there; None where no service gives it."""
        for service in self._rig.services:
            if service.lives and not service.is_frozen:
                with suppress(aiohttp.ClientError, TimeoutError, FileNotFoundError):
                    async with self._rig.http.get(
                        service.url + path, headers=service.headers, timeout=aiohttp.ClientTimeout(10)
                    ) as answer:
                        if answer.status == 200:
                            return await answer.json()
        return None

    async def journal(self) -> list[Record]:
        """The audit journal, once all of it is sealed. Raises TimeoutError."""
        async with asyncio.timeout(LIMIT):
            while (page := await self.get("/api/v1/audit?part=unsealed&limit=1")) is None or page["entries"]:
                await asyncio.sleep(0.05)
        found: list[Record] = []
        after = 0
        while True:
            page = await self.get(f"/api/v1/audit?part=sealed&limit={_PAGE}&after={after}")
            assert page is not None
            found += page["entries"]
            if len(page["entries"]) < _PAGE:
                return found
            after = found[-1]["place"]
