"""The head of the audit journal as this process has seen it last, in a file of `store.directory`.

Called by the watch of the head, the doctor and `audit verify`. Whoever changes the tables of the store does not change
this file, so a chain that was cut while the service was down is found out. Who can write that folder can change both.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from remediator.model.chain import SHORTEST_SEAL, Head

HEAD_FILE = "audit-head"
_DRAFT = ".audit-head"
REMEDY = f"find out why; once that is settled, remove the file {HEAD_FILE} in store.directory"


@dataclass(frozen=True, slots=True)
class Noted:
    """What is noted."""

    place: int
    seal: str
    key: str
    """The id of the key that was ours; it stays while we seal with another one, until somebody has settled that."""
    is_lost: bool = False
    """Whether the journal does not have that head any more; it stays noted until somebody has settled that."""

    @property
    def head(self) -> Head:
        return self.place, self.seal

    def trouble(self, key: str) -> str:
        """What people should know, while we seal with the key of this id; empty where all is well."""
        said = []
        if self.is_lost:
            said.append(
                f"the entry at place {self.place} ({self.seal[:SHORTEST_SEAL]}), once the newest, is gone or another "
                "one: somebody has changed the store, or put it back from a backup"
            )
        if self.key != key:
            said.append(
                f"entries were sealed with the key {self.key}, and the key is {key} now: without the old one they "
                "cannot be verified"
            )
        return "; ".join(said)


class HeadFile:
    """The file. One process at a time writes it: whoever holds the folder."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / HEAD_FILE
        self._draft = directory / _DRAFT
        self._was_there = False

    def read(self) -> Noted | None:
        """What is noted; None where nothing is, or what is there cannot be understood."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            noted = Noted(int(found["place"]), str(found["seal"]), str(found["key"]), found["is_lost"] is True)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        self._was_there = True
        return noted

    def write(self, noted: Noted) -> None:
        """Note it; the file is whole at each moment. Raises OSError."""
        with os.fdopen(os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(asdict(noted)) + "\n")
        self._draft.replace(self._file)
        self._was_there = True

    def is_gone(self) -> bool:
        """Whether somebody has removed it since it was read or written here; not where its folder is away."""
        try:
            return self._was_there and HEAD_FILE not in {one.name for one in self._file.parent.iterdir()}
        except OSError:
            return False
