"""The key that the audit journal is sealed with: that of the settings, or one that is made and kept beside the store.

Called by the composition root and the commands.
"""

from pathlib import Path

from remediator.settings import AuditSettings, Settings
from remediator.settings.secret_file import read_or_make

KEY_FILE = "audit-key"


def key_of(settings: AuditSettings, directory: Path) -> bytes:
    """The key of the settings, or the one in the store's folder, made when first asked for. Raises BadSettings."""
    if settings.key is not None:
        return settings.key.get_secret_value().encode()
    return read_or_make(directory / KEY_FILE, what="a key").encode()


def known_key(settings: Settings) -> bytes:
    """The key that there is; none is made. Raises OSError."""
    if settings.audit.key is not None:
        return settings.audit.key.get_secret_value().encode()
    return (settings.store.directory / KEY_FILE).read_bytes().strip()


KEY_NOT_SHARED = (
    "each process seals the audit journal with a key of its own, so that to verify it takes the keys of all; give all "
    "the same audit.key"
)


def key_not_shared(settings: Settings) -> bool:
    """Whether several processes may work on the store, each with a key of its own."""
    return settings.store.url is not None and settings.audit.key is None
