"""The store's folder, and what is kept in it, is its owner's alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from remediator.kit.metrics import Metrics
from remediator.storage.folder import Folder
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """One that lets everybody read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


async def test_others_may_read_nothing_of_a_new_store(tmp_path: Path) -> None:
    """It holds every alert, and the token that approves plans."""
    path = tmp_path / "around" / "store"
    store = SqliteStore(path, clock=VirtualClock(), metrics=Metrics())
    await store.open()
    try:
        Folder(path).name()
        modes = {one.name: one.stat().st_mode & 0o777 for one in (path.parent, path, *path.iterdir())}
    finally:
        await store.close()

    assert {"lock", "instance", "remediator.sqlite3"} <= set(modes)
    assert {0o700} == {modes.pop("around"), modes.pop("store")}
    assert {0o600} == set(modes.values())


@pytest.mark.parametrize(
    ("entry", "event", "mode"),
    [("lock", "store_folder_was_open_to_others", 0o700), ("mine", "store_folder_is_open_to_others", 0o755)],
)
def test_a_folder_that_is_open_is_closed_or_told(tmp_path: Path, entry: str, event: str, mode: int) -> None:
    """As an earlier version of the doctor has left it; one with something of somebody else is only told."""
    (tmp_path / "store").mkdir(mode=0o755)
    (tmp_path / "store" / entry).touch()
    folder = Folder(tmp_path / "store")
    with capture_logs() as logged:
        folder.hold()
    folder.release()

    assert [event] == [line["event"] for line in logged]
    assert mode == (tmp_path / "store").stat().st_mode & 0o777
