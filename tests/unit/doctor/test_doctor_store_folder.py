"""The doctor looks at the store's folder and leaves nothing there."""

from pathlib import Path

import pytest

from remediator.doctor.finding import Finding, Verdict
from remediator.doctor.local import examine
from remediator.doctor.needs import Needs
from remediator.settings import Settings


def found_of(directory: Path) -> Finding:
    settings = Settings.model_validate({"store": {"directory": directory}})
    (found,) = [finding for finding in examine(settings, Needs()) if finding.what == "store"]
    return found


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    """The doctor changes nothing: else the service would find a folder that everybody may read."""
    found = found_of(tmp_path / "new" / "store")

    assert (Verdict.OK, []) == (found.verdict, list(tmp_path.iterdir()))
    assert f"{tmp_path}/new/store can be made at the first start" in found.detail


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    """Nothing is written there even for a moment."""
    (tmp_path / "store").mkdir(mode=0o700)
    before = (tmp_path / "store").stat()
    found = found_of(tmp_path / "store")

    assert (Verdict.OK, before) == (found.verdict, (tmp_path / "store").stat())
    assert f"{tmp_path}/store is writable" in found.detail


def test_a_folder_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    """The store and the token of the command line are in it."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o755)
    found = found_of(tmp_path / "store")

    assert (Verdict.WARNING, f"{tmp_path}/store can be read by other users of this machine") == (
        found.verdict,
        found.detail,
    )
    assert found.remedy.startswith(f"chmod 0700 {tmp_path}/store")


@pytest.mark.parametrize(
    ("below", "said"),
    [("", "file cannot be written: it is no folder"), ("store", "file: it is no folder")],
)
def test_a_file_in_its_place_is_a_problem(tmp_path: Path, below: str, said: str) -> None:
    (tmp_path / "file").touch()
    found = found_of(tmp_path / "file" / below)

    assert Verdict.PROBLEM is found.verdict
    assert said in found.detail
