"""Rotating and compacting on a disk that is really full, beside a writer, and killed at every call to the system."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import files
from remediator.errors import Failed
from tests import full_disk, services
from tests.killing import call
from tests.served import ROOT, environment


def killed(scenario: str, folder: Path, seed: int) -> dict[str, Any]:
    """What `tests.killing` reports."""
    argv = [sys.executable, "-m", "tests.killing", scenario, str(folder), str(seed)]
    done = subprocess.run(argv, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=280, check=False)
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("scenario", ["rotate", "compact", "late"])
def test_a_kill_at_any_call_to_the_system_loses_nothing(tmp_path: Path, scenario: str) -> None:
    """The next one finishes what is left; `late`: a writer got hold of the old outbox before a kill."""
    with full_disk.small_disk(tmp_path / "disk", 4) as disk:
        report = killed(scenario, disk, seed=11)

    assert [] == report["problems"]
    assert report["calls"] > 20
    assert report["calls"] <= report["kills"]


def test_kills_beside_a_writer_lose_none_of_its_entries(tmp_path: Path) -> None:
    """It opens the outbox for each entry, so at any moment one may be about to be written to the old file."""
    (tmp_path / "outbox").mkdir()
    report = killed("writer", tmp_path / "outbox", seed=12)

    assert [] == report["problems"]
    assert report["kills"] > 5
    assert report["calls"] > 100


def test_a_full_disk_is_rotated_while_a_writer_writes(tmp_path: Path) -> None:
    """Old generations go first, so that there is room for the first copy; each copy makes room for the next."""
    with full_disk.small_disk(tmp_path / "disk", 4) as disk:
        names = full_disk.old_generations(disk, 20, 40_000)
        with full_disk.writer(disk, tmp_path) as writer:
            services.wait_until(lambda: writer.value("flk_wal_errors") > 3, "the disk to be full")
            closed = sorted(path.name for path in disk.glob("inbox-*.wal"))[:-1]
            done = call(files.rotate, disk, pattern="inbox-*.wal", keep=len(closed) + 14)
            errors, written = writer.value("flk_wal_errors"), writer.value("flk_wal_written")
            services.wait_until(lambda: writer.value("flk_wal_written") > written + 20, "the writer to go on")
            errors = writer.value("flk_wal_errors") - errors

        assert isinstance(done, files.RotatedFiles)
        assert names[:6] == sorted(done.deleted)
        assert set(closed) == set(done.compressed)
        assert () == done.skipped
        assert done.bytes_freed > 1024 * 1024
        assert errors <= 1  # one may have been under way
        assert set() == writer.lost()


def test_a_full_disk_on_which_nothing_can_be_freed_is_told_with_its_numbers(tmp_path: Path) -> None:
    """Nobody is helped by a step that says that it worked."""
    with full_disk.small_disk(tmp_path / "disk", 1) as disk, full_disk.writer(disk, tmp_path) as writer:
        services.wait_until(lambda: writer.value("flk_wal_errors") > 0, "the disk to be full")
        writer.stop()
        full_disk.fill(disk / "ballast")
        before = {path.name: path.read_bytes() for path in disk.iterdir()}

        with pytest.raises(Failed, match=r"nothing could be freed\. 0 bytes are free, .* closed files \("):
            call(files.rotate, disk, pattern="inbox-*.wal")

        assert before == {path.name: path.read_bytes() for path in disk.iterdir()}
        assert set() == writer.lost()


def test_an_outbox_that_cannot_be_copied_stays_as_it_is(tmp_path: Path) -> None:
    """A compaction needs room for what stays; without it nothing happens and nothing is left over."""
    with full_disk.small_disk(tmp_path / "disk", 1) as disk:
        stays = b'{"id": "a", "ts": 1, "pad": "%s"}\n' % (b"x" * 600_000)
        (disk / "outbox.wal").write_bytes(stays + b'{"id": "b", "ts": 1, "acked": true}\n')

        with pytest.raises(Failed, match="No space left on device; free some space first"):
            call(files.compact, disk, path="outbox.wal")

        assert ["outbox.wal"] == [path.name for path in disk.iterdir()]
        assert stays == (disk / "outbox.wal").read_bytes()[: len(stays)]
