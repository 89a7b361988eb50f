"""What the service talks to while it is measured: a web service that says yes, and Slack. A process of its own.

`python -m bench.standin PORT`. It is no server that anybody should copy: it answers as fast as it can.
"""

import asyncio
import json
import sys
from itertools import count

_NUMBERS = count(1)


class Yes(asyncio.Protocol):
    """Answers every request with 200; Slack's methods in Slack's words."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (taken := self._take()) is not None and self._transport is not None:
            self._transport.write(taken)

    def _take(self) -> bytes | None:
        """The answer to the next whole request; None while there is none."""
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        _, found, value = head.lower().partition(b"content-length:")
        length = int(value.split(b"\r\n", 1)[0]) if found else 0
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        said: dict[str, object] = {"status": "ok"}
        if b" /slack/" in head.split(b"\r\n", 1)[0]:
            said = {"ok": True, "channel": "C0BENCH01", "ts": f"1700000000.{next(_NUMBERS):06d}", "messages": []}
        body = json.dumps(said).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Yes, "127.0.0.1", port, backlog=1000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
