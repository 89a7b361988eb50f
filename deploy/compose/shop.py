"""The service of the compose example: it answers, until somebody asks for /die.

Started by compose.yaml in a container of its own, where nothing but Python is there.
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGES = {"/health": b"fine\n", "/metrics": b"shop_is_open 1\n"}


class Shop(BaseHTTPRequestHandler):
    """Answers its pages; /die ends the process as a crash would."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/die":
            self._answer(200, b"out of order\n")
            self.wfile.flush()
            os._exit(1)
        known = PAGES.get(self.path)
        self._answer(404 if known is None else 200, known or b"there is no such page\n")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Shop).serve_forever()
