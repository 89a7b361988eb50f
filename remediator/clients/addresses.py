"""What a URL of a rule file says, read in one way only: the target that is locked is the server that is called.

Used by the clients and the actions that connect to what a rule names. It never connects to anything.
"""

import ipaddress
from collections.abc import Iterable

from yarl import URL

from remediator.errors import Failed
from remediator.kit.redaction import Redactor, shorten
from remediator.settings import Network

_REDACTOR = Redactor()
_LOOPBACK = "127.0.0.1"


def is_in_one(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address, as a socket is given it, is in one of the networks; IPv4 within IPv6 counts as IPv4."""
    number = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    return any(number in network for network in networks)


def is_outside(host: str, networks: Iterable[Network]) -> bool:
    """Whether a host is written as an address that is in none of these networks. Where a name leads is not known."""
    try:
        return not is_in_one(host, networks)
    except ValueError:
        return False


def told_url(url: str) -> str:
    """The URL as it may be told: without secrets, and not too long."""
    return shorten(_REDACTOR.text(url[:2000]), 200)


def bare_url(url: str) -> str:
    """The URL as it may be told, without its user, query and fragment: one may be a secret."""
    try:
        address = URL(url)
        return told_url(str(address.with_user(None).with_query(None).with_fragment(None)))
    except ValueError:
        return told_url(url)


def host_of(url: str) -> str:
    """`host:port` of a URL, the same for every way to write it. Raises Failed for what is not an http or https URL.

    This machine has one name: a server that listens on `localhost` is the one on `127.0.0.1` and on `[::1]`.
    """
    address = parse_url(url)
    return f"{_one_name(address.host or '')}:{address.port}"


def _one_name(host: str) -> str:
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return _LOOPBACK
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return name
    if isinstance(number, ipaddress.IPv6Address):
        number = number.ipv4_mapped or number
    if number.is_loopback or number.is_unspecified:  # connecting to 0.0.0.0 leads here too
        return _LOOPBACK
    return f"[{number}]" if number.version == 6 else str(number)  # noqa: PLR2004 - IPv6


def plain_url(url: str) -> str:
    """The URL as it is called, `..` and odd characters worked out; as it was given where it is none."""
    try:
        return str(parse_url(url))
    except Failed:
        return url


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
