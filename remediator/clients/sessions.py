"""How an address of the settings is connected to by HTTP: as if nothing else were there. The clients of these call it.

The address is trusted, so no allow-list applies; but no proxy of the environment, no cookie and no password of a
`.netrc` gets between.
"""

from datetime import timedelta

import aiohttp


class Session:
    """A session in which each call takes so long at the most; it is opened with the first."""

    def __init__(self, timeout: timedelta) -> None:
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    def opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout.total_seconds()),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "remediator"},
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
