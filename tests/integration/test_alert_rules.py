"""The alert rules that operators install do what their unit tests say, in promtool's own words."""

import subprocess
from pathlib import Path

import pytest

from tests import services

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.name)
def test_alert_rules_pass_their_unit_tests(path: Path) -> None:
    """An alert that never fires heals nothing, and one that lacks a label matches no rule."""
    services.requires("promtool")
    checked = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    tested = subprocess.run(
        ["promtool", "test", "rules", path.parent / "tests" / f"{path.stem}.test.yml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == checked.returncode, checked.stderr
    assert 0 == tested.returncode, tested.stdout + tested.stderr
