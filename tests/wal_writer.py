"""A program that keeps write-ahead logs as the backend of fractal-lba does, and says on /metrics how it fares.

Run as `python -m tests.wal_writer FOLDER JOURNAL LOG PORT [slow]`. It appends entries to `inbox-<n>.wal`, keeps the
newest one open, begins the next at 64 KiB, and appends to `outbox.wal`, which it opens for each entry. What it could
not write whole it takes back, counts and logs; what it has written whole it notes in the journal, on another disk.
"""

import http.server
import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_ROLL = 64 * 1024
_PAUSE = 0.02
_SLOW = 0.1


class Writer:
    """Appends until it is killed: fast until the disk is full, then at a walking pace."""

    def __init__(self, folder: Path, journal: Path, log: Path, *, is_slow: bool) -> None:
        self._is_slow = is_slow
        self.folder, self.errors, self.written, self.number = folder, 0, 0, 100
        self._journal = journal.open("ab", buffering=0)
        self._log = log.open("ab", buffering=0)

    def run(self) -> None:
        inbox, n = self._next_inbox(), 0
        while True:
            n += 1
            line = json.dumps({"id": f"in{n}", "body": "D_hat 1.5 regime mixed " * 20}).encode() + b"\n"
            if self._append(inbox, line) and n % 5 == 0:
                self._append_outbox(json.dumps({"id": f"out{n}", "ts": "2020-01-01T00:00:00Z"}).encode() + b"\n")
            if os.fstat(inbox).st_size > _ROLL:
                with suppress(OSError):  # no space for a new name: it goes on with the old one
                    following = self._next_inbox()
                    os.close(inbox)
                    inbox = following
            time.sleep(_SLOW if self._is_slow else _PAUSE if self.errors else 0)

    def _next_inbox(self) -> int:
        self.number += 1
        return os.open(self.folder / f"inbox-{self.number:05}.wal", os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def _append_outbox(self, line: bytes) -> None:
        outbox = os.open(self.folder / "outbox.wal", os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._append(outbox, line)
        os.close(outbox)

    def _append(self, file: int, line: bytes) -> bool:
        size = os.fstat(file).st_size
        why = "No space left on device"
        try:
            is_whole = os.write(file, line) == len(line)
        except OSError as error:
            is_whole, why = False, str(error.strerror)
        if not is_whole:
            os.ftruncate(file, size)
            self.errors += 1
            self._log.write(f"WAL append error: {why}\n".encode())
            return False
        self._journal.write(line)
        self.written += 1
        return True

    def metrics(self) -> str:
        system = os.statvfs(self.folder)
        free, size = system.f_bavail * system.f_frsize, system.f_blocks * system.f_frsize
        return (
            f"flk_wal_errors {self.errors}\nflk_wal_written {self.written}\n"
            f'node_filesystem_avail_bytes{{mountpoint="/data/wal"}} {free}\n'
            f'node_filesystem_size_bytes{{mountpoint="/data/wal"}} {size}\n'
        )


def main(folder: str, journal: str, log: str, port: str, pace: str = "fast") -> None:
    writer = Writer(Path(folder), Path(journal), Path(log), is_slow=pace == "slow")

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = writer.metrics().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
            """Not every scrape."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    writer.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
