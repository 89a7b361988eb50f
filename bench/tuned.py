"""The service with another `wal_autocheckpoint`: `python -m bench.tuned PAGES -c FILE serve`. For `checkpoints.py`."""

import sqlite3
import sys

from remediator.app import wiring
from remediator.cli import main
from remediator.storage.sqlite import SqliteStore


def tuned(pages: int) -> type[SqliteStore]:
    """A store whose connections bring the log home after so many pages."""

    class Tuned(SqliteStore):
        def _connect(self, path: str) -> sqlite3.Connection:
            connection = super()._connect(path)
            connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
            return connection

    return Tuned


if __name__ == "__main__":
    vars(wiring)["SqliteStore"] = tuned(int(sys.argv.pop(1)))
    main()
