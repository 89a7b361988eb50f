"""A folder that the files actions may work in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from remediator.clients import Clients
from remediator.settings import FileSettings, Settings


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
