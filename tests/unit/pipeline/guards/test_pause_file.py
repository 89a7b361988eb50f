"""The file named `PAUSE` holds everything, and what cannot be looked for counts as being there."""

from pathlib import Path

import pytest

from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Hold
from remediator.pipeline.guards.pause_file import PauseFile
from tests.unit.pipeline.guards.probing import AT, SECOND, a_case, review


async def test_nothing_is_held_while_it_is_not_there(tmp_path: Path) -> None:
    assert Allow() == await review(PauseFile(tmp_path / "PAUSE", is_set=True), a_case())


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
async def test_whatever_has_its_name_holds(tmp_path: Path, kind: str) -> None:
    """Somebody in a hurry has made it; how does not matter."""
    path = tmp_path / "PAUSE"
    if kind == "file":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    said = await review(PauseFile(path), a_case())

    assert Hold(Reason.PAUSED, AT + 30 * SECOND, f"the file {path} is there; to go on, remove it") == said


async def test_a_share_that_is_not_mounted_holds(tmp_path: Path) -> None:
    """The file may be on it: whoever has made it believes that nothing is changed."""
    path = tmp_path / "share" / "PAUSE"
    said = await review(PauseFile(path, is_set=True), a_case())

    told = f"{path} cannot be looked for: there is no folder {path.parent}; mount it, or mend `pause_file`"
    assert Hold(Reason.PAUSED, AT + 30 * SECOND, told) == said


async def test_the_stores_own_folder_need_not_be_there(tmp_path: Path) -> None:
    """It is made by the first start, and what explains a rule needs no service."""
    assert Allow() == await review(PauseFile(tmp_path / "store" / "PAUSE"), a_case())


async def test_where_it_cannot_be_looked_for_it_counts_as_being_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = await review(PauseFile(tmp_path / "file" / "PAUSE"), a_case())

    assert isinstance(said, Hold)
    assert "cannot be looked for: Not a directory" in said.detail
