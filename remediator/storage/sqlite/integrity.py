"""Looks whether a store is damaged, before it is used and after it was copied. Never changes it."""

import sqlite3
import threading
import time
from datetime import timedelta
from pathlib import Path

import structlog

from remediator.errors import BadSettings

log = structlog.get_logger(__name__)

# Measured on a store of 930 MB: 1 s where the system has the file in memory, as after a crash of this process alone;
# 12 to 17 s where the disk has to be read, as after a start of the machine. Alerts wait for that long.
AFTER_CLEAN_STOP = timedelta(seconds=3)
AFTER_CRASH = timedelta(seconds=10)

_AGAIN = 0.01  # seconds

_RESTORE = (
    "it is not used, so that nothing is made worse. Move remediator.sqlite3 and the files beside it that end in -wal "
    "and -shm elsewhere, put a backup in their place as remediator.sqlite3, and start again; "
    "docs/operating.md tells more under “Restoring”"
)


def was_left_open(path: Path) -> bool:
    """Whether whoever had the store last did not close it: its write-ahead log is still there."""
    log_file = path.with_name(path.name + "-wal")
    return log_file.exists() and log_file.stat().st_size > 0


def refuse_damaged(connection: sqlite3.Connection, name: str, *, within: timedelta) -> None:
    """Look through a store for so long at the most. Raises BadSettings where it is damaged, with what to do."""
    began = time.monotonic()
    damage = find_damage(connection, within=within)
    if damage is None:
        log.info("store_check_cut_short", seconds=round(time.monotonic() - began, 1))
    elif damage:
        raise damaged(name, damage)


def damaged(name: str, damage: str) -> BadSettings:
    """What is said of a damaged store."""
    return BadSettings(f"{name} is damaged ({damage}); {_RESTORE}")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is wrong."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def find_damage(connection: sqlite3.Connection, *, within: timedelta | None = None) -> str | None:
    """The first damage that is found; nothing where there is none, and None where the time was over before the end."""
    done = threading.Event()
    watch = threading.Thread(target=_break_off, args=(connection, within, done), name="sqlite-check", daemon=True)
    watch.start()
    try:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error)
    finally:
        done.set()
        watch.join()  # it must not break off what comes next
    return "" if found == "ok" else " ".join(found.split())


def _break_off(connection: sqlite3.Connection, within: timedelta | None, done: threading.Event) -> None:
    """Interrupt what runs on a connection when the time is over; again and again, in case it had not begun."""
    wait = None if within is None else within.total_seconds()
    while not done.wait(wait):
        connection.interrupt()
        wait = _AGAIN
