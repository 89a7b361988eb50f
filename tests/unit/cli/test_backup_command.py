"""`remediator backup` says what it did, or what is wrong, and ends accordingly."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from remediator.cli import main
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.storage.sqlite import SqliteStore


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A folder with settings and the store that they name."""
    store = SqliteStore(tmp_path / "store", clock=SystemClock(), metrics=Metrics())
    await store.open()
    await store.close()
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"store": {"directory": "store"}}))
    return tmp_path


def call(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["-c", str(folder / "settings.yaml"), "backup", *arguments])


def test_it_says_what_it_made(folder: Path) -> None:
    """A timer's log is to tell it."""
    file = folder / "copy"
    done = call(folder, str(file))

    assert (0, f"{file}: 0.2 MiB, whole and looked through\n") == (done.exit_code, done.stdout)
    with closing(sqlite3.connect(file)) as db:
        assert (0,) == db.execute("SELECT count(*) FROM run").fetchone()


def test_what_must_not_be_done_is_a_mistake_of_the_command_line(folder: Path) -> None:
    """2 as for every other one."""
    done = call(folder, "--force", str(folder / "store" / "remediator.sqlite3"))

    assert 2 == done.exit_code
    assert "is in the store's own folder; a backup belongs elsewhere" in done.stderr


def test_what_could_not_be_done_is_a_finding(folder: Path) -> None:
    """1, so that a timer fails."""
    done = call(folder, str(folder / "away" / "copy"))

    assert 1 == done.exit_code
    assert "cannot be written: No such file or directory" in done.stderr


def test_a_store_in_postgresql_is_backed_up_with_its_own_tools(folder: Path) -> None:
    """A backup of the empty folder beside it would be found out when it is needed."""
    (folder / "settings.yaml").write_text(yaml.safe_dump({"store": {"url": "postgresql://me@127.0.0.1:5432/r"}}))
    done = call(folder, str(folder / "copy"))

    assert 2 == done.exit_code
    assert "pg_dump" in done.stderr
    assert not (folder / "copy").exists()
