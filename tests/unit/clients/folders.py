"""What is in a folder that the files client works in."""

from datetime import UTC, datetime
from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def names_with_content(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}
