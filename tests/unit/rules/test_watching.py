"""Changed rule files are noticed: by the system's notices, and by looks where none come."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from remediator.kit.clock import SystemClock
from remediator.rules.watching import Look, RuleFiles, look_at


def write(path: Path, text: str = "pack: a\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rename_over(path: Path) -> None:
    write(path.with_name(".new"), "pack: b\n")
    path.with_name(".new").replace(path)


def link_to_another(path: Path) -> None:
    """What a Kubernetes volume does, and a deployment by links."""
    target = path.parent / "..later"
    write(target / path.name, "pack: later\n")
    (path.parent / "..data_tmp").symlink_to(target.name)
    (path.parent / "..data_tmp").replace(path.parent / "..data")


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited in place": lambda path: path.write_text("pack: ab\n"),
    "replaced by a renamed file": rename_over,
    "removed": Path.unlink,
    "made unreadable for some": lambda path: path.chmod(0o600),
    "another file beside it": lambda path: write(path.with_name("b.yml")),
    "another file in a folder beside it": lambda path: write(path.parent / "sub" / "b.yaml"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_makes_another_look(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Whatever may change the rules must be seen without any notice."""
    write(tmp_path / "rules" / "a.yaml")
    before = look_at([tmp_path / "rules"])
    change(tmp_path / "rules" / "a.yaml")

    assert before.files != look_at([tmp_path / "rules"]).files


NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a note": lambda path: write(path.with_name("note.txt")),
    "an editor's swap file": lambda path: write(path.with_name(".a.yaml.swp")),
    "a hidden file": lambda path: write(path.with_name(".a.yaml")),
    "an older version in a Kubernetes volume": lambda path: write(path.parent / "..2024" / "a.yaml"),
}


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_is_no_rule_file_makes_no_other_look(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Otherwise everything that writes beside them would have them read again."""
    write(tmp_path / "rules" / "a.yaml")
    before = look_at([tmp_path / "rules"])
    change(tmp_path / "rules" / "a.yaml")

    assert before.files == look_at([tmp_path / "rules"]).files


def test_a_swapped_link_makes_another_look(tmp_path: Path) -> None:
    """The file of that name stays the same link all the time; what it leads to does not."""
    write(tmp_path / "..first" / "a.yaml")
    (tmp_path / "..data").symlink_to("..first")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    before = look_at([tmp_path])
    link_to_another(tmp_path / "a.yaml")

    assert before.files != look_at([tmp_path]).files


def test_a_link_back_is_followed_once(tmp_path: Path) -> None:
    """A folder that leads to itself must not keep the watcher busy for ever."""
    write(tmp_path / "rules" / "a.yaml")
    (tmp_path / "rules" / "sub").mkdir()
    (tmp_path / "rules" / "sub" / "back").symlink_to(tmp_path / "rules")

    assert 1 == len(look_at([tmp_path / "rules"]).files)


def test_the_folders_to_watch_are_those_where_a_change_shows(tmp_path: Path) -> None:
    """That around a path as well: it tells that the path was replaced."""
    write(tmp_path / "one" / "a.yaml")
    write(tmp_path / "two" / "sub" / "b.yaml")
    write(tmp_path / "far" / "c.yaml")
    (tmp_path / "two" / "c.yaml").symlink_to(tmp_path / "far" / "c.yaml")
    look = look_at([tmp_path / "one" / "a.yaml", tmp_path / "two", tmp_path / "gone" / "rules"])

    assert {"one", "two", "two/sub", "far", "."} == {os.path.relpath(path, tmp_path) for path, _, _ in look.folders}


def test_a_folder_that_was_replaced_is_another_one(tmp_path: Path) -> None:
    """The notices of the system belong to the old one, so it has to be watched anew."""
    write(tmp_path / "rules" / "a.yaml")
    before = look_at([tmp_path / "rules"])
    (tmp_path / "rules").rename(tmp_path / "old")
    write(tmp_path / "rules" / "a.yaml")

    assert before.folders != look_at([tmp_path / "rules"]).folders


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.02)


class Watched:
    """A watcher that is at work, and how often it has called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1

    async def until(self, calls: int) -> None:
        await until(lambda: self.calls >= calls)


@asynccontextmanager
async def watching(
    *paths: Path, seen: Look | None = None, look_every: timedelta = timedelta(seconds=5)
) -> AsyncIterator[Watched]:
    watched = Watched()
    files = RuleFiles(paths, SystemClock(), seen=seen, look_every=look_every)
    task = asyncio.create_task(files.watch(watched))
    try:
        yield watched
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_changed_before_the_start_is_told_first(tmp_path: Path) -> None:
    """The service reads its rules some moments before it watches them."""
    write(tmp_path / "a.yaml")
    seen = look_at([tmp_path])
    write(tmp_path / "a.yaml", "pack: ab\n")

    async with watching(tmp_path, seen=seen) as watched:
        await watched.until(1)

    assert 1 == watched.calls


async def test_each_way_of_changing_is_told_while_watching(tmp_path: Path) -> None:
    """One after the other, also after the folder was removed and made again: its watch has gone with the old one."""
    rules = tmp_path / "rules"
    write(rules / "a.yaml")

    async with watching(rules) as watched:
        for change in (
            lambda: write(rules / "a.yaml", "pack: ab\n"),
            lambda: rename_over(rules / "a.yaml"),
            lambda: rules.rename(tmp_path / "old"),
            lambda: write(rules / "a.yaml"),
            lambda: write(rules / "sub" / "b.yaml"),
            lambda: write(rules / "sub" / "b.yaml", "pack: bb\n"),
        ):
            calls = watched.calls
            change()
            await watched.until(calls + 1)


async def test_a_single_file_is_watched_through_its_folder(tmp_path: Path) -> None:
    """A watch on the file itself would end with the first editor that replaces it."""
    file = tmp_path / "a.yaml"
    write(file)

    async with watching(file) as watched:
        for _ in range(3):
            calls = watched.calls
            rename_over(file)
            await watched.until(calls + 1)


async def test_where_nothing_can_be_watched_the_files_are_looked_at(tmp_path: Path) -> None:
    """A volume that is mounted late: neither the folder is there yet, nor the one around it. That is said once."""
    rules = tmp_path / "mount" / "rules"

    with capture_logs() as logged:
        async with watching(rules, look_every=timedelta(milliseconds=50)) as watched:
            await until(lambda: bool(logged))
            write(rules / "a.yaml")
            await watched.until(1)
            calls = watched.calls
            write(rules / "a.yaml", "pack: ab\n")
            await watched.until(calls + 1)

    assert ["rules_not_watched"] == [event["event"] for event in logged]
    assert "the files are looked at every 0.05 s" == logged[0]["instead"]
