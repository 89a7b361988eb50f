"""What the files client does where others are in the way: openers, other users, the time, late writers."""

import errno
import fcntl
import gzip
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from remediator.clients.files import Files, Place
from remediator.clients.files.compaction import Compaction
from remediator.clients.files.entries import Fields
from remediator.clients.files.rotation import Rotated, Rotation
from remediator.clients.files.walking import Stop, alone
from remediator.errors import Failed, Unavailable
from remediator.settings import FileSettings
from tests.unit.clients.folders import NOW, names_in, names_with_content


def rotation_of(folder: Path, *, seconds: float = 60) -> Rotated:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return Rotation(opened, "wal", "*.wal", 14, NOW, Stop(seconds), 1000).run()
    finally:
        os.close(opened)


def a_large_closed_file(folder: Path) -> bytes:
    content = random.Random(1).randbytes(16 * 1024 * 1024)
    (folder / "a.wal").write_bytes(content)
    os.utime(folder / "a.wal", (1, 1))
    (folder / "b.wal").write_bytes(b"newest")
    return content


def when(is_so: Callable[[], bool], do: Callable[[], None]) -> threading.Thread:
    def watch() -> None:
        end = time.monotonic() + 30
        while not is_so() and time.monotonic() < end:
            os.sched_yield()
        do()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_who_wants_a_file_while_it_is_compressed_gets_it_whole(tmp_path: Path) -> None:
    """It waits for a moment, and then writes to the very file that has its name."""
    content = a_large_closed_file(tmp_path)

    def append() -> None:
        with (tmp_path / "a.wal").open("ab") as out:
            out.write(b"more")

    opener = when((tmp_path / ".a.wal.gz.rotating").exists, append)
    done = rotation_of(tmp_path)
    opener.join()

    assert (("a.wal", "somebody wanted to open it meanwhile"),) == done.skipped
    assert content + b"more" == (tmp_path / "a.wal").read_bytes()
    assert ["a.wal", "b.wal"] == names_in(tmp_path)


def test_a_rotation_ends_with_its_time(tmp_path: Path) -> None:
    """What is not begun then is left, and said."""
    a_large_closed_file(tmp_path)

    assert (("a.wal", "the time was over"),) == rotation_of(tmp_path, seconds=0).skipped
    assert ["a.wal", "b.wal"] == names_in(tmp_path)


def test_a_generation_is_all_of_the_file(tmp_path: Path) -> None:
    """Over many chunks."""
    content = a_large_closed_file(tmp_path)

    assert ("a.wal",) == rotation_of(tmp_path).compressed
    assert content == gzip.decompress((tmp_path / "a.wal.gz").read_bytes())


def test_what_stands_aside_is_not_lost_to_a_new_file_of_its_name(tmp_path: Path) -> None:
    """A writer got hold of it before an earlier rotation was killed, so the `.gz`, moved away since, lacks some."""
    (tmp_path / ".a.wal.rotated").write_bytes(b"only here")
    (tmp_path / "a.wal").write_bytes(b"anew")
    os.utime(tmp_path / "a.wal", (1, 1))
    (tmp_path / "b.wal").write_bytes(b"newest")
    before = names_with_content(tmp_path)

    why = dict(rotation_of(tmp_path).skipped)

    assert before == names_with_content(tmp_path)
    assert why[".a.wal.rotated"].startswith("an earlier rotation set this aside, and its .gz does not have all of it")
    assert why["a.wal"].startswith("an earlier rotation set another file of this name aside")


def right_before(monkeypatch: pytest.MonkeyPatch, call: str, name: str, do: Callable[[], None]) -> None:
    """Lets something happen once, right before a call to the system about a file."""
    real, is_due = getattr(os, call), [True]

    def called(*args: Any, **kwargs: Any) -> Any:
        if is_due and name in args:
            is_due.clear()
            do()
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, called)


def test_a_file_that_its_writer_renames_at_this_moment_is_not_mistaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file of this name is nobody's copy: it must not go as if it were the old one."""
    content = a_large_closed_file(tmp_path)

    def roll() -> None:
        os.replace(tmp_path / "a.wal", tmp_path / "a.1")  # noqa: PTH105 - `rename` is the one that is watched
        (tmp_path / "a.wal").write_bytes(b"anew")

    right_before(monkeypatch, "rename", ".a.wal.rotated", roll)

    assert (("a.wal", "somebody wanted to open it meanwhile"),) == rotation_of(tmp_path).skipped
    assert b"anew" == (tmp_path / "a.wal").read_bytes()
    assert content == (tmp_path / "a.1").read_bytes()


@pytest.mark.parametrize("packed", [b"old", b"other"], ids=["all of it is compressed", "not all of it is"])
def test_what_is_put_back_never_takes_the_place_of_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bytes
) -> None:
    """A writer may begin one at the very moment."""
    (tmp_path / ".a.wal.rotated").write_bytes(b"old")
    (tmp_path / "a.wal.gz").write_bytes(gzip.compress(packed))

    def begin() -> None:
        (tmp_path / "a.wal").write_bytes(b"anew")

    for call in ("rename", "link"):
        right_before(monkeypatch, call, ".a.wal.rotated", begin)
    rotation_of(tmp_path)

    assert b"anew" == (tmp_path / "a.wal").read_bytes()
    assert packed == gzip.decompress((tmp_path / "a.wal.gz").read_bytes())
    assert (packed == b"other") is (tmp_path / ".a.wal.rotated").exists()


def test_a_file_that_has_its_name_back_loses_the_hidden_one(tmp_path: Path) -> None:
    """Killed while it was put back, it has both."""
    (tmp_path / "a.wal").write_bytes(b"all")
    os.link(tmp_path / "a.wal", tmp_path / ".a.wal.rotated")

    assert () == rotation_of(tmp_path).skipped
    assert {"a.wal": b"all"} == names_with_content(tmp_path)


def test_a_compressed_copy_of_somebody_else_is_on_the_disk_before_the_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is about to be all that there is, and a machine can lose its power."""
    a_large_closed_file(tmp_path)
    (tmp_path / "a.wal.gz").write_bytes(gzip.compress((tmp_path / "a.wal").read_bytes(), 1))
    synced: list[int] = []
    real = os.fsync

    def fsync(file: int) -> None:
        synced.append(os.fstat(file).st_ino)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)

    assert ("a.wal",) == rotation_of(tmp_path).compressed
    assert [(tmp_path / "a.wal.gz").stat().st_ino, tmp_path.stat().st_ino] == synced[:2]


@pytest.mark.parametrize("bad", ["a directory of its copy's name", "another's lease"])
def test_one_file_that_cannot_be_done_does_not_keep_the_others(tmp_path: Path, bad: str) -> None:
    """Anybody who may write to the folder could stop all rotation, until the disk is full."""
    for name in ("a.wal", "aa.wal"):
        (tmp_path / name).write_bytes(b"x" * len(name))
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / "b.wal").write_bytes(b"newest")
    held = os.open(tmp_path / "a.wal", os.O_RDONLY)
    if bad == "another's lease":
        fcntl.fcntl(held, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        said = "rotate wal/a.wal"
    else:
        (tmp_path / ".a.wal.gz.rotating").mkdir()
        os.close(held)
        said = "rotate wal/a.wal: File exists (.a.wal.gz.rotating)"

    found = rotation_of(tmp_path)
    if bad == "another's lease":
        os.close(held)

    assert ("aa.wal",) == found.compressed
    assert ["a.wal"] == [name for name, _ in found.skipped]
    assert said in found.skipped[0][1] or "open wal/a.wal" in found.skipped[0][1]


def test_a_generation_that_cannot_be_deleted_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with a flag that forbids it, such as `chattr +i`."""
    a_large_closed_file(tmp_path)
    for n in range(16):
        (tmp_path / f"{n:02}.wal.gz").write_bytes(gzip.compress(b""))
        os.utime(tmp_path / f"{n:02}.wal.gz", (n, n))

    def forbid() -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    right_before(monkeypatch, "unlink", "00.wal.gz", forbid)
    found = rotation_of(tmp_path)

    assert ("01.wal.gz",) == found.deleted
    assert ("a.wal",) == found.compressed
    assert ["00.wal.gz"] == [name for name, _ in found.skipped]
    assert "look with `lsattr` for a flag" in found.skipped[0][1]


def test_many_generations_are_gone_through_soon(tmp_path: Path) -> None:
    """Hourly logs of two years: each was compared with each, for a minute and more."""
    for n in range(6000):
        (tmp_path / f"{n:05}.wal.gz").touch()
        os.utime(tmp_path / f"{n:05}.wal.gz", (n, n))
    opened = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    rotation = Rotation(opened, "wal", "*.wal", 14, NOW, Stop(60), 10_000)
    before = time.thread_time()
    found = rotation.run()
    spent = time.thread_time() - before
    os.close(opened)

    assert 5986 == len(found.deleted)
    assert spent < 1.5


@pytest.mark.parametrize("seconds", [-5, 2**33])
def test_a_file_may_be_of_any_time(tmp_path: Path, seconds: int) -> None:
    """Whoever may write to a file can say when that was."""
    a_large_closed_file(tmp_path)
    os.utime(tmp_path / "a.wal", (seconds, seconds))
    os.utime(tmp_path / "b.wal", (seconds + 9, seconds + 9))

    assert ("a.wal",) == rotation_of(tmp_path).compressed
    assert seconds == (tmp_path / "a.wal.gz").stat().st_mtime


@pytest.mark.parametrize("kind", ["rotate", "compact"])
def test_without_leases_nothing_is_done(tmp_path: Path, kind: str) -> None:
    """Another user's files: whether they are open cannot be known, so they stay, and the text says what to do."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    (tmp_path / "a.wal").write_bytes(b'{"id": 1, "ts": 5, "acked": true}\n')
    os.utime(tmp_path / "a.wal", (1, 1))
    (tmp_path / "b.wal").write_bytes(b"newest")
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    tmp_path.chmod(0o777)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            if kind == "rotate":
                Rotation(folder, "wal", "*.wal", 14, NOW, Stop(60), 1000).run()
            else:
                Compaction(folder, "a.wal", "wal/a.wal", Fields("id", "ts", "acked", NOW), Stop(60), 1000).run()
        except Failed as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.close(writing)
    os.close(folder)
    os.waitpid(child, 0)
    said = os.read(reading, 10_000).decode()
    os.close(reading)

    assert "whether it is in use cannot be found out (Permission denied); run remediator as the owner" in said
    assert ["a.wal", "b.wal"] == names_in(tmp_path)


def test_two_changes_of_one_folder_exclude_each_other(tmp_path: Path) -> None:
    """One that was given up may still be at work on its thread."""
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with alone(folder, "wal"), pytest.raises(Unavailable, match="worked on by another step"):
            rotation_of(tmp_path)
    finally:
        os.close(folder)
    assert () == rotation_of(tmp_path).compressed


async def test_work_that_is_given_up_ends(tmp_path: Path) -> None:
    """A closed client takes no more, and what is under way stops at its next look."""
    (tmp_path / "log").write_bytes(b"x\n" * 1_000_000)
    files = Files(FileSettings(roots={"wal": tmp_path}))
    files._closing.set()

    with pytest.raises(Failed, match="given up, its time was over"):
        await files.tail(Place("wal", ("log",)), 10)

    await files.close()


async def test_entries_that_are_huge_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Read, a line of brackets takes 30 times its size; and who sends something to a service writes its lines."""
    small = b'{"id": 1}\n'
    (tmp_path / "a.wal").write_bytes(small + b'{"pad": "%s"}\n' % (b"x" * 100_000) * 6)
    (tmp_path / "b.wal").write_bytes(b'{"a": [%s]}\n' % b",".join([b"[]"] * 200_000) + small)
    os.utime(tmp_path / "a.wal", (1, 1))
    files = Files(FileSettings(roots={"wal": tmp_path}))

    found = await files.entries(Place("wal", ()), "*.wal", 100)
    await files.close()

    assert ["pad"] * 5 + ["id"] == [next(iter(entry)) for entry in found.entries]
    assert 1 == found.unreadable


async def test_a_place_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """Whoever calls it."""
    files = Files(FileSettings(roots={"wal": tmp_path}))
    with pytest.raises(Failed, match="wal is a folder; name a file in it by `path`"):
        await files.tail(Place("wal", ()), 1)
    with pytest.raises(Failed, match="not a path beneath a root"):
        Place.at("wal", "../x")
    with pytest.raises(Failed, match="wal is a folder"):
        await files.compact(Place("wal", ()), Fields("id", "ts", "acked", NOW), seen="", within=timedelta(seconds=9))
    await files.close()


@pytest.mark.parametrize(
    ("roots", "said"),
    [
        ({"a/b": "/x"}, "cannot name a folder"),
        ({"": "/x"}, "cannot name a folder"),
        ({"wal": "data"}, "is not a whole path"),
    ],
)
def test_roots_are_whole_paths_by_plain_names(roots: dict[str, str], said: str) -> None:
    """The names stand in rules and targets; a relative path would mean another folder elsewhere."""
    with pytest.raises(ValidationError, match=said):
        FileSettings.model_validate({"roots": roots})
