"""Asking PostgreSQL servers. Found by `remediator.plugins` through its entry point. It only reads."""

from typing import Literal

from remediator.plugins import ActionContext, Effect, Params, Permission, Result, System, action

_STATES = (
    "active",
    "idle",
    "idle in transaction",
    "idle in transaction (aborted)",
    "fastpath function call",
    "starting",
    "disabled",
    "hidden",
)


class ServerParams(Params):
    """Which server."""

    server: str = "default"
    """Its name in the settings, under `postgres`."""


class Ready(Result):
    """Whether a PostgreSQL server takes connections."""

    status: Literal["accepting", "rejecting", "no_response"]
    """`accepting`, also where it only refuses this login, as `pg_isready` says it; `rejecting`: it starts up, shuts
    down, or has too many connections (which `pg_isready` takes for accepting); `no_response`: connection refused, no
    answer in time, connection lost."""
    login: bool
    """Whether the login worked."""
    sqlstate: str
    """The code of what the server answered, such as `57P03` (starting up or shutting down), `53300` (too many
    connections), `28P01` (wrong password); empty where it answered with no error."""
    milliseconds: float
    """How long it took."""
    error: str
    """Why there was no login."""

    def brief(self) -> str:
        if self.login:
            return f"accepting connections, login in {self.milliseconds:.0f} ms"
        said = {"accepting": "accepting connections", "rejecting": "rejecting connections"}
        return f"{said.get(self.status, 'no response')}: {self.error}"


class Connections(Result):
    """How many connections there are."""

    used: int
    """How many clients are connected, this question included."""
    max_connections: int
    """How many there may be."""
    reserved: int
    """How many of these are kept for superusers."""
    percent: float
    """How much of `max_connections` is used."""
    by_state: dict[str, int]
    """How many are in each state, 0 included: `active`, `idle`, `idle in transaction`, `idle in transaction (aborted)`,
    `fastpath function call`, `starting`, `disabled`; `hidden` where this user may not see it (the role `pg_monitor`
    may)."""

    def brief(self) -> str:
        states = ", ".join(f"{number} {state}" for state, number in sorted(self.by_state.items()) if number)
        return f"{self.used} of {self.max_connections} connections used ({self.percent:.0f} %): {states}"


def _say_ready(params: ServerParams) -> str:
    return f"ask whether PostgreSQL server {params.server} takes connections"


def _say_connections(params: ServerParams) -> str:
    return f"count the connections of PostgreSQL server {params.server}"


def _server(params: ServerParams) -> System:
    return System("postgres", (params.server,))


def _is_away(found: Ready) -> bool:
    return found.status == "no_response"


@action("postgres.ready", effect=Effect.READ, system=_server, away=_is_away, say=_say_ready)
async def ready(ctx: ActionContext, params: ServerParams) -> Ready:
    """Whether a PostgreSQL server takes connections, and whether we can log in; not answering is an answer too."""
    found = await ctx.clients.postgres(params.server).ready()
    return Ready(
        status=found.status.value,
        login=found.login,
        sqlstate=found.sqlstate,
        milliseconds=round(found.seconds * 1000, 1),
        error=found.error,
    )


@action(
    "postgres.connections",
    effect=Effect.READ,
    system=_server,
    say=_say_connections,
    permissions=(Permission("pg_read_all_stats", without="the state of other users' connections is hidden"),),
)
async def connections(ctx: ActionContext, params: ServerParams) -> Connections:
    """How many connections a PostgreSQL server has, by state, and how many it may have."""
    found = await ctx.clients.postgres(params.server).connections()
    used = sum(found.by_state.values())
    return Connections(
        used=used,
        max_connections=found.most,
        reserved=found.reserved,
        percent=round(100 * used / found.most, 1) if found.most > 0 else 0.0,
        by_state={**dict.fromkeys(_STATES, 0), **found.by_state},
    )
