"""What all `files.*` actions have in common: which folder or file, and how it is said. No action stands here."""

from typing import Annotated

from pydantic import AfterValidator, Field

from remediator.clients.files import Place, parts_of
from remediator.plugins import Params, System

_KIB = 1024


def within_root(path: str) -> str:
    parts_of(path)
    return path


def one_name(pattern: str) -> str:
    if "/" in pattern or "\0" in pattern:
        raise ValueError(f"{pattern!r} must match names in one folder, so it has no `/`; name the folder by `path`")
    return pattern


RelativePath = Annotated[str, Field(max_length=1000), AfterValidator(within_root)]
FilePath = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(within_root)]
Glob = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(one_name)]
FieldName = Annotated[str, Field(min_length=1, max_length=100)]
MostEntries = Annotated[int, Field(ge=1, le=1000)]


class RootParams(Params):
    """Which of the folders in the settings."""

    root: str
    """The folder, by its name under `files.roots` in the settings."""

    def place(self, path: str) -> Place:
        """Where a path leads."""
        return Place.at(self.root, path)


def root_of(params: RootParams) -> System:
    """The folder that it is beneath, as a system to be spared."""
    return System("files", (params.root,), is_here=True)


class FolderParams(RootParams):
    """Which folder."""

    path: RelativePath = ""
    """A folder in it, such as `inbox/today`; without it the root itself. Symbolic links are not followed."""


class FileParams(RootParams):
    """Which file."""

    path: FilePath
    """The file in it, such as `inbox/outbox.wal`. Symbolic links are not followed."""


def say_bytes(size: float) -> str:
    """A size as people say it."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < _KIB or unit == "TiB":
            break
        size /= _KIB
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"  # noqa: PLR2004 - three digits


def say_place(params: FolderParams | FileParams) -> str:
    return f"{params.root}/{params.path}" if params.path else params.root
