"""What remedies act on: a web server that writes down every effect before it answers. A program of its own.

`python -m tests.crash.target FOLDER SEED`. It listens on many ports, which it says on its standard output: each is a
target of its own, and changes of one target wait for each other.
"""

import asyncio
import json
import random
import sys
from pathlib import Path

from aiohttp import web

from tests.crash import journal

_PORTS = 150
_LONGEST = 0.03  # seconds, before the effect and after it: so that kills fall there, too


class Target:
    """Writes effects to a file, and says how many it has seen."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._effects = folder / "effects.jsonl"
        self._puts = folder / "puts.jsonl"
        self._chance = random.Random(seed)
        self._seen: set[str] = set()

    async def act(self, request: web.Request) -> web.Response:
        effect = await request.json()
        await asyncio.sleep(self._chance.uniform(0, _LONGEST))
        journal.note(self._effects, **effect)
        self._seen.add(effect["alert"])
        await asyncio.sleep(self._chance.uniform(0, _LONGEST))
        return web.json_response({})

    async def look(self, request: web.Request) -> web.Response:
        """200 where something was done for an alert, by us or by the command; else 404."""
        alert = request.match_info["alert"]
        found = alert in self._seen or any(put["alert"] == alert for put in journal.read(self._puts))
        return web.json_response({}, status=200 if found else 404)


async def main(folder: Path, seed: int) -> None:
    target = Target(folder, seed)
    app = web.Application()
    app.router.add_post("/effects", target.act)
    app.router.add_get("/effects/{alert}", target.look)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    for _ in range(_PORTS):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(json.dumps([port for _, port in runner.addresses]) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it has gone


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
