"""Settings are read in an empty folder, without the settings of this machine."""

from pathlib import Path

import pytest

from remediator.settings import Settings, load_settings
from tests.unit.settings.reading import Load


@pytest.fixture(autouse=True)
def _here(away: None) -> None:
    """Every test is."""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Reads settings from a file with this text."""

    def from_text(text: str) -> Settings:
        (tmp_path / "remediator.yaml").write_text(text)
        return load_settings()

    return from_text
