"""`files.rotate`: what is compressed, what goes, and what stays."""

import gzip
import os
from pathlib import Path

import pytest

from remediator.actions import files
from remediator.clients import Clients
from tests.unit.actions.files.calling import act, names_in


async def inbox(root: Path, count: int = 4) -> dict[str, bytes]:
    """Inbox files, the oldest first."""
    made = {f"inbox-{n}.wal": b"entry %d\n" % n * 1000 for n in range(count)}
    for n, (name, content) in enumerate(made.items()):
        (root / name).write_bytes(content)
        (root / name).chmod(0o640)
        os.utime(root / name, (1_700_000_000 + n, 1_700_000_000 + n))
    return made


async def test_closed_files_are_compressed_and_the_newest_stays(clients: Clients, root: Path) -> None:
    """With owner, mode and time, by which generations are told apart."""
    made = await inbox(root)
    found = await act(clients, files.rotate, pattern="inbox-*.wal")

    assert ("inbox-0.wal", "inbox-1.wal", "inbox-2.wal") == found.compressed
    assert found.bytes_freed > 10_000
    assert {"inbox-0.wal.gz", "inbox-1.wal.gz", "inbox-2.wal.gz", "inbox-3.wal"} == names_in(root)
    for name in found.compressed:
        packed = root / f"{name}.gz"
        assert made[name] == gzip.decompress(packed.read_bytes())
        assert 0o100640 == packed.stat().st_mode
    assert 1_700_000_001 == (root / "inbox-1.wal.gz").stat().st_mtime
    assert "there was nothing to rotate" == (await act(clients, files.rotate, pattern="inbox-*.wal")).brief()


@pytest.mark.parametrize("mode", ["rb", "ab"])
async def test_a_file_that_somebody_has_open_stays(clients: Clients, root: Path, mode: str) -> None:
    """A writer that holds it would go on into a file that is gone; a reader may need it yet."""
    await inbox(root)
    with (root / "inbox-1.wal").open(mode):
        found = await act(clients, files.rotate, pattern="inbox-*.wal")

    assert ("inbox-0.wal", "inbox-2.wal") == found.compressed
    assert [("inbox-1.wal", "somebody has it open")] == [(one.name, one.why) for one in found.skipped]
    assert "1 left (inbox-1.wal: somebody has it open)" in found.brief()
    assert "left inbox-1.wal: somebody has it open" in found.detail()


async def test_old_generations_go_and_what_is_not_compressed_yet_never(clients: Clients, root: Path) -> None:
    """As logrotate counts: the newest stay."""
    await inbox(root, 4)
    for n in range(4):
        (root / f"inbox-old{n}.wal.gz").write_bytes(gzip.compress(b"%d" % n))
        os.utime(root / f"inbox-old{n}.wal.gz", (1_600_000_000 + n, 1_600_000_000 + n))
    (root / "other.gz").touch()

    first = await act(clients, files.rotate, pattern="inbox-*.wal", keep=5)
    second = await act(clients, files.rotate, pattern="inbox-*.wal", keep=1)

    assert ("inbox-old1.wal.gz", "inbox-old0.wal.gz") == first.deleted
    assert 3 == len(first.compressed)
    assert {"inbox-2.wal.gz", "inbox-3.wal", "other.gz"} == names_in(root)
    assert 4 == len(second.deleted)


async def test_a_young_generation_stays_however_many_there_are(clients: Clients, root: Path) -> None:
    """Many files closed in one bad hour are not old, and a rotation that is repeated deletes no more than the first."""
    for n in range(20):
        (root / f"inbox-{n:02}.wal").write_bytes(b"%d" % n)

    first = await act(clients, files.rotate, pattern="inbox-*.wal", keep=3)
    second = await act(clients, files.rotate, pattern="inbox-*.wal", keep=3)
    third = await act(clients, files.rotate, pattern="inbox-*.wal", keep=3, min_age="0s")

    assert (19, 0, 0) == (len(first.compressed), len(first.deleted), len(second.deleted))
    assert 16 == len(third.deleted)


async def test_what_an_earlier_rotation_left_is_finished(clients: Clients, root: Path) -> None:
    """A kill leaves one of these; none of them may cost an entry."""
    made = await inbox(root, 6)
    (root / ".inbox-0.wal.gz.rotating").write_bytes(b"half")
    (root / "inbox-1.wal.gz").write_bytes(gzip.compress(made["inbox-1.wal"]))  # complete, beside its original
    (root / "inbox-2.wal.gz").write_bytes(gzip.compress(made["inbox-2.wal"][:50]))  # the original has grown since
    (root / "inbox-3.wal.gz").write_bytes(gzip.compress(b"something else"))
    (root / "inbox-4.wal").rename(root / ".inbox-4.wal.rotated")
    (root / ".inbox-9.wal.gz.rotating").write_bytes(b"whose original nobody has seen")

    found = await act(clients, files.rotate, pattern="inbox-*.wal")

    assert ("inbox-0.wal", "inbox-1.wal", "inbox-2.wal", "inbox-4.wal") == found.compressed
    assert ["inbox-3.wal"] == [one.name for one in found.skipped]
    assert "a .gz with other content is there already" in found.skipped[0].why
    for name in found.compressed:
        assert made[name] == gzip.decompress((root / f"{name}.gz").read_bytes())
    assert made["inbox-3.wal"] == (root / "inbox-3.wal").read_bytes()
    assert {".inbox-9.wal.gz.rotating"} == {name for name in names_in(root) if name.startswith(".")}


async def test_a_file_set_aside_goes_only_when_all_of_it_is_compressed(clients: Clients, root: Path) -> None:
    """A writer has begun a new file under its name."""
    await inbox(root, 3)
    (root / ".inbox-0.wal.rotated").write_bytes(b"a")
    (root / ".inbox-1.wal.rotated").write_bytes(b"b")
    (root / "inbox-0.wal.gz").write_bytes(gzip.compress(b"a"))
    (root / "inbox-1.wal.gz").write_bytes(b"no gzip at all")

    found = await act(clients, files.rotate, pattern="inbox-*.wal")

    assert not (root / ".inbox-0.wal.rotated").exists()
    assert b"b" == (root / ".inbox-1.wal.rotated").read_bytes()
    assert ".inbox-1.wal.rotated" in [one.name for one in found.skipped]
