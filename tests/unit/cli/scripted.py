"""A service that answers each path with what a test says, one answer after another; the last one stays."""

import http.server
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.unit.cli.calling import listening

Answers = Mapping[str, Sequence[Any]]
"""By verb and path: what is answered, each a JSON value, or a status with one."""


class _Scripted(http.server.BaseHTTPRequestHandler):
    left: dict[str, list[Any]]
    asked: list[tuple[str, Any, Mapping[str, str]]]

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        what = f"{self.command} {self.path}"
        self.asked.append((what, json.loads(raw) if raw else None, dict(self.headers)))
        answers = self.left.get(what, [(404, {"error": f"no {what}"})])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        status, value = answer if isinstance(answer, tuple) else (200, answer)
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - its name there

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Quiet."""


@contextmanager
def scripted(answers: Answers) -> Iterator[tuple[str, list[tuple[str, Any, Mapping[str, str]]]]]:
    """The service's URL, and what it was asked: verb and path, body, headers."""
    asked: list[tuple[str, Any, Mapping[str, str]]] = []
    left = {what: list(given) for what, given in answers.items()}
    with listening(type("_", (_Scripted,), {"left": left, "asked": asked})) as url:
        yield url, asked
