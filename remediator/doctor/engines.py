"""Asks every Docker engine that the settings name, and whether it lets through what the loaded rules do there.

Called by the examination. A proxy with a list of what it allows often stands before an engine, and what a remedy needs
must not be found forbidden when it is needed. Nothing is done to a container.
"""

import asyncio
from datetime import timedelta

from remediator.clients import Clients
from remediator.clients.docker import DockerEngine
from remediator.doctor.calls import refused
from remediator.doctor.finding import Finding, ok, problem
from remediator.doctor.local import unnamed
from remediator.doctor.needs import Needs, Wanted
from remediator.errors import RemediatorError, Unavailable
from remediator.kit.wording import counted

_LIMIT = timedelta(seconds=5)  # an engine may take long for what it does, but not to say that it is there


async def docker(clients: Clients, needs: Needs) -> list[Finding]:
    """Every engine, all at once."""
    engines = clients.settings.docker.engines
    found = await asyncio.gather(*(_engine(clients.docker(name), engines[name], needs) for name in engines))
    return [*(one for some in found for one in some), *unnamed("docker", engines, needs, "add it under docker.engines")]


async def _engine(engine: DockerEngine, address: str, needs: Needs) -> list[Finding]:
    what = f"docker {engine.name}"
    try:
        await engine.ping(within=_LIMIT)
    except Unavailable as error:
        remedy = f"is the engine at {address} running, and may this user open its socket (group docker)?"
        return [problem(what, str(error), remedy)]
    except RemediatorError as error:
        return [problem(what, str(error), f"if {address} is a proxy, let GET /version through")]
    wanted = needs.permissions("docker", engine.name)
    asked = await asyncio.gather(*(_call(engine, one) for one in wanted))
    refused = [finding for finding in asked if finding is not None]
    if refused:
        return [ok(what, "answers"), *refused]
    lets = f", and lets the {counted(len(wanted), 'call')} of the rules through" if wanted else ", and lets us in"
    return [ok(what, f"answers{lets}")]


async def _call(engine: DockerEngine, wanted: Wanted) -> Finding | None:
    """What is wrong with a call, if something is."""
    remedy = f"let {wanted.name} through in the proxy before the engine, for any id, under /v<version> too"
    return await refused(engine.allows, wanted, system=f"docker {engine.name}", remedy=remedy)
