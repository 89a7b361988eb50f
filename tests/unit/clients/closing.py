"""How servers on the wire that tests have started are closed."""

import asyncio
from collections.abc import Sequence


async def close_all(servers: Sequence[asyncio.Server]) -> None:
    """Close them, and wait until nobody talks to one any more."""
    for server in servers:
        server.close()
        await server.wait_closed()
    async with asyncio.timeout(60):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)
