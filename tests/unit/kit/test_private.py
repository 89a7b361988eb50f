"""A folder that only its owner may read: what is made so, what is brought back to it, and what is left alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator.kit.private import Found, make_private

OURS = ("lock", "PAUSE")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """One that lets everybody read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_what_is_made_is_the_owners_alone(tmp_path: Path) -> None:
    """Those around it as well: what is moved into one later is as secret."""
    folder = tmp_path / "a" / "b"

    assert Found.PRIVATE is make_private(folder, OURS)
    assert [0o700, 0o700] == [mode(folder.parent), mode(folder)]
    assert Found.PRIVATE is make_private(folder, OURS)


@pytest.mark.parametrize("before", [0o755, 0o750, 0o701, 0o2770])
def test_a_folder_of_ours_is_closed_to_others(tmp_path: Path, before: int) -> None:
    """An earlier version, or somebody's mkdir, has left it open."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(before)
    (tmp_path / "store" / "lock").touch()

    assert Found.TIGHTENED is make_private(tmp_path / "store", OURS)
    assert before & 0o7700 == mode(tmp_path / "store")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    """Whoever named `/var/lib` as the store's folder must not have it shut for everybody."""
    (tmp_path / "lib").mkdir(mode=0o755)
    (tmp_path / "lib" / "lock").touch()
    (tmp_path / "lib" / "apt").touch()

    assert Found.OPEN is make_private(tmp_path / "lib", OURS)
    assert 0o755 == mode(tmp_path / "lib")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """It is not ours to close."""
    (tmp_path / "store").mkdir(mode=0o755)
    os.chown(tmp_path / "store", 65532, 65532)

    assert Found.OPEN is make_private(tmp_path / "store", OURS)
    assert 0o755 == mode(tmp_path / "store")


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").touch()

    with pytest.raises(FileExistsError):
        make_private(tmp_path / "store", OURS)
