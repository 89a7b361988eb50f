"""A small web service that can fall ill, for the demo and for trying rules out: it needs nothing but Python.

`python -m remediator.testing.patient start|restart|stop FOLDER PORT` runs it in the background, with its process id in
FOLDER. `GET /health` answers 200 until somebody posts to `/break`; from then on 500, until it is restarted.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PATIENCE = 30.0  # seconds for the process to end, or to listen


class _Patient(BaseHTTPRequestHandler):
    ill = False

    def do_GET(self) -> None:
        if _Patient.ill:
            self._answer(500, b"the connection pool is exhausted\n")
        else:
            self._answer(200, b"all is well\n")

    def do_POST(self) -> None:
        _Patient.ill = self.path == "/break"
        print("pool: no connection within 30 s; giving up", flush=True)  # noqa: T201 - its log
        self._answer(200, b"\n")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(folder: Path, port: int) -> None:
    """Serve until killed; the process id is in the folder once it listens."""
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", port), _Patient)

    def end(_signal: int, _frame: object) -> None:
        (folder / "pid").unlink(missing_ok=True)
        raise SystemExit

    signal.signal(signal.SIGTERM, end)
    draft = folder / "pid.new"
    draft.write_text(str(os.getpid()))
    draft.replace(folder / "pid")
    server.serve_forever()


def start(folder: Path, port: int) -> None:
    """Run it in the background and return when it listens. Raises TimeoutError."""
    (folder / "pid").unlink(missing_ok=True)
    with (folder / "log").open("ab") as log:
        subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", "remediator.testing.patient", "serve", str(folder), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _PATIENCE
    while not (folder / "pid").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the patient does not listen; its log is {folder / 'log'}")
        time.sleep(0.02)


def stop(folder: Path) -> None:
    """End it, if it runs."""
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        while (folder / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    (folder / "pid").unlink(missing_ok=True)


def main(arguments: list[str]) -> None:
    """The commands above."""
    command, folder, *rest = arguments
    if command == "serve":
        serve(Path(folder), int(rest[0]))
    if command in ("restart", "stop"):
        stop(Path(folder))
    if command in ("start", "restart"):
        start(Path(folder), int(rest[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
