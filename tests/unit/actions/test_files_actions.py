"""The files actions: what they find and do, what they say, and that nothing leads out of the roots."""

import gzip
import os
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from remediator.actions import files
from remediator.actions.counting import Counted
from remediator.clients import Clients
from remediator.clients.files import Found
from remediator.documents import fields_of
from remediator.errors import Failed, NotAllowed, RemediatorError, TargetGone
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.target import Target
from remediator.plugins import Action, ActionContext, Actions, Result
from remediator.settings import FileSettings, Settings

_ALL = [files.disk, files.list_files, files.tail, files.count, files.json_lines, files.rotate, files.compact]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
async def clients(root: Path) -> AsyncIterator[Clients]:
    made = Clients(Settings(files=FileSettings(roots={"wal": root}, max_entries=50, max_read_mib=1)))
    yield made
    await made.close()


def a_context(clients: Clients, *targets: Target, seconds: float = 60) -> ActionContext:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return ActionContext(clients, SystemClock(), StepId("remediate.0.0"), deadline, targets)


def names_in(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


async def act(clients: Clients, action: Action, **given: Any) -> Any:
    """What an action gives, a change on the target that it resolves itself."""
    params = action.params.model_validate({"root": "wal", **given})
    targets = await action.resolve(a_context(clients), params) if action.resolve else ()
    return await action.perform(a_context(clients, *targets), params)


def test_all_are_installed_and_documented() -> None:
    """One that is not found by its entry point does not exist."""
    found = Actions.installed()

    assert all(found[action.name] is action for action in _ALL)
    for action in _ALL:
        fields = {**fields_of(action.params), **fields_of(action.result)}
        assert [] == [name for name, field in fields.items() if not field.description]


@pytest.mark.parametrize(
    ("action", "given", "said"),
    [
        (files.disk, {}, "look how full the disk of wal is"),
        (files.list_files, {"path": "a", "pattern": "*.wal"}, "list *.wal in wal/a"),
        (files.tail, {"path": "a.log", "lines": 5}, "read the last 5 lines of wal/a.log"),
        (
            files.count,
            {"path": "a.log", "patterns": {"x": "x", "y": "y"}},
            "count x, y in the last 16.0 MiB of wal/a.log",
        ),
        (files.json_lines, {"pattern": "i*"}, "read the newest 20 entries of i* in wal"),
        (
            files.rotate,
            {"pattern": "inbox-*.wal", "keep": 3},
            "rotate closed files inbox-*.wal in wal: compress them, and delete compressed ones beyond the newest 3 "
            "that are older than 1d",
        ),
        (
            files.compact,
            {"path": "outbox.wal"},
            "compact wal/outbox.wal: drop entries with acked=true whose ts is more than 14d ago",
        ),
    ],
)
def test_an_action_says_what_it_would_do(action: Action, given: dict[str, Any], said: str) -> None:
    """People approve by this sentence."""
    assert said == action.describe(action.params.model_validate({"root": "wal", **given}))


@pytest.mark.parametrize("path", ["/etc", "..", "a/../b", "a//b", "./a", "a/", "a\0b", "a\ud800"])
def test_a_path_that_could_lead_out_is_refused(path: str) -> None:
    """A path may carry a label."""
    for action in (files.disk, files.tail, files.rotate, files.compact):
        given = {"root": "wal", "path": path, **({"pattern": "x"} if action is files.rotate else {})}
        with pytest.raises(ValidationError, match=r"not a path beneath a root|cannot be a path|unicode"):
            action.params.model_validate(given)


@pytest.mark.parametrize(
    ("action", "given"),
    [
        (files.tail, {"path": ""}),
        (files.list_files, {"pattern": "a/*"}),
        (files.rotate, {"pattern": "*.gz"}),
        (files.rotate, {"pattern": ".*"}),
        (files.rotate, {"pattern": "*", "keep": 0}),
        (files.compact, {"path": "a", "older_than": "200000w"}),
        (files.count, {"path": "a", "patterns": {"a": "a"}, "last_bytes": 0}),
    ],
)
def test_parameters_out_of_bounds_are_refused(action: Action, given: dict[str, Any]) -> None:
    """When the rule is loaded or rendered."""
    with pytest.raises(ValidationError):
        action.params.model_validate({"root": "wal", **given})


@pytest.mark.parametrize("action", [files.disk, files.list_files, files.json_lines, files.rotate])
async def test_a_folder_behind_a_link_is_not_entered(
    clients: Clients, root: Path, tmp_path: Path, action: Action
) -> None:
    """Whoever can write into a root could lead us anywhere."""
    (tmp_path / "secret" / "in").mkdir(parents=True)
    (root / "way").symlink_to(tmp_path / "secret")
    (root / "near").mkdir()
    (root / "near" / "up").symlink_to("..")
    more = {"pattern": "*"} if action is files.rotate else {}

    for path in ("way", "way/in", "near/up", "near/up/near"):
        with pytest.raises(NotAllowed, match="is a symbolic link, and links are not followed"):
            await act(clients, action, path=path, **more)


async def test_a_file_behind_a_link_is_not_opened(clients: Clients, root: Path, tmp_path: Path) -> None:
    """Also as the last component, and a link to a neighbour too."""
    (tmp_path / "secret").write_text("hunter2\n")
    (root / "log").symlink_to(tmp_path / "secret")
    (root / "real").write_text("x\n")
    (root / "near").symlink_to("real")

    for path in ("log", "near"):
        with pytest.raises(NotAllowed, match="is a symbolic link"):
            await act(clients, files.tail, path=path)
        with pytest.raises(NotAllowed, match="is a symbolic link"):
            await act(clients, files.compact, path=path)


async def test_links_and_odd_things_in_a_folder_do_not_count(clients: Clients, root: Path, tmp_path: Path) -> None:
    """A folder, a link, a pipe and a socket match the pattern, and are none of the files."""
    (tmp_path / "far").write_text('{"a": 1}\n')
    (root / "link").symlink_to(tmp_path / "far")
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "s"))
    (root / ".hidden").write_text("x")
    (root / "file").write_text("x")

    assert ["file"] == [one.name for one in (await act(clients, files.list_files)).files]
    assert 0 == (await act(clients, files.json_lines)).count
    for path in ("pipe", "folder", "s"):
        with pytest.raises(Failed, match="is not a regular file"):
            await act(clients, files.tail, path=path)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (
            {"root": "other", "path": "x"},
            NotAllowed,
            r"no folder is named 'other' .*\(there: wal\); add it under files",
        ),
        ({"path": "none"}, TargetGone, "open wal/none: it is not there"),
        ({"path": "none/x"}, TargetGone, "open wal/none: it is not there"),
        ({"path": "file/x"}, Failed, "wal/file is not a folder"),
    ],
)
async def test_what_cannot_be_opened_is_said(
    clients: Clients, root: Path, given: dict[str, str], error: type[RemediatorError], said: str
) -> None:
    """With what to do next."""
    (root / "file").write_text("x")
    with pytest.raises(error, match=said):
        await act(clients, files.tail, **given)


async def test_names_that_are_no_text_are_shown_all_the_same(clients: Clients, root: Path) -> None:
    """A name is any bytes; one that cannot be stored would make the whole step fail."""
    Path(os.fsdecode(os.fsencode(root) + b"/a\xff\n.wal")).write_text("x")
    Path(os.fsdecode(os.fsencode(root) + b"/b\xff.wal")).write_text("x")
    os.utime(os.fsencode(root) + b"/a\xff\n.wal", (1, 1))

    assert {"a\ufffd\n.wal", "b\ufffd.wal"} == {one.name for one in (await act(clients, files.list_files)).files}
    assert ("a\ufffd\n.wal",) == (await act(clients, files.rotate, pattern="*.wal")).compressed


async def test_the_disk_is_told_as_df_tells_it(clients: Clients, root: Path) -> None:
    """People compare the two."""
    found = await act(clients, files.disk)
    system = os.statvfs(root)

    assert system.f_blocks * system.f_frsize == found.total_bytes
    assert 0 < found.used_percent <= 100
    assert 0 <= found.inodes_used_percent <= 100
    assert " % used, " in found.brief()


async def test_files_are_listed_with_their_ages(clients: Clients, root: Path) -> None:
    """The oldest and the largest are what one looks for on a full disk."""
    now = datetime.now(UTC).timestamp()
    for n, size in ((1, 10), (2, 3000), (3, 200)):
        (root / f"inbox-{n}.wal").write_bytes(b"x" * size)
        os.utime(root / f"inbox-{n}.wal", (now - 100 * n, now - 100 * n))

    found = await act(clients, files.list_files, pattern="inbox-*.wal", order="largest", limit=2)

    assert ["inbox-2.wal", "inbox-3.wal"] == [one.name for one in found.files]
    assert (3, 3210) == (found.count, found.total_bytes)
    assert found.newest is not None
    assert ("inbox-1.wal", 10) == (found.newest.name, found.newest.size)
    assert 299 < found.oldest.age_seconds < 400
    assert found.brief().startswith("3 files, 3.1 KiB, the oldest 5m")
    assert "… (1 more)" in found.detail()
    for order, first in (("newest", "1"), ("oldest", "3"), ("smallest", "1"), ("name", "1")):
        listed = await act(clients, files.list_files, pattern="inbox-*.wal", order=order)
        assert f"inbox-{first}.wal" == listed.files[0].name
    assert "no files" == (await act(clients, files.list_files, pattern="none")).brief()


@pytest.mark.parametrize(("seconds", "year"), [(1e15, 9999), (-1e15, 1), (-1.0, 1969)])
async def test_a_file_may_be_of_a_time_that_no_calendar_has(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, seconds: float, year: int
) -> None:
    """Some file systems take any; whoever may write there would break the diagnosis."""

    async def found(*_: object) -> list[Found]:
        return [Found("a", "a", 1, seconds)]

    monkeypatch.setattr(clients.files, "found", found)
    listed = await act(clients, files.list_files)

    assert year == listed.files[0].modified_at.year
    assert listed.brief().startswith("1 file, 1 bytes, the oldest ")


async def test_a_root_that_is_no_folder_is_said(tmp_path: Path) -> None:
    """It is there, so "it is not there" would send people the wrong way."""
    (tmp_path / "file").write_text("x")
    clients = Clients(Settings(files=FileSettings(roots={"wal": tmp_path / "file"})))
    with pytest.raises(TargetGone, match=r"open the folder of files\.roots\.wal: it is not a folder"):
        await act(clients, files.disk)
    await clients.close()


async def test_a_folder_with_too_many_entries_is_a_failure(clients: Clients, root: Path) -> None:
    """Half a list would be taken for a whole one."""
    for n in range(51):
        (root / str(n)).touch()
    with pytest.raises(Failed, match=r"more than 50 entries; raise files.max_entries"):
        await act(clients, files.list_files)


async def test_the_last_lines_of_a_file_are_read(clients: Clients, root: Path) -> None:
    """Bounded by bytes too; a line whose start was cut off may be the rest of a secret."""
    (root / "log").write_bytes(b"one\ntwo\r\nthr\xff\0e")
    (root / "long").write_bytes(b"password=" + b"x" * 300_000 + b"\nlast\n")

    assert ("two", "thr\ufffd\ufffde") == (await act(clients, files.tail, path="log", lines=2)).lines
    assert ("last",) == (await act(clients, files.tail, path="long")).lines


async def test_lines_are_counted_in_the_end_of_a_file(clients: Clients, root: Path) -> None:
    """The rest may be gigabytes."""
    (root / "log").write_text("WAL append error: old\n" * 10 + "ok\nWAL append error: disk quota\n")
    whole = await act(clients, files.count, path="log", patterns={"append": "WAL append error", "none": "xyz"})
    end = await act(clients, files.count, path="log", patterns={"append": "WAL append error"}, last_bytes=40)

    assert isinstance(whole, Counted)
    assert ({"append": 11, "none": 0}, 12) == (whole.counts, whole.lines)
    assert ({"append": 1}, 2) == (end.counts, end.lines)
    assert ("WAL append error: disk quota",) == end.examples["append"]


async def test_the_newest_entries_are_read(clients: Clients, root: Path) -> None:
    """From the newest file backwards, the oldest of them first; what is no object is counted."""
    (root / "inbox-1.wal").write_text('{"n": 1}\n{"n": 2}\n')
    (root / "inbox-2.wal").write_text('[3]\nnull\n{"n": 4}\n{"h": "\\ud800"}\n\n{"n": NaN, "n": 2}\n{"n": 5}')
    os.utime(root / "inbox-1.wal", (1, 1))
    deep = '{"a":' * 70 + "1" + "}" * 70
    (root / "inbox-3.wal").write_text(f"{deep}\n{'[' * 100_000}\n")
    os.utime(root / "inbox-3.wal", (2, 2))

    found = await act(clients, files.json_lines, pattern="inbox-*.wal", limit=3)

    assert ({"n": 2}, {"n": 4}, {"n": 5}) == found.entries
    assert (3, 6) == (found.count, found.unreadable)
    assert "3 entries, 6 lines that cannot be read" == found.brief()


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


def entries(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


async def test_acknowledged_old_entries_go_and_everything_else_stays(clients: Clients, root: Path) -> None:
    """Byte for byte and in order: whatever is not understood is somebody's."""
    keep = (
        entries(
            '{"id": "open", "ts": "2020-01-01T00:00:00Z"}',
            '{"id": "new", "ts": "2999-01-01T00:00:00+02:00", "acked": true}',
            '{"id":  "odd space",   "ts": 5}',
            "no json",
            "",
            '{"ts": 5, "acked": true}',
            '{"id": "no time", "acked": true}',
            '{"id": "naive", "ts": "2020-01-01T00:00:00", "acked": true}',
            '{"id": "words", "ts": 5, "acked": "true"}',
            '{"id": "one", "ts": 5, "acked": 1}',
            '{"id": true, "ts": 5, "acked": true}',
            '{"id": null, "ts": 5, "acked": true}',
            '{"id": ["x"], "ts": 5, "acked": true}',
            '{"id": "", "ts": 5, "open": "its id is left out"}',
            '{"id": "", "ts": 5, "acked": true}',
            '{"id": 0, "ts": 5}',
            '{"id": 0, "ts": 5, "acked": true}',
            '{"id": "far", "ts": 1e300, "acked": true}',
            '{"id": "nan", "ts": NaN, "acked": true}',
            '{"id": "twice", "id": "twice", "ts": 5, "acked": true}',
            '["id", 1]',
            '{"id": 7, "ts": 5}',
            '{"id": "again", "ts": 5, "acked": true}',
            '{"id": "again", "ts": 6}',
        )
        + b'\xff{"id": "bytes", "ts": 5, "acked": true}\n'
    )
    gone = entries(
        '{"id": "done", "ts": "2999-01-01T00:00:00Z", "payload": 1}',
        '{"id": "done", "ts": 1600000000.5, "acked": true}',
        '{"id": "7", "ts": 5, "acked": true}\r',
        '{"id": "rfc", "ts": "2020-01-01t00:00:00.123456789z", "acked": true}',
    )
    torn = b'{"id": "torn", "ts": 5, "acked": true}'
    outbox = root / "outbox.wal"
    outbox.write_bytes(gone[:60] + gone[60:] + keep + torn)
    outbox.chmod(0o604)
    os.setxattr(outbox, "user.tag", b"kept")

    found = await act(clients, files.compact, path="outbox.wal")

    assert keep + torn == outbox.read_bytes()
    assert (25, 4, len(gone)) == (found.kept, found.dropped, found.bytes_freed)
    assert 4 == found.unreadable
    assert 0o100604 == outbox.stat().st_mode
    assert b"kept" == os.getxattr(outbox, "user.tag")
    assert {"outbox.wal"} == names_in(root)
    again = await act(clients, files.compact, path="outbox.wal")
    assert (25, 0, 0) == (again.kept, again.dropped, again.bytes_freed)
    assert "0 lines dropped, 25 kept, 0 bytes freed, 4 that cannot be read" == again.brief()


async def test_the_names_of_the_fields_are_the_users(clients: Clients, root: Path) -> None:
    """Outboxes differ."""
    (root / "o").write_bytes(entries('{"key": 1, "at": 5, "ok": true}', '{"key": 2, "at": 5}'))

    found = await act(clients, files.compact, path="o", id_field="key", time_field="at", acked_field="ok")

    assert entries('{"key": 2, "at": 5}') == (root / "o").read_bytes()
    assert 1 == found.dropped


async def test_a_half_written_last_line_holds_its_entry(clients: Clients, root: Path) -> None:
    """Its writer may be about to say that the entry is open again."""
    content = entries('{"id": 1, "ts": 5, "acked": true}') + b'{"id": 1, "ts": 6}'
    (root / "o").write_bytes(content)

    await act(clients, files.compact, path="o")

    assert content == (root / "o").read_bytes()


async def test_an_outbox_that_a_writer_keeps_open_is_left_alone(
    clients: Clients, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on writing to the old file. (The patience of ten seconds is cut short here.)"""
    monkeypatch.setattr("remediator.clients.files.compaction._PATIENCE", 0.05)
    content = entries('{"id": 1, "ts": 5, "acked": true}')
    (root / "o").write_bytes(content)
    with (
        (root / "o").open("ab"),
        pytest.raises(Failed, match=r"kept open by a writer; nothing was done. Let the writer"),
    ):
        await act(clients, files.compact, path="o")

    assert content == (root / "o").read_bytes()
    assert {"o"} == names_in(root)


async def test_a_reader_does_not_keep_an_outbox_from_being_compacted(clients: Clients, root: Path) -> None:
    """The sender reads it all the time."""
    (root / "o").write_bytes(entries('{"id": 1, "ts": 5, "acked": true}'))
    with (root / "o").open("rb"):
        found = await act(clients, files.compact, path="o")

    assert (1, b"") == (found.dropped, (root / "o").read_bytes())


async def test_the_target_is_the_path_and_the_folder_that_was_seen(clients: Clients, root: Path) -> None:
    """A lock is by the name; another folder of the same name is another thing."""
    (root / "a b").mkdir()
    (root / "a b" / "o").write_bytes(b"")
    rotate = files.RotateParams(root="wal", path="a b", pattern="*")
    compact = files.CompactParams(root="wal", path="a b/o")
    assert files.rotate.resolve is not None
    assert files.compact.resolve is not None

    (folder,) = await files.rotate.resolve(a_context(clients), rotate)
    (outbox,) = await files.compact.resolve(a_context(clients), compact)

    assert ("files:wal/a%20b", "files:wal/a%20b/o") == (folder.name, outbox.name)
    (root / "a b").rename(root / "old")
    (root / "a b").mkdir()
    with pytest.raises(TargetGone, match="another folder than the one that the plan was made for"):
        await files.rotate.perform(a_context(clients, folder), rotate)
    with pytest.raises(TargetGone, match="another folder"):
        await files.compact.perform(a_context(clients, outbox), compact)
    with pytest.raises(Failed, match="is not wal/a b/o, which would be worked on"):
        await files.compact.perform(a_context(clients, folder), compact)


async def test_a_change_with_too_short_a_time_limit_is_not_begun(clients: Clients, root: Path) -> None:
    """It could not even look around."""
    params = files.RotateParams(root="wal", pattern="*")
    assert files.rotate.resolve is not None
    targets = await files.rotate.resolve(a_context(clients), params)

    with pytest.raises(Failed, match="not done, 2 s are too short"):
        await files.rotate.perform(a_context(clients, *targets, seconds=2.4), params)


def test_results_are_kept_as_they_are_told() -> None:
    """Sizes for people."""
    assert ["0 bytes", "1023 bytes", "1.0 KiB", "100 MiB", "2048 TiB"] == [
        files.say_bytes(size) for size in (0, 1023, 1024, 100 * 1024**2, 2048 * 1024**4)
    ]
    assert issubclass(files.RotatedFiles, Result)
