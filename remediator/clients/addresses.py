"""What a URL of a rule file says, read in one way only: the target that is locked is the server that is called.

Used by the http client and the http actions. It never connects to anything.
"""

from yarl import URL

from remediator.errors import Failed
from remediator.kit.redaction import Redactor, shorten

_REDACTOR = Redactor()


def told_url(url: str) -> str:
    """The URL as it may be told: without secrets, and not too long."""
    return shorten(_REDACTOR.text(url[:2000]), 200)


def host_of(url: str) -> str:
    """`host:port` of a URL, as it is connected to. Raises Failed for what is not an http or https URL."""
    address = parse_url(url)
    return f"{address.host}:{address.port}"


def parse_url(url: str) -> URL:
    """The URL, read as the client reads it. Raises Failed for what is not an http or https URL without a user."""
    told = told_url(url)
    try:
        address = URL(url)
        scheme, host, _ = address.scheme, address.host, address.port
    except ValueError as error:
        raise Failed(f"{told!r} is not a URL: {shorten(str(error), 200)}") from error
    if scheme not in ("http", "https") or not host:
        raise Failed(f"{told!r} is not a URL that can be asked; write it like http://127.0.0.1:8080/health")
    if address.user is not None or address.password is not None:
        raise Failed(f"{told!r} carries a user; give it by the header Authorization")
    return address
