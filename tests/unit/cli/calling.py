"""Commands as a shell calls them, and a service that answers them as a test wishes."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from remediator.cli import main

ROOT = Path(__file__).parents[3]
GOOD = """
pack: web
rules:
  - name: down
    summary: it is down
    match: ['alertname="Down"']
    diagnose: {page: {http.get: {url: "http://127.0.0.1/"}}}
"""


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def told(result: Result) -> tuple[int, list[str]]:
    return result.exit_code, result.output.splitlines()


class _Asked(http.server.BaseHTTPRequestHandler):
    """Answers as told, and keeps what it was asked."""

    status = 202
    body = b"{}"
    headers_sent: tuple[tuple[str, str], ...] = ()
    asked: list[tuple[str, str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.command, self.path, self.headers.get("Authorization", ""), body))
        self.send_response(self.status)
        for name, value in self.headers_sent:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST  # noqa: N815 - its name there

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Quiet."""


@contextmanager
def listening(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on the loopback that has each request handled so; its URL."""
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="listening")  # so it stops at once
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def answering(status: int = 202, body: bytes = b"{}", **headers: str) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives every request the same answer; its URL, and what it was asked."""
    asked: list[Any] = []
    sent = tuple(headers.items())
    handler = type("_", (_Asked,), {"status": status, "body": body, "headers_sent": sent, "asked": asked})
    with listening(handler) as url:
        yield url, asked
