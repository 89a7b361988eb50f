"""Holds everything while a file is there: the stop switch for the night when nothing else answers."""

from datetime import timedelta
from pathlib import Path

from remediator.model.outcome import Reason
from remediator.pipeline.guards.guard import Allow, Case, Hold, Review

_LOOK_AGAIN = timedelta(seconds=30)


class PauseFile:
    """Only the file's name counts, not what is in it. Where it cannot be looked for, it counts as being there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def look(self, case: Case) -> Review:
        try:
            self._path.lstat()
        except FileNotFoundError:
            return Allow()
        except OSError as error:
            why = f"{self._path} cannot be looked for: {error.strerror}"
            return Hold(Reason.PAUSED, case.at + _LOOK_AGAIN, why)
        return Hold(Reason.PAUSED, case.at + _LOOK_AGAIN, f"the file {self._path} is there; to go on, remove it")
