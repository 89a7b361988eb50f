"""What a person may write as an address, a network or a list: each checked, with what was probably meant.

Used by the sections. Nothing here looks anything up.
"""

import ipaddress
import re
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    PlainValidator,
    WithJsonSchema,
)


def network(value: Any) -> Any:
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"{error}; write a network like 10.0.0.0/8, or one address") from None


Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    PlainValidator(network),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]}),
]


_BARE_ADDRESS = re.compile(r"[\w.-]+(?::\d+)?(?:/[\w./-]*)?")  # what may be shown: there is no password in it


def web_address(value: str | None) -> str | None:
    """An address that can be asked by HTTP. It is shown only where it can hold no password."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if good:
        return value
    meant = f"; did you mean `http://{value}`?" if _BARE_ADDRESS.fullmatch(value) else ""
    raise ValueError("write the address with http:// or https://, such as http://127.0.0.1:9090" + meant)


def engine_address(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if separator and scheme == "unix" and rest.startswith("/") and rest.strip("/"):
        return value
    if separator and scheme in ("tcp", "ssh") and _has_host(value, needs_port=scheme == "tcp"):
        return value
    meant = ""
    if value.startswith("/"):
        meant = f"; did you mean `unix://{value}`?"
    elif not separator and re.fullmatch(r"[\w.-]+:\d+", value):
        meant = f"; did you mean `tcp://{value}`?"
    raise ValueError(
        "write an engine's address as unix:///var/run/docker.sock, tcp://10.0.0.5:2375 or ssh://user@host" + meant
    )


def _has_host(address: str, *, needs_port: bool) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (bool(parts.port) or not needs_port)
    except ValueError:
        return False


def not_a_string(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("a list is needed here, each item on a line of its own with a dash")
    return value


def listen_address(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("write `listen` as host:port, such as 127.0.0.1:9099")
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ValueError("write `listen` as host:port, such as 127.0.0.1:9099")
    return value


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def redis_address(value: str) -> str:
    """The address of a Redis server. It is never shown: it may hold a password, which belongs elsewhere."""
    try:
        parts = urlsplit(value)
        good = (parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0) or (
            parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1
        )
        database = parts.path.removeprefix("/") if parts.scheme != "unix" else ""
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        good, database, query = False, "", {}
    if good and parts.username is None and parts.password is None:
        known = set(query) <= ({"db"} if parts.scheme == "unix" else set())
        if known and all(not text or re.fullmatch("[0-9]{1,9}", text) for text in (database, query.get("db", ""))):
            return value
    elif good:
        raise ValueError("a user or a password does not belong into the address; use `username` and `password_file`")
    raise ValueError(
        "write the address as redis://127.0.0.1:6379/0, rediss://host:6379 (with TLS) or unix:///run/redis.sock?db=0"
    )


def postgres_address(value: str | None) -> str | None:
    """The address of a PostgreSQL database. It is never shown: it may hold a password, which belongs elsewhere."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("postgres", "postgresql") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if good and parts.password is not None:
        raise ValueError("a password does not belong into the address; give it by `password_file`")
    if good and not parts.query and not parts.fragment:
        return value
    raise ValueError("write the address as postgresql://user@127.0.0.1:5432/database, without anything behind it")


class Place(NamedTuple):
    """Where a database is, and as whom to log in."""

    host: str
    port: int
    database: str
    user: str
