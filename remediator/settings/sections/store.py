"""The settings of where everything is kept, and for how long."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from remediator.model.duration import Duration
from remediator.settings.addresses import Place, postgres_address
from remediator.settings.sections.section import Section


class StoreSettings(Section):
    """Where everything is kept."""

    secret_files = ("password",)

    directory: Path = Path("remediator-data")
    """The folder of the embedded SQLite store, of the local admin token and of the audit journal's key; a relative one
    in a settings file is taken from its folder."""
    url: Annotated[str | None, AfterValidator(postgres_address)] = None
    """A PostgreSQL database to keep everything in instead, `postgresql://user@host:port/database`, without a password;
    user and database are `remediator` where it names none. It takes version 13 or later, and connections that no pooler
    shares. Several processes may share it. The local admin token of each stays in its `directory`."""
    password: SecretStr | None = None
    """The password for it, or `password_file` for a file with it."""
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """Whether the connection to it is encrypted, as PostgreSQL's own programs understand it."""
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=5)
    """How long one statement, or connecting, may take there before it counts as away; no longer than a sender waits."""
    keep_runs: Annotated[Duration, Field(ge=timedelta(days=1))] = timedelta(days=90)
    """How long a run is kept after it has ended, with all that it tells; so are alerts after their resolve, and rules
    that are no longer in force. Afterwards they are deleted, unless something still needs them. A quarter of a
    year, because that is how far reviews look back."""
    keep_runs_at_most: Annotated[int, Field(ge=1)] = 100_000
    """How many runs are kept after they have ended, and how many alerts after their resolve; the oldest go first. So
    many messages to other places are kept, too. What ended a few minutes ago stays in any case. Some kilobytes each:
    this many take about a gigabyte."""

    @model_validator(mode="after")
    def _password_of_what(self) -> Self:
        if self.password is not None and self.url is None:
            raise ValueError("a password needs the database that asks for it; give `url`, or leave the password out")
        return self

    @property
    def place(self) -> Place:
        """Where the database is and as whom to log in; only where there is one."""
        parts = urlsplit(self.url or "")
        database = unquote(parts.path.removeprefix("/")) or "remediator"
        return Place(
            parts.hostname or "127.0.0.1", parts.port or 5432, database, unquote(parts.username or "") or "remediator"
        )
