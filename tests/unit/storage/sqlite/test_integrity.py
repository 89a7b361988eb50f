"""A damaged store is refused with what to do; looking for damage never takes long."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from remediator.errors import BadSettings
from remediator.kit.metrics import Metrics
from remediator.model.ids import Digest
from remediator.storage.sqlite import SqliteStore
from remediator.storage.sqlite.integrity import find_damage, was_left_open
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PAGE = 4096


def store_in(folder: Path) -> SqliteStore:
    return SqliteStore(folder, clock=VirtualClock(T0), metrics=Metrics())


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """The file of a store that was used and closed, with some hundred pages."""
    store = store_in(tmp_path)
    await store.open()
    await store.remember_rules({Digest(f"{n:064}"): {"pack": "p" * 500} for n in range(1000)})
    await store.close()
    return tmp_path / "remediator.sqlite3"


def overwrite(file: Path, page: int, content: bytes) -> None:
    with file.open("r+b") as handle:
        handle.seek(page * PAGE)
        handle.write(content)


@pytest.mark.parametrize(
    ("page", "content"),
    [(60, b"\xff" * PAGE), (0, b"this is no database" * 10), (3, b"\0" * PAGE)],
    ids=["a-page-within", "the-header", "a-page-of-zeros"],
)
async def test_a_damaged_store_is_refused_with_what_to_do(file: Path, page: int, content: bytes) -> None:
    """Going on would act on half a memory, and make the rest worse."""
    overwrite(file, page, content)
    damaged = file.read_bytes()
    store = store_in(file.parent)

    with pytest.raises(BadSettings, match=r"is damaged \(.*put a backup in their place as remediator.sqlite3") as found:
        await store.open()

    await store.close()
    assert "docs/operating.md" in str(found.value)
    assert damaged == file.read_bytes()


async def test_a_store_that_is_whole_is_opened(file: Path) -> None:
    """Looking must not keep anybody out."""
    store = store_in(file.parent)
    with capture_logs() as logs:
        await store.open()
    rule = await store.rule_document(Digest(f"{7:064}"))
    await store.close()

    assert rule is not None
    assert [] == logs


async def test_a_refused_store_can_be_opened_once_a_backup_is_in_its_place(file: Path) -> None:
    """What the message says has to work."""
    kept = file.read_bytes()
    overwrite(file, 60, b"\xff" * PAGE)
    store = store_in(file.parent)
    with pytest.raises(BadSettings):
        await store.open()
    await store.close()

    for part in file.parent.glob("remediator.sqlite3*"):
        part.unlink()
    file.write_bytes(kept)
    again = store_in(file.parent)
    await again.open()
    await again.close()


def test_a_look_without_time_is_cut_short(tmp_path: Path) -> None:
    """A store of many gigabytes must not keep alerts out for minutes."""
    with closing(sqlite3.connect(tmp_path / "big", check_same_thread=False)) as db:
        db.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, body TEXT)")
        count = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
        db.execute(f"INSERT INTO big (body) {count} SELECT hex(randomblob(50)) FROM n")

        assert find_damage(db, within=timedelta(microseconds=1)) is None
        assert "" == find_damage(db, within=timedelta(minutes=5))
        assert (300_000,) == db.execute("SELECT count(*) FROM big").fetchone()


async def test_it_is_seen_whether_the_store_was_closed(file: Path) -> None:
    """After a crash it is looked through for longer."""
    assert not was_left_open(file)
    store = store_in(file.parent)
    await store.open()
    await store.probe()
    assert was_left_open(file)
    await store.close()
    assert not was_left_open(file)
