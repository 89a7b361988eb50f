"""How an address of the settings is connected to by HTTP: as if nothing else were there. The clients of these call it.

The address is trusted, so no allow-list applies; but no proxy of the environment, no cookie and no password of a
`.netrc` gets between.
"""

from datetime import timedelta

import aiohttp


def open_session(timeout: timedelta) -> aiohttp.ClientSession:
    """A session in which each call takes so long at the most. Whoever has opened it closes it."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout.total_seconds()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "remediator"},
        trust_env=False,
    )
