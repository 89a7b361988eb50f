"""Looks at the file of a store without changing it. Called by the doctor, beside a service that may have it open."""

import sqlite3
from contextlib import closing
from pathlib import Path

from remediator.errors import StoreUnavailable
from remediator.model.token import Token
from remediator.storage.sqlite import tokens
from remediator.storage.sqlite.store import FILE_NAME


def list_tokens(directory: Path) -> tuple[Token, ...]:
    """The tokens of the API; none without a store. Raises StoreUnavailable where they cannot be read."""
    path = directory / FILE_NAME
    try:
        if not path.is_file():
            return ()
        # Where nobody has it open, a reader would leave files beside it, unless it takes it for one that never changes.
        how = "mode=ro" if path.with_name(f"{FILE_NAME}-wal").exists() else "immutable=1"
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as db:
            return tokens.list_all(db)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"the tokens in {path} cannot be read: {error}") from error
