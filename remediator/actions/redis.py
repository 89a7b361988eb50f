"""Asking and configuring Redis servers. Found by `remediator.plugins` through its entry point."""

from collections.abc import Mapping
from typing import Any, Literal

from remediator.actions.redis_config import ConfigBefore, ConfigParams, ConfigSet, config_set
from remediator.kit.redaction import shorten
from remediator.kit.wording import counted
from remediator.plugins import ActionContext, Effect, Params, Permission, Result, System, action

__all__ = ["ConfigBefore", "ConfigParams", "ConfigSet", "Pinged", "ServerParams", "config_set", "ping"]

_MEBIBYTE = 1024 * 1024


class ServerParams(Params):
    """Which server."""

    server: str = "default"
    """Its name in the settings, under `redis`."""


class Pinged(Result):
    """How a Redis server took a PING."""

    answers: bool
    """Whether it answered as it should."""
    status: Literal["ready", "loading", "login_refused", "failing", "no_response"]
    """`ready`; `loading` its data into memory; `login_refused`; `failing` (it answers with another error);
    `no_response` (connection refused, no answer in time, connection lost)."""
    milliseconds: float
    """How long it took."""
    error: str
    """Why it did not answer as it should."""
    version: str
    """Its version; empty where it does not tell, as all that follows."""
    role: str
    """`master` or `slave`, as it calls itself."""
    used_memory: int | None
    """How much memory its data takes, in bytes."""
    connected_clients: int | None
    """How many clients are connected, this question included."""

    def brief(self) -> str:
        if not self.answers:
            return f"no PONG: {self.error}"
        said = [f"PONG in {self.milliseconds:.0f} ms"]
        if self.version:
            said.append(f"Redis {self.version}, {self.role}")
        if self.used_memory is not None:
            said.append(f"{self.used_memory / _MEBIBYTE:.1f} MiB used")
        if self.connected_clients is not None:
            said.append(counted(self.connected_clients, "client"))
        return ", ".join(said)


def _number(info: Mapping[str, Any], name: str) -> int | None:
    found = info.get(name)
    return found if isinstance(found, int) else None


def _say(params: ServerParams) -> str:
    return f"PING Redis server {params.server}"


def _server(params: ServerParams) -> System:
    return System("redis", (params.server,))


def _is_away(found: Pinged) -> bool:
    return found.status == "no_response"


@action(
    "redis.ping",
    effect=Effect.READ,
    system=_server,
    away=_is_away,
    say=_say,
    permissions=(Permission("ping"), Permission("info", without="version, role, memory and clients are not told")),
)
async def ping(ctx: ActionContext, params: ServerParams) -> Pinged:
    """Whether a Redis server answers PING, and how it is; not answering is an answer too."""
    found = await ctx.clients.redis(params.server).ask()
    return Pinged(
        answers=found.status == "ready",
        status=found.status.value,
        milliseconds=round(found.seconds * 1000, 1),
        error=found.error,
        version=shorten(str(found.info.get("redis_version", "")), 40),
        role=shorten(str(found.info.get("role", "")), 40),
        used_memory=_number(found.info, "used_memory"),
        connected_clients=_number(found.info, "connected_clients"),
    )
