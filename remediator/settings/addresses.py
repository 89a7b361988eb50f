"""What a person may write as an address, a network or a list: each checked, with what was probably meant.

Used by the sections. Nothing here looks anything up.
"""

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

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
        raise ValueError("write it as host:port, such as 127.0.0.1:9099")
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ValueError("write it as host:port, such as 127.0.0.1:9099")
    return value


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
