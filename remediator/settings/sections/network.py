"""The settings of where `http.*` actions and `tcp.connect` may connect to."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

from remediator.model.duration import Duration
from remediator.settings.addresses import Network, not_a_string
from remediator.settings.sections.section import Section


class HttpSettings(Section):
    """Where `http.*` actions may connect to."""

    allow: Annotated[tuple[Network, ...], BeforeValidator(not_a_string)] = ()
    """Networks that may be reached, such as `127.0.0.0/8`; checked on the address that is really connected to. None by
    default: a URL may carry a label, and a label is anybody's."""
    timeout: Duration = timedelta(seconds=10)
    """How long one request may take."""
    max_body_kib: Annotated[int, Field(ge=1, le=10_240)] = 256
    """How much of an answer is read, in KiB."""


class TcpSettings(Section):
    """Where `tcp.connect` may connect to."""

    allow: Annotated[tuple[Network, ...], BeforeValidator(not_a_string)] = ()
    """Networks that may be reached, such as `127.0.0.0/8`; checked on the address that is really connected to. None by
    default: a host may carry a label, and a label is anybody's."""
    timeout: Duration = timedelta(seconds=3)
    """How long one connection may take; what has not answered by then counts as not reachable."""
