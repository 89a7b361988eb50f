"""Holds everything while a file is there: the stop switch for the night when nothing else answers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from remediator.model.outcome import Reason
from remediator.model.stop import EVERYTHING, Bar
from remediator.pipeline.guards.guard import Allow, AlsoOfUndoing, Case, Hold, Review

_LOOK_AGAIN = timedelta(seconds=30)


class PauseFile(AlsoOfUndoing):
    """Only the file's name counts, not what is in it. Where it cannot be looked for, it counts as being there."""

    def __init__(self, path: Path, *, is_set: bool = False) -> None:
        """`is_set`: whether the settings name it, so that its folder has to be there."""
        self._path = path.absolute()  # whoever reads where it is may stand in another folder
        self._is_set = is_set

    async def look(self, case: Case) -> Review:
        why = say_file(self._path, is_set=self._is_set)
        return Hold(Reason.PAUSED, case.at + _LOOK_AGAIN, why) if why else Allow()

    def standing(self) -> tuple[Bar, ...]:
        """It, for a list of what stands in the way; none where it is not there."""
        why = say_file(self._path, is_set=self._is_set)
        return (Bar("pause file", EVERYTHING, why, at=_made_at(self._path)),) if why else ()


def _made_at(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):  # it is gone meanwhile, or of no year that there is
        return None


def say_file(path: Path, *, is_set: bool = False) -> str:
    """Why nothing is changed because of it, and what to do; nothing where it is not there.

    One that the settings name cannot be looked for where its folder is missing: that may be a share to be mounted.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        if not is_set or path.parent.is_dir():
            return ""
        return f"{path} cannot be looked for: there is no folder {path.parent}; mount it, or mend `pause_file`"
    except OSError as error:
        return f"{path} cannot be looked for: {error.strerror}"
    return f"the file {path} is there; to go on, remove it"
