"""The whole examination: settings, rules and store first, then every service at once.

Called by the command. Each look is a function of its own that gives findings and raises nothing of ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from remediator.clients import Clients
from remediator.doctor import database, engines, escalation, local, places, servers, services, tokens
from remediator.doctor.finding import Finding, problem
from remediator.doctor.needs import Needs, needs_of
from remediator.errors import RemediatorError
from remediator.kit.redaction import Redactor, shorten
from remediator.plugins import Actions
from remediator.rules.loading import check_files
from remediator.settings import Settings

_LIMIT = 15.0  # seconds for one service, whatever its own limits are

Look = Callable[[Clients, Needs], Awaitable[list[Finding]]]

LOOKS: Mapping[str, Look] = {
    "store database": database.store,
    "tokens": tokens.tokens,
    "slack": services.slack,
    "slack socket": places.socket,
    "escalation": escalation.levels,
    "notify": places.notified,
    "alertmanager": services.alertmanager,
    "prometheus": services.prometheus,
    "docker": engines.docker,
    "redis": servers.redis,
    "postgres": servers.postgres,
}


async def examine(settings: Settings, actions: Actions) -> list[Finding]:
    """What is well and what is not, in the order in which it is best mended."""
    mistakes, book = await asyncio.to_thread(check_files, settings.rules, actions)
    needs = Needs() if book is None else needs_of(book)
    findings = [local.rules(settings, mistakes, book)]
    findings += local.approvers(settings, book)
    findings += local.nobody(settings, book, actions)
    findings += local.silences(settings, book)
    findings += local.forbidden_steps(settings, book)
    findings += await asyncio.to_thread(local.examine, settings, needs)
    clients = Clients(settings)
    redactor = Redactor(settings.secrets())
    try:
        found = await asyncio.gather(*(_looked(name, look, clients, needs) for name, look in LOOKS.items()))
    finally:
        await clients.close()
    findings += [finding for some in found for finding in some]
    return [_redacted(finding, redactor) for finding in findings]


async def _looked(name: str, look: Look, clients: Clients, needs: Needs) -> list[Finding]:
    try:
        async with asyncio.timeout(_LIMIT):
            return await look(clients, needs)
    except TimeoutError:
        return [problem(name, f"no answer within {_LIMIT:g} s", "is it running, and reachable from here?")]
    except RemediatorError as error:
        return [problem(name, str(error), "mend what the message names")]


def _redacted(finding: Finding, redactor: Redactor) -> Finding:
    def clean(text: str) -> str:
        return shorten(" ".join(redactor.text(text).split()), 600)

    return Finding(finding.what, finding.verdict, clean(finding.detail), clean(finding.remedy))
