"""A backup is whole or not there, nobody else's to read, and never in the way of the store."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediator.errors import Failed, Mistaken
from remediator.kit.metrics import Metrics
from remediator.model.ids import Digest
from remediator.storage.sqlite import SqliteStore
from remediator.storage.sqlite.backup import back_up
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RULES = {Digest(f"{n:064}"): {"pack": "p" * 500} for n in range(1000)}


def store_in(folder: Path) -> SqliteStore:
    return SqliteStore(folder, clock=VirtualClock(T0), metrics=Metrics())


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """The folder of a store that was used and closed."""
    store = store_in(tmp_path / "store")
    await store.open()
    await store.remember_rules(RULES)
    await store.close()
    return tmp_path / "store"


def count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as db:
        rows: int = db.execute("SELECT count(*) FROM rule").fetchone()[0]
    return rows


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_store_at_rest_is_copied_as_one_file(folder: Path, tmp_path: Path) -> None:
    """One file can be copied, encrypted and moved with any tool."""
    size = back_up(folder, tmp_path / "copy", force=False)

    assert 1000 == count(tmp_path / "copy")
    assert size == (tmp_path / "copy").stat().st_size
    assert 0o600 == stat.S_IMODE((tmp_path / "copy").stat().st_mode)
    assert ["copy", "store"] == names(tmp_path)


async def test_a_backup_put_in_place_is_the_store(folder: Path, tmp_path: Path) -> None:
    """A backup that cannot be restored is none."""
    back_up(folder, tmp_path / "copy", force=False)
    (tmp_path / "new").mkdir()
    (tmp_path / "copy").rename(tmp_path / "new" / "remediator.sqlite3")
    store = store_in(tmp_path / "new")
    await store.open()
    await store.probe()
    found = await store.rule_document(Digest(f"{999:064}"))
    await store.close()

    assert {"pack": "p" * 500} == found


async def test_a_store_in_use_is_copied_with_what_is_in_its_log_only(folder: Path, tmp_path: Path) -> None:
    """What was committed last is the most wanted."""
    store = store_in(folder)
    await store.open()
    await store.remember_rules({Digest("new"): {}})
    back_up(folder, tmp_path / "copy", force=False)
    await store.probe()
    await store.close()

    assert 1001 == count(tmp_path / "copy")


def test_what_is_there_is_replaced_only_by_force(folder: Path, tmp_path: Path) -> None:
    """Yesterday's backup may be the good one."""
    target = tmp_path / "copy"
    target.write_text("yesterday's")
    target.chmod(0o644)

    with pytest.raises(Mistaken, match="is there already; name another file, or have it replaced with --force"):
        back_up(folder, target, force=False)
    assert "yesterday's" == target.read_text()

    back_up(folder, target, force=True)
    assert 1000 == count(target)
    assert 0o600 == stat.S_IMODE(target.stat().st_mode)


PLACES: dict[str, Callable[[Path], Path]] = {
    "the-store": lambda folder: folder / "remediator.sqlite3",
    "its-log": lambda folder: folder / "remediator.sqlite3-wal",
    "the-token": lambda folder: folder / "admin-token",
    "anything-beside-it": lambda folder: folder / "backup",
    "by-a-detour": lambda folder: folder / ".." / folder.name / "lock",
    "by-a-link-of-the-folder": lambda folder: folder.parent / "link" / "backup",
    "by-a-link-of-the-file": lambda folder: folder.parent / "file-link",
    "by-a-hard-link": lambda folder: folder.parent / "hard-link",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_the_folder_of_the_store_is_refused_even_by_force(folder: Path, place: Callable[[Path], Path]) -> None:
    """`--force` over the store itself would lose everything."""
    (folder.parent / "link").symlink_to(folder)
    (folder.parent / "file-link").symlink_to(folder / "remediator.sqlite3")
    os.link(folder / "remediator.sqlite3", folder.parent / "hard-link")
    before = names(folder)

    with pytest.raises(Mistaken, match=r"store's own folder|store itself"):
        back_up(folder, place(folder), force=True)

    assert before == names(folder)
    assert 1000 == count(folder / "remediator.sqlite3")


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_not_a_file(folder: Path, tmp_path: Path, *, force: bool) -> None:
    """People name the folder for their backups and expect a file in it; they are told."""
    (tmp_path / "backups").mkdir()

    with pytest.raises(Mistaken, match="is not a file; name one"):
        back_up(folder, tmp_path / "backups", force=force)


def test_a_place_that_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    """A volume that is not mounted is the usual reason."""
    with pytest.raises(Failed, match="cannot be written: No such file or directory; name a file in a folder"):
        back_up(folder, tmp_path / "away" / "copy", force=False)


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    """An empty backup of the wrong folder would be found out when it is needed."""
    with pytest.raises(Mistaken, match="there is no store in"):
        back_up(tmp_path / "nowhere", tmp_path / "copy", force=False)

    assert [] == names(tmp_path)


def test_a_damaged_store_leaves_the_last_backup_alone(folder: Path, tmp_path: Path) -> None:
    """It is the one that is needed now."""
    target = tmp_path / "copy"
    back_up(folder, target, force=False)
    with (folder / "remediator.sqlite3").open("r+b") as handle:
        handle.seek(60 * 4096)
        handle.write(b"\xff" * 4096)

    with pytest.raises(Failed, match="is damaged"):
        back_up(folder, target, force=True)

    assert 1000 == count(target)
    assert ["copy", "store"] == names(tmp_path)


def test_a_circle_of_links_is_told(folder: Path, tmp_path: Path) -> None:
    """Not by a trace."""
    (tmp_path / "round").symlink_to(tmp_path / "round")

    with pytest.raises(Failed, match="cannot be looked at"):
        back_up(folder, tmp_path / "round" / "copy", force=False)
