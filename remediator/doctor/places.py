"""Looks whether other places that hear of runs can be told, and whether Socket Mode would get a connection.

Called by the examination. Nobody is told anything: of a webhook it is known that something listens there, of apprise
that it is installed and knows the address. No connection of Socket Mode is opened: Slack would send presses over it.
"""

import asyncio

from remediator.clients import Clients
from remediator.clients.apprise import AppriseClient
from remediator.doctor.escalation import connects
from remediator.doctor.finding import Finding, ok, problem
from remediator.doctor.needs import Needs
from remediator.errors import BadSettings
from remediator.settings import NotifySettings


async def notified(clients: Clients, needs: Needs) -> list[Finding]:
    """Every place of the settings."""
    del needs
    return list(await asyncio.gather(*(_place(name, place) for name, place in clients.settings.notify.items())))


async def _place(name: str, place: NotifySettings) -> Finding:
    what = f"notify {name}"
    if place.webhook is not None:
        return await connects(what, place.webhook.get_secret_value(), place.timeout, f"notify.{name}")
    if place.url is None:
        return problem(what, "it has no address", f"give notify.{name} a url or a webhook")
    try:
        client = await asyncio.to_thread(AppriseClient, name, place.url, place)
    except BadSettings as error:
        return problem(what, str(error), f"correct notify.{name}")
    return ok(what, f"apprise knows the address of {client.place}; it was told nothing")


async def socket(clients: Clients, needs: Needs) -> list[Finding]:
    """Whether Slack would open a connection. Raises RemediatorError where it would not."""
    del needs
    slack = clients.settings.slack
    if slack.app_token is None:
        return []
    from remediator.clients.slack_socket import SlackSocketClient

    client = SlackSocketClient(token=slack.app_token.get_secret_value(), base_url=slack.base_url)
    try:
        await client.address()
    finally:
        await client.close()
    return [ok("slack socket", "Socket Mode is switched on, and the app token is good")]
