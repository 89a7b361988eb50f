"""How an outbox is compacted: what happens meanwhile, what is left of one that was killed, and how lines are read."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from remediator.clients.files.compaction import Compaction, _Late
from remediator.clients.files.entries import Fields, lines_of
from remediator.clients.files.walking import Stop
from remediator.errors import Failed, RemediatorError
from tests.unit.clients.folders import NOW, names_in, names_with_content


def compaction_of(folder: Path, stop: Stop | None = None) -> tuple[int, int]:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fields = Fields("id", "ts", "acked", NOW)
        done = Compaction(opened, "o", "wal/o", fields, stop or Stop(60), 1000).run()
    finally:
        os.close(opened)
    return done.kept, done.dropped


class Meanwhile(Stop):
    """Lets something happen once while the copy is made."""

    def __init__(self, folder: Path, appended: bytes) -> None:
        super().__init__(60)
        self._folder, self._appended = folder, appended

    def check(self, what: str) -> None:
        super().check(what)
        if self._appended and (self._folder / ".o.compacting").exists():
            self.append()
            self._appended = b""

    def append(self) -> None:
        with (self._folder / "o").open("ab") as out:
            out.write(self._appended)


@pytest.mark.parametrize(
    ("appended", "stays", "counts"),
    [
        (b'{"id": 7, "ts": 6}\n', b'{"id": 7, "ts": 5, "acked": true}\n{"id": 7, "ts": 6}\n', (2, 1)),
        (b'{"id": 7, "ts"', b'{"id": 7, "ts"', (0, 2)),
        (b'{"id": 9}\n', b'{"id": 9}\n', (0, 2)),
    ],
    ids=["about an id that was to go", "half a line", "another entry"],
)
def test_what_is_appended_meanwhile_stays(
    tmp_path: Path, appended: bytes, stays: bytes, counts: tuple[int, int]
) -> None:
    """Where it is about an entry that was to go, that entry is open again, and all of it stays."""
    (tmp_path / "o").write_bytes(b'{"id": 7, "ts": 5, "acked": true}\n{"id": 8, "ts": 5, "acked": true}\n')

    assert counts == compaction_of(tmp_path, Meanwhile(tmp_path, appended))
    assert stays == (tmp_path / "o").read_bytes()
    assert ["o"] == names_in(tmp_path)


def test_an_outbox_that_is_rewritten_meanwhile_stays(tmp_path: Path) -> None:
    """A writer that does more than append is not what this is made for; its new entries are not lost all the same."""
    (tmp_path / "o").write_bytes(b'{"id": 7, "ts": 5, "acked": true}\n{"id": 8, "ts": 6}\n')
    anew = b'{"id": 1001, "ts": 6}\n{"id": 1002, "ts": 6}\n{"id": 1003, "ts": 6}\n{"id": 1004, "ts": 6}\n'

    class Rewritten(Meanwhile):
        def append(self) -> None:
            (tmp_path / "o").write_bytes(anew)

    with pytest.raises(Failed, match="was rewritten by somebody meanwhile; nothing was done"):
        compaction_of(tmp_path, Rewritten(tmp_path, b"something"))

    assert {"o": anew} == names_with_content(tmp_path)


def test_an_outbox_that_is_replaced_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while the folder is synced, which takes a while on a busy disk."""
    (tmp_path / "o").write_bytes(b'{"id": 7, "ts": 5, "acked": true}\n')
    real, folder = os.fsync, tmp_path.stat().st_ino

    def fsync(file: int) -> None:
        if os.fstat(file).st_ino == folder:
            (tmp_path / "made").write_bytes(b'{"id": 9}\n')
            (tmp_path / "made").replace(tmp_path / "o")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(Failed, match="was replaced by somebody meanwhile"):
        compaction_of(tmp_path)

    assert {"o": b'{"id": 9}\n'} == names_with_content(tmp_path)


def test_what_went_wrong_first_is_told_where_it_cannot_be_cleared_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first error is the one to mend; what it has left goes with the next compaction."""
    (tmp_path / "o").write_bytes(b'{"id": 7, "ts": 5, "acked": true}\nline\n')
    left = [f".o.compacted-39-5-{(tmp_path / 'o').stat().st_ino}", ".o.compacting"]
    real = os.unlink

    def rename(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(errno.EIO, "the disk is ill")

    def unlink(name: Any, **kwargs: Any) -> None:
        if name in left and (tmp_path / name).exists():
            raise OSError(errno.EACCES, "forbidden by now")
        real(name, **kwargs)

    with monkeypatch.context() as ill:
        ill.setattr(os, "rename", rename)
        ill.setattr(os, "unlink", unlink)
        with pytest.raises(RemediatorError, match="the disk is ill"):
            compaction_of(tmp_path)
    before = names_in(tmp_path)

    assert [*left, "o"] == before
    assert (1, 1) == compaction_of(tmp_path)
    assert {"o": b"line\n"} == names_with_content(tmp_path)


def test_a_hidden_file_with_numbers_beyond_reason_is_not_ours(tmp_path: Path) -> None:
    """Anybody may put one there; it must not break the step."""
    (tmp_path / "o").write_bytes(b"line\n")
    (tmp_path / f".o.compacted-0-{'9' * 30}-1").write_bytes(b"x\n")

    assert (1, 0) == compaction_of(tmp_path)


def test_leftovers_of_a_compaction_that_was_killed_are_cleared(tmp_path: Path) -> None:
    """A copy without its rename, and a second name of the file that is still in place."""
    (tmp_path / "o").write_bytes(b"line\n")
    (tmp_path / ".o.compacting").write_bytes(b"half")
    os.link(tmp_path / "o", tmp_path / f".o.compacted-5-0-{(tmp_path / 'o').stat().st_ino}")
    (tmp_path / ".other.compacting").write_bytes(b"not ours")

    assert (1, 0) == compaction_of(tmp_path)
    assert [".other.compacting", "o"] == names_in(tmp_path)


@pytest.mark.parametrize(
    ("there", "base", "late", "is_in"),
    [
        (b"a\nb\n", 2, b"b\n", True),
        (b"a\nb\n", 4, b"b\n", False),
        (b"b\n", 0, b"b\n", True),
        (b"a\nxb\n", 2, b"b\n", False),
        (b"a\nhalf line\n", 6, b" line\n", True),
        (b"a\nx\nlate\ny\n", 2, b"late\n", True),
        (b"a\nx\nlat", 2, b"late\n", False),
        (b"", 0, b"b\n", False),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_late_lines_are_found_where_they_were_merged(
    there: bytes, base: int, late: bytes, is_in: bool, size: int
) -> None:
    """As lines of their own, however the file is read: else they would stand there twice."""
    rest = there[max(base - 1, 0) :]
    chunks = (rest[at : at + size] for at in range(0, len(rest), size))

    assert is_in is _Late(late, base).is_in(chunks, at_start=base == 0)


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_lines_together_are_the_file(size: int) -> None:
    """Byte for byte, whatever it is cut into."""
    content = b'\n\n{"a": 1}\r\nx\0\xff\nlast'
    lines = list(lines_of(content[at : at + size] for at in range(0, len(content), size)))

    assert content == b"".join(line.raw for line in lines)
    assert [True, True, True, True, False] == [line.is_whole for line in lines]


def test_a_line_that_is_too_long_is_passed_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not fill the memory."""
    monkeypatch.setattr("remediator.clients.files.entries.LONGEST_LINE", 10)
    lines = list(lines_of(iter([b"x" * 8, b"x" * 8, b"x\nshort\n"])))

    assert b"x" * 17 + b"\nshort\n" == b"".join(line.raw for line in lines)
    assert [False, False, True] == [line.is_whole for line in lines]
