"""The audit journal of the real service: what was done stands there, and whoever changes the store is found out."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.served import Served


def healed(served: Served) -> str:
    """The service after a gated run that a person has approved; it is stopped, and the journal sealed. The run's id."""
    served.start()
    body = {"alerts": [{"status": "firing", "labels": {"alertname": "Down", "service": "web"}}]}
    served.ask("/api/v1/alerts", body=json.dumps(body).encode())
    services.wait_until(lambda: bool(served.runs()) and bool(served.run()["waiting"]), "the plan to wait")
    served.command("approve", served.run()["id"], "--yes")
    services.wait_until(lambda: served.run()["outcome"] == "healed", "the run to heal")
    return str(served.run()["id"])


def exported(served: Served, *arguments: str) -> list[dict[str, Any]]:
    done = served.command("audit", "export", *arguments)
    assert 0 == done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def wait_for_seals(served: Served, count: int) -> None:
    services.wait_until(lambda: served.series()["remediator_audit_sealed"] >= count, "the journal to be sealed")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_was_decided_and_done_is_in_the_journal_and_verified(
    served: Served, engine: str, request: pytest.FixtureRequest
) -> None:
    """Who has approved what, and what was done then: in the order in which it happened, from the start on."""
    store: dict[str, Any] = {"directory": str(served.folder / "store")}
    if engine == "postgresql":
        store["url"] = request.getfixturevalue("new_database")
    served.configure(mode="gated", store=store)
    run = healed(served)
    served.command("pause", "rule:web/down", "--reason", "release day")
    wait_for_seals(served, 7)
    file = served.folder / "journal"
    whole = served.command("audit", "export", "-f", str(file))
    of_run = exported(served, "--run", run[-6:])[1:]
    live = served.command("audit", "verify")
    series = served.series()
    code = served.stop()
    offline = served.command("audit", "verify", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    (head,) = re.findall(r"^head: (\d+):([0-9a-f]{64})$", live.stdout, re.MULTILINE)

    assert ["asked", "approved", "started", "finished", "ended"] == [one["what"] for one in of_run]
    assert {one["digest"] for one in of_run[:4]} == {of_run[0]["digest"]}
    assert ("admin", "admin") == (of_run[1]["who"], of_run[1]["via"])
    assert ("done", "healed") == (of_run[3]["outcome"], of_run[4]["outcome"])
    assert [*["service started"], *[one["what"] for one in of_run], "paused"] == [one["what"] for one in lines[1:]]
    assert (0, 0, 0, 0) == (whole.returncode, live.returncode, offline.returncode, code)
    assert live.stdout == offline.stdout
    assert "verified: 7 entries" in live.stdout
    assert (int(head[0]), int(head[1][:12], 16)) == (
        series["remediator_audit_sealed"],
        series["remediator_audit_head"],
    )
    assert "audit_head" in served.log()
    assert 0o600 == (served.folder / "store" / "audit-key").stat().st_mode & 0o777


def change(db: sqlite3.Connection) -> None:
    db.execute("UPDATE audit SET body = replace(body, 'approved', 'denied') WHERE body LIKE '%approved%'")


def destroy(db: sqlite3.Connection) -> None:
    db.execute("UPDATE audit SET body = 'x' WHERE place = 3")


def remove(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM audit WHERE place = 3")


def cut(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM audit WHERE place > 4")


def behead(db: sqlite3.Connection) -> None:
    """As if what was older had been dropped."""
    db.execute("DELETE FROM audit WHERE place < 3")
    db.execute("UPDATE audit SET body = '' WHERE place = 3")


def test_whoever_changes_the_store_is_found_out(served: Served, tmp_path: Path) -> None:
    """Each of these was done with the rights of the store's owner; that the end was cut off shows by the head.

    The service has noted one, or somebody else has.
    """
    served.configure(mode="gated")
    healed(served)
    wait_for_seals(served, 6)
    (head,) = re.findall(r"^head: (\S+)$", served.command("audit", "verify").stdout, re.MULTILINE)

    def after(tamper: Callable[[sqlite3.Connection], None], *more: str) -> tuple[int, str]:
        with closing(sqlite3.connect(tmp_path / "store" / "remediator.sqlite3", isolation_level=None)) as db:
            rows = db.execute("SELECT * FROM audit").fetchall()
            tamper(db)
            done = served.command("audit", "verify", *more)
            db.execute("DELETE FROM audit")
            db.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        return done.returncode, done.stderr

    found = {tamper: after(tamper) for tamper in (change, destroy, remove, cut, behead)}

    assert (0, "") == after(lambda _db: None, "--head", head)
    assert {change: 1, destroy: 1, remove: 1, cut: 1, behead: 1} == {one: code for one, (code, _) in found.items()}
    assert "place 3 (denied, " in found[change][1]
    assert "is not what was sealed there" in found[change][1]
    assert "place 3 (unreadable, " in found[destroy][1]
    assert "place 3 is missing" in found[remove][1]
    assert "no sealed entry proves that it was cut there" in found[behead][1]
    assert "the newest are missing" in found[cut][1]
    (tmp_path / "store" / "audit-head").unlink()
    assert 0 == after(cut)[0]
    assert "the newest are missing" in after(cut, "--head", head)[1]


def test_what_was_done_to_it_while_the_service_was_down_is_told_until_it_is_settled(
    served: Served, tmp_path: Path
) -> None:
    """By readiness, which it does not take away, and by the doctor; the file that is removed settles it at once."""
    served.configure()
    served.start()
    served.command("pause", "everything", "--reason", "release day")
    wait_for_seals(served, 2)
    served.stop()
    with closing(sqlite3.connect(tmp_path / "store" / "remediator.sqlite3", isolation_level=None)) as db:
        db.execute("DELETE FROM audit WHERE place > 2")
    (tmp_path / "store" / "audit-key").unlink()
    served.start()

    def told() -> list[str]:
        return [check["detail"] for check in served.readiness()[1]["checks"] if check["name"] == "audit"]

    services.wait_until(lambda: told() != [], "readiness to tell it")
    doctor = served.command("doctor")
    log, (said,) = served.log(), told()
    (tmp_path / "store" / "audit-head").unlink()
    services.wait_until(lambda: told() == [], "it to be settled")
    accepted = [one["detail"] for one in exported(served)[1:] if one["what"] == "journal accepted"]

    assert "the entry at place 3 (" in said
    assert "entries were sealed with the key " in said
    assert ("audit_chain_broken" in log, "audit_key_changed" in log) == (True, True)
    assert 1 == doctor.returncode
    assert "problem  audit journal: the entry at place 3 (" in doctor.stdout
    assert [True] == [said.startswith(detail) for detail in accepted]
    assert "audit journal" not in served.command("doctor").stdout
