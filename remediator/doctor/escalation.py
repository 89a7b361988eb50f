"""Looks whether the levels that rules escalate to are there, and whether their webhooks can be connected to.

Called by the examination. A webhook is not told anything, not even a question: whoever is behind it would be called. So
what is known is that something listens there, with a certificate that is valid where the address says https.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

from yarl import URL

from remediator.clients import Clients
from remediator.doctor.finding import Finding, ok, problem
from remediator.doctor.needs import ESCALATION, Needs
from remediator.settings import EscalationSettings


async def levels(clients: Clients, needs: Needs) -> list[Finding]:
    """Every level of the settings, and those that rules name and the settings do not have."""
    known = clients.settings.escalation
    found = await asyncio.gather(*(_webhook(name, level) for name, level in known.items()))
    return [*(finding for finding in found if finding is not None), *_unknown(known, needs)]


def _unknown(known: Mapping[str, EscalationSettings], needs: Needs) -> Iterator[Finding]:
    for name in needs.names(ESCALATION):
        if name not in known:
            detail = f"{needs.rules_with(ESCALATION, name)} escalates to it, and it is not there: nobody would be told"
            remedy = f"add it under escalation, such as `{name}: {{channel: '#on-call'}}`"
            yield problem(f"escalation {name}", detail, remedy)


async def _webhook(name: str, level: EscalationSettings) -> Finding | None:
    if level.webhook is None:
        return None
    return await connects(f"escalation {name}", level.webhook.get_secret_value(), level.timeout, f"escalation.{name}")


async def connects(what: str, address: str, timeout: timedelta, setting: str) -> Finding:
    """Whether something listens at the address of a webhook. Nothing of it but host and port is told."""
    url = URL(address)
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=url.scheme == "https" or None)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        why = str(error) or "no answer in time"
        return problem(what, f"{url.host}:{url.port}: {why}", f"check {setting}.webhook and the network")
    return ok(what, f"{url.host}:{url.port} can be connected to; it was told nothing")
