"""Tokens of the API that give their owner no more what they were made for.

Called by the examination. Where the store cannot be read, others say so.
"""

import asyncio
from datetime import UTC, datetime

from remediator.clients import Clients
from remediator.doctor.finding import Finding, warning
from remediator.doctor.needs import Needs
from remediator.errors import RemediatorError
from remediator.model.token import Token
from remediator.pipeline.people import People
from remediator.settings import StoreSettings


async def tokens(clients: Clients, needs: Needs) -> list[Finding]:
    """Good tokens with groups that the settings do not have (any more)."""
    del needs
    settings = clients.settings
    try:
        found = await _read(settings.store)
    except RemediatorError:
        return []
    people, now = People(settings.people, settings.approval), datetime.now(UTC)
    return [
        warning(
            f"token {token.id}",
            f"{token.subject} has it for {', '.join(missing)}, which approval.groups does not have (any more): no "
            "right comes of that",
            f"add the group, or: remediator tokens revoke {token.id}",
        )
        for token in found
        if token.is_good(now) and (missing := people.missing(token.groups))
    ]


async def _read(settings: StoreSettings) -> tuple[Token, ...]:
    """Either library takes its time to import, and most have just one."""
    if settings.url is not None:
        from remediator.storage.postgres import looking

        return await looking.list_tokens(settings)
    from remediator.storage.sqlite.looking import list_tokens

    return await asyncio.to_thread(list_tokens, settings.directory)
