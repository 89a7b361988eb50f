"""The settings of the audit journal."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr

from remediator.model.duration import Duration
from remediator.settings.sections.section import Section


class AuditSettings(Section):
    """The journal of what was decided and done."""

    secret_files = ("key",)

    key: Annotated[SecretStr, Field(min_length=20)] | None = None
    """The key that its entries are sealed with, at least 20 characters, or `key_file` for a file with it. Without it
    one is made and kept in the file `audit-key` of `store.directory`. Processes that share a store should share it, or
    what each has sealed takes its own key to check."""
    keep: Annotated[Duration, Field(ge=timedelta(days=1))] = timedelta(days=365)
    """How long entries are kept."""
