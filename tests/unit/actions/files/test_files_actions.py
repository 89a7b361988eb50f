"""The files actions: what they find and do, what they say, and that nothing leads out of the roots."""

import os
import socket
from datetime import UTC, datetime
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
from remediator.plugins import Action, Actions, Result
from remediator.settings import FileSettings, Settings
from tests.unit.actions.files.calling import a_context, act

_ALL = [files.disk, files.list_files, files.tail, files.count, files.json_lines, files.rotate, files.compact]


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
