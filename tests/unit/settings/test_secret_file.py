"""A secret in a file: made once, for its owner alone, and never taken from where somebody else has put it."""

from pathlib import Path

import pytest

from remediator.errors import BadSettings
from remediator.settings import secret_file


def test_it_is_made_once_and_then_read(tmp_path: Path) -> None:
    """After a restart it is the same, and so it is for whoever comes second."""
    made = secret_file.read_or_make(tmp_path / "new" / "key", what="a key")

    assert made == secret_file.read_or_make(tmp_path / "new" / "key", what="a key")
    assert ["key"] == [path.name for path in (tmp_path / "new").iterdir()]
    assert 0o600 == (tmp_path / "new" / "key").stat().st_mode & 0o777


def test_one_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    """A backup that was put back may have lost its mode."""
    path = tmp_path / "key"
    made = secret_file.read_or_make(path, what="a key")
    path.chmod(0o644)

    assert made == secret_file.read_or_make(path, what="a key")
    assert 0o600 == path.stat().st_mode & 0o777


@pytest.mark.parametrize("content", ["", "short", "x" * 44, "é" * 43])
def test_what_holds_no_secret_is_refused(tmp_path: Path, content: str) -> None:
    """An empty file would be a key that everybody knows."""
    (tmp_path / "key").write_text(content, encoding="utf-8")

    with pytest.raises(BadSettings, match="does not hold a key; delete it"):
        secret_file.read_or_make(tmp_path / "key", what="a key")


def test_no_link_is_followed(tmp_path: Path) -> None:
    """It could lead to a file of somebody else."""
    (tmp_path / "other").write_text("x" * 43)
    (tmp_path / "key").symlink_to(tmp_path / "other")

    with pytest.raises(BadSettings, match="cannot be read"):
        secret_file.read_or_make(tmp_path / "key", what="a key")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The service says so at its start."""
    (tmp_path / "file").write_text("")

    with pytest.raises(BadSettings, match="cannot be written"):
        secret_file.read_or_make(tmp_path / "file" / "key", what="a key")
