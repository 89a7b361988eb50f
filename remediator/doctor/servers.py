"""Asks every Redis and PostgreSQL server that the settings name, and whether its user may do what the rules need.

Called by the examination. Nothing is changed there.
"""

import asyncio

from remediator.clients import Clients
from remediator.clients.postgres import PostgresServer
from remediator.clients.redis import Denial, RedisServer
from remediator.doctor.finding import Finding, ok, problem, warning
from remediator.doctor.local import unnamed
from remediator.doctor.needs import Needs, Wanted
from remediator.errors import RemediatorError

_WELL = "answers, and lets us in"


async def redis(clients: Clients, needs: Needs) -> list[Finding]:
    """Every Redis server, logged in to, and the commands that rules need there."""
    servers = clients.settings.redis
    found = await asyncio.gather(
        *(_redis(clients.redis(name), servers[name].username or "default", needs) for name in servers)
    )
    return [*(one for some in found for one in some), *unnamed("redis", servers, needs, "add it under redis")]


async def _redis(server: RedisServer, user: str, needs: Needs) -> list[Finding]:
    what = f"redis {server.name}"
    wanted = {one.name: one for one in needs.permissions("redis", server.name)}
    try:
        denials = await server.denials({"ping", *wanted})
    except RemediatorError as error:
        return [problem(what, str(error), f"check redis.{server.name}, its password and its network")]
    if not denials:
        return [ok(what, _WELL)]
    return [_denied(what, denial, wanted.get(denial.command), user) for denial in denials]


def _denied(what: str, denial: Denial, wanted: Wanted | None, user: str) -> Finding:
    said = f"user {user} may not run {denial.command.upper()}"
    remedy = f"ACL SETUSER {user} +{denial.command} (and ACL SAVE, if its users are kept in a file)"
    if not denial.lacks_right:
        said = f"it does not know {denial.command.upper()}"
        remedy = "look for rename-command in its configuration"
    if wanted is None:
        return problem(what, f"{said}: {denial.said}", remedy)
    if wanted.without:
        return warning(what, f"answers, but {said}: {wanted.without} ({wanted.users_say})", remedy)
    return problem(what, f"{said}; needed by {wanted.users_say}", remedy)


async def postgres(clients: Clients, needs: Needs) -> list[Finding]:
    """Every PostgreSQL server, logged in to, and the roles that rules need there."""
    servers = clients.settings.postgres
    found = await asyncio.gather(*(_postgres(clients.postgres(name), needs) for name in servers))
    return [*(one for some in found for one in some), *unnamed("postgres", servers, needs, "add it under postgres")]


async def _postgres(server: PostgresServer, needs: Needs) -> list[Finding]:
    what = f"postgres {server.name}"
    wanted = {one.name: one for one in needs.permissions("postgres", server.name)}
    try:
        await server.ping()
        missing = await server.missing(wanted) if wanted else None
    except RemediatorError as error:
        remedy = f"check postgres.{server.name}, its password, pg_hba.conf and its network"
        return [problem(what, str(error), remedy)]
    if missing is None or not missing.roles:
        return [ok(what, _WELL)]
    return [_missing(what, role, wanted[role], missing.user) for role in missing.roles]


def _missing(what: str, role: str, wanted: Wanted, user: str) -> Finding:
    remedy = f"GRANT {role} TO {quoted(user)}"
    if wanted.without:
        said = f"answers, but user {user} has not the rights of {role}: {wanted.without} ({wanted.users_say})"
        return warning(what, said, remedy)
    return problem(what, f"user {user} has not the rights of {role}, needed by {wanted.users_say}", remedy)


def quoted(name: str) -> str:
    """A name as PostgreSQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
