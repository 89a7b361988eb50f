"""Whether something listens at an address. Found by `remediator.plugins` through its entry point.

Where it may connect to is held by the client, to the networks that `tcp.allow` names. It only reads.
"""

from typing import Annotated

from pydantic import Field

from remediator.clients.addresses import is_outside
from remediator.plugins import ActionContext, Effect, Forbidden, Known, Params, Result, System, action
from remediator.settings import Settings


class ConnectParams(Params):
    """Where to connect to."""

    host: str
    """A name or an address, in the networks that `tcp.allow` names."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """The port."""


class Connected(Result):
    """Whether something listens there."""

    reachable: bool
    """Whether the connection was taken."""
    milliseconds: float
    """How long that took, looking up the name included."""
    error: str
    """Why not: `refused`, `timed out`, `no such host`, `no route to the host`, or the system's own words; empty where
    it was taken."""
    address: str
    """The address that was tried last; empty where the name is not known."""

    def brief(self) -> str:
        if self.reachable:
            return f"{self.address} takes connections, in {self.milliseconds:.0f} ms"
        return f"{self.address or 'it'} takes no connection: {self.error}"


def _say(params: ConnectParams) -> str:
    return f"connect to {params.host}:{params.port}"


def _place(params: ConnectParams) -> System:
    return System("tcp", (params.host.lower(), str(params.port)))


def _is_away(found: Connected) -> bool:
    return not found.reachable


def _forbids(settings: Settings, known: Known) -> Forbidden | None:
    """Where the host is an address that the client would refuse. That nothing may be reached is told elsewhere."""
    host = str(known.get("host", ""))
    if not settings.tcp.allow or not is_outside(host, settings.tcp.allow):
        return None
    what = f"may not connect to {host}, which is in none of the networks of tcp.allow"
    return Forbidden(what, "if it may, add its network to tcp.allow, else leave the step out")


@action("tcp.connect", effect=Effect.READ, system=_place, away=_is_away, say=_say, forbids=_forbids)
async def connect(ctx: ActionContext, params: ConnectParams) -> Connected:
    """Whether something listens at a host and port; not reaching it is an answer too."""
    found = await ctx.clients.tcp.connect(params.host, params.port)
    return Connected(
        reachable=not found.error,
        milliseconds=round(found.seconds * 1000, 1),
        error=found.error,
        address=found.address,
    )
