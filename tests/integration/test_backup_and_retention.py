"""The real service: its store is copied while alerts come at full speed, and forgets what is old by itself."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tests import services
from tests.full_disk import small_disk
from tests.served import Served

WRITERS = 8


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "first")
    made.folder.mkdir()
    yield made
    made.end()


def body(name: str, status: str = "firing") -> bytes:
    alert = {"status": status, "labels": {"alertname": "Seen", "service": name}, "startsAt": "2026-01-01T12:00:00Z"}
    if status == "resolved":
        alert["endsAt"] = "2026-01-01T12:05:00Z"
    return json.dumps({"version": "4", "status": status, "receiver": "x", "alerts": [alert]}).encode()


class Storm:
    """Alerts as fast as the service takes them, and the names of those that were answered 202."""

    def __init__(self, served: Served) -> None:
        self.accepted: list[str] = []
        self._served = served
        self._numbers = count()
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(WRITERS)

    def __enter__(self) -> "Storm":
        self._sending = [self._pool.submit(self._send) for _ in range(WRITERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for sending in self._sending:
            sending.result(60)
        self._pool.shutdown()

    def _send(self) -> None:
        while not self._is_over.is_set():
            name = f"service-{next(self._numbers)}"
            status, _ = self._served.ask("/api/v1/alerts", body=body(name))
            assert 202 == status
            self.accepted.append(name)


def services_in(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as db:
        return {json.loads(row[0])["service"] for row in db.execute("SELECT labels FROM occurrence")}


def wait_for(what: Callable[[], bool], said: str, *, limit: float = 60) -> None:
    services.wait_until(what, said, limit=limit)


def test_a_backup_in_a_storm_has_every_alert_that_was_accepted_before(served: Served) -> None:
    """Backups are made while the service runs, or not at all."""
    served.configure()
    served.start()
    file = served.folder / "copy.sqlite3"
    with Storm(served) as storm:
        wait_for(lambda: len(storm.accepted) >= 300, "some hundred alerts to be accepted")
        before = set(storm.accepted)
        done = served.command("backup", str(file))
        after = len(storm.accepted)
        wait_for(lambda: len(storm.accepted) > after, "alerts to be accepted afterwards")

    assert (0, "") == (done.returncode, done.stderr)
    assert after > len(before)  # it kept nobody waiting to its end
    copied = services_in(file)
    assert set() == before - copied
    with closing(sqlite3.connect(file)) as db:
        assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
        assert [] == db.execute("PRAGMA foreign_key_check").fetchall()
        alone = "SELECT count(*) FROM occurrence WHERE NOT EXISTS (SELECT 1 FROM run WHERE occurrence = occurrence.id)"
        assert [(0,)] == db.execute(alone).fetchall()  # each alert with its run, or neither


def test_a_service_goes_on_from_a_backup(served: Served, tmp_path: Path) -> None:
    """As docs/operating.md says: stop, copy, start."""
    served.configure()
    served.start()
    for name in ("a", "b"):
        assert 202 == served.ask("/api/v1/alerts", body=body(name))[0]
    wait_for(lambda: all(run["outcome"] for run in served.runs()), "both runs to end")
    file = tmp_path / "copy.sqlite3"
    assert 0 == served.command("backup", str(file)).returncode
    kept = {run["id"] for run in served.runs()}
    assert 202 == served.ask("/api/v1/alerts", body=body("c"))[0]
    served.kill()

    store = served.folder / "store"
    for part in store.glob("remediator.sqlite3*"):
        part.unlink()
    file.rename(store / "remediator.sqlite3")
    served.start()

    assert kept == {run["id"] for run in served.runs()}
    assert 202 == served.ask("/api/v1/alerts", body=body("c"))[0]
    wait_for(lambda: len(served.runs()) == 3, "what is still firing to have a run again")


def test_a_damaged_store_is_not_served(served: Served) -> None:
    """Exit code 2 and the way out: starting again and again would not help."""
    served.configure()
    served.start()
    assert 202 == served.ask("/api/v1/alerts", body=body("a"))[0]
    assert 0 == served.stop()
    with (served.folder / "store" / "remediator.sqlite3").open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xff" * 4096)

    code = served.spawn().wait(30)

    assert 2 == code
    assert "is damaged" in served.log()
    assert "put a backup in their place" in served.log()


def test_the_backup_command_says_what_is_wrong(served: Served) -> None:
    """Its exit code is what a timer looks at."""
    served.configure()
    file = served.folder / "copy.sqlite3"

    nothing = served.command("backup", str(file))
    served.start()
    made = served.command("backup", str(file))
    again = served.command("backup", str(file))
    inside = served.command("backup", "--force", str(served.folder / "store" / "remediator.sqlite3"))
    forced = served.command("backup", "--force", str(file))

    assert [2, 0, 2, 2, 0] == [done.returncode for done in (nothing, made, again, inside, forced)]
    assert "there is no store in" in nothing.stderr
    assert f"{file}: " in made.stdout
    assert "--force" in again.stderr
    assert "store's own folder" in inside.stderr
    assert 200 == served.readiness()[0]


def test_a_full_disk_leaves_the_last_backup_and_no_rest(served: Served, tmp_path: Path) -> None:
    """Half a backup under a good name would be found out when it is needed."""
    served.configure()
    with small_disk(tmp_path / "disk", 2) as disk:
        file = disk / "copy"
        served.start()
        first = served.command("backup", str(file))
        kept = file.read_bytes()
        for letter in "abcdefgh":
            assert 202 == served.ask("/api/v1/alerts", body=body(letter * 500_000))[0]
        second = served.command("backup", "--force", str(file))
        left = {path.name: path.read_bytes() for path in disk.iterdir()}

    assert [0, 1] == [first.returncode, second.returncode]
    assert "cannot be copied" in second.stderr
    assert {"copy": kept} == left


def _is_all_told(store: Path) -> bool:
    with closing(sqlite3.connect(store / "remediator.sqlite3")) as db:
        return [(0,)] == db.execute("SELECT count(*) FROM post WHERE sent_version < version").fetchall()


def _make_old(store: Path) -> None:
    with closing(sqlite3.connect(store / "remediator.sqlite3")) as db, db:
        year = 365 * 24 * 3600 * 1_000_000
        db.execute("UPDATE run SET ended_at = ended_at - ?", (year,))
        db.execute("UPDATE occurrence SET closed_at = closed_at - ?", (year,))


def test_a_service_forgets_what_is_old_by_itself(served: Served) -> None:
    """Nobody has to remember to."""
    served.configure()
    served.start()
    for name in ("old", "young"):
        assert 202 == served.ask("/api/v1/alerts", body=body(name))[0]
    assert 202 == served.ask("/api/v1/alerts", body=body("old", "resolved"))[0]
    wait_for(lambda: all(run["outcome"] for run in served.runs()), "both runs to end")
    wait_for(lambda: _is_all_told(served.folder / "store"), "everything to be told")
    assert 0 == served.stop()
    _make_old(served.folder / "store")

    served.start()

    def are_forgotten() -> bool:
        with contextlib.suppress(KeyError):
            return served.series()["remediator_runs_forgotten_total"] == 1
        return False

    wait_for(are_forgotten, "the old run to be forgotten", limit=150)  # in the first round or, a minute later, the next
    assert ["young"] == [run["alert"]["labels"]["service"] for run in served.runs()]  # its alert is open
    wait_for(lambda: "store_tidied" in served.log(), "the round to be logged")
    assert served.series()["remediator_store_bytes"] > 0
