"""Whether something is wrong with the audit journal that nobody has settled yet, as far as this machine knows it.

Called by the examination. The service looks at the journal itself; here only what it has noted, and the key, are read.
"""

from collections.abc import Iterator

from remediator.doctor.finding import Finding, ok, problem, warning
from remediator.model.audit import key_id
from remediator.pipeline.audit_key import KEY_FILE, known_key
from remediator.pipeline.noted_head import REMEDY, HeadFile
from remediator.settings import Settings

_WHAT = "audit journal"


def journal(settings: Settings) -> Iterator[Finding]:
    """Nothing where no service has noted anything yet."""
    noted = HeadFile(settings.store.directory).read()
    if noted is None:
        return
    try:
        key = known_key(settings)
    except OSError as error:
        said = f"its key {settings.store.directory / KEY_FILE} cannot be read: {error.strerror}"
        yield warning(_WHAT, said, "put it back from your backup; without it what was sealed cannot be verified")
        return
    trouble = noted.trouble(key_id(key))
    if noted.is_lost:
        yield problem(_WHAT, trouble, REMEDY)
    elif trouble:
        yield warning(_WHAT, trouble, f"give the old key back; or keep it for `remediator audit verify`, and {REMEDY}")
    else:
        yield ok(_WHAT, f"sealed up to place {noted.place}, as the service has noted")
