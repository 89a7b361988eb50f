"""Asks Slack, Prometheus and Alertmanager, with the rights that are needed; nothing is changed there."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from remediator.clients import Clients
from remediator.clients.slack import SlackClient, is_channel_id
from remediator.doctor.calls import refused
from remediator.doctor.finding import Finding, ok, problem, warning
from remediator.doctor.needs import Needs
from remediator.documents import read_document
from remediator.errors import RemediatorError
from remediator.kit.redaction import shorten
from remediator.kit.wording import counted
from remediator.model.plan import Mode
from remediator.settings import Settings, SlackSettings

_WEBHOOK = "/api/v1/alerts"
_SHOWN, _NAME_LIMIT = 8, 80


async def slack(clients: Clients, needs: Needs) -> list[Finding]:
    """The token, its scopes, the channel, and whether people can decide there."""
    settings = clients.settings.slack
    if settings.token is None:
        said = "not configured, so the story is printed on the terminal"
        return [warning("slack", said, "set slack.token and slack.channel")]
    client = SlackClient(token=settings.token.get_secret_value(), base_url=settings.base_url)
    try:
        return [*await _slack(client, settings), *_deciding(clients.settings, needs)]
    except RemediatorError as error:
        return [problem("slack", str(error), "check slack.token, slack.base_url and the network")]
    finally:
        await client.close()


async def _slack(client: SlackClient, settings: SlackSettings) -> list[Finding]:
    who, channel = await client.identity(), settings.channel
    findings = [ok("slack", f"the token is {who.name}'s")]
    if who.scopes is not None and "chat:write" not in who.scopes:
        findings.append(problem("slack scopes", "chat:write is missing", "add it to the app and install it anew"))
    can_read = who.scopes is None or bool({"channels:history", "groups:history"} & who.scopes)
    if not can_read:
        remedy = "add channels:history: after a crash, messages are looked for instead of being sent again"
        findings.append(warning("slack scopes", "the channel's history may not be read", remedy))
    if settings.interactive and who.scopes is not None and "commands" not in who.scopes:
        remedy = "add the scope commands and the slash command to the app: docs/slack.md"
        findings.append(warning("slack commands", "/remediator cannot be there without its scope", remedy))
    if settings.team is not None and who.team is not None and settings.team != who.team:
        remedy = "correct slack.team, or slack.token: until then nothing that people press is taken"
        findings.append(problem("slack team", f"the token is of {who.team}, not of {settings.team}", remedy))
    if not is_channel_id(channel):
        remedy = "set slack.channel to the id (C…) in the channel's details"
        findings.append(warning("slack channel", f"{channel} is a name; whether we are in it cannot be told", remedy))
    elif can_read:
        findings.append(await _channel(client, channel))
    return findings


def _deciding(settings: Settings, needs: Needs) -> list[Finding]:
    """Whether people can answer in Slack what rules ask them there."""
    if settings.mode_ceiling not in (Mode.GATED, Mode.AUTO):
        return []
    asking = sorted(rule for rule, asks in needs.acting.items() if asks or settings.mode_ceiling is Mode.GATED)
    if not asking:
        return []
    who = ", ".join(asking[:_SHOWN]) + (" …" if len(asking) > _SHOWN else "")
    if not settings.slack.interactive:
        said = f"people can answer what these ask by the terminal and the API alone: {who}"
        return [warning("slack buttons", said, "set slack.signing_secret (or slack.app_token): docs/slack.md")]
    if not any(person.slack for person in settings.people.values()):
        said = f"nobody in `people` has a member id in Slack, so nobody can answer there what these ask: {who}"
        return [problem("slack people", said, "add people.<name>.slack")]
    return []


async def _channel(client: SlackClient, channel: str) -> Finding:
    try:
        await client.history(channel, oldest=datetime.now(UTC))
    except RemediatorError as error:
        return problem("slack channel", str(error), "invite the app into the channel: /invite @its-name")
    return ok("slack channel", f"{channel} can be read")


async def prometheus(clients: Clients, needs: Needs) -> list[Finding]:
    """Whether it answers, and whether it has the alerts that rules wait for."""
    if clients.settings.prometheus.url is None:
        rules = ", ".join(sorted(needs.families.get("prometheus", ())))
        if not rules:
            return []
        return [problem("prometheus", f"{rules} asks it, and none is configured", "set prometheus.url")]
    names = await clients.prometheus.alert_names()
    findings = [ok("prometheus", f"{clients.settings.prometheus.url} answers; it has {counted(len(names), 'alert')}")]
    missing = sorted(set(needs.alertnames) - names)
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (" …" if len(missing) > _SHOWN else "")
        remedy = (
            "load their rules (deploy/prometheus/ has those of the shipped packs); another Prometheus may have them"
        )
        findings.append(warning("alerts", f"rules wait for alerts that this Prometheus has not: {shown}", remedy))
    return findings


async def alertmanager(clients: Clients, needs: Needs) -> list[Finding]:
    """Whether it answers, sends to us, resolves included, and lets through what rules do there."""
    client = clients.alertmanager
    if client is None:
        remedy = "set alertmanager.url: then doubtful alerts are asked about, and cut deliveries completed"
        return [warning("alertmanager", "none is configured", remedy)]
    text = await client.configuration()
    where = clients.settings.alertmanager.url
    remedy = "let {} through in the proxy before it; its address is alertmanager.url"
    asked = await asyncio.gather(
        *(
            refused(client.allows, wanted, system="alertmanager", remedy=remedy.format(wanted.name))
            for wanted in needs.permissions("alertmanager", "")
        )
    )
    receivers = _receivers(read_document(text, name="alertmanager").data)
    return [ok("alertmanager", f"{where} answers"), *(one for one in asked if one is not None), *receivers]


def _receivers(configuration: Any) -> list[Finding]:
    """Whether a receiver leads to our webhook. Alertmanager hides secrets, and a URL may be one."""
    if not isinstance(configuration, Mapping):
        return []
    hooks = [
        (shorten(str(receiver.get("name")), _NAME_LIMIT), hook)
        for receiver in _mappings_in(configuration, "receivers")
        for hook in _mappings_in(receiver, "webhook_configs")
    ]
    ours = [(name, hook) for name, hook in hooks if _is_ours(str(hook.get("url", "")))]
    if not ours and any(hook.get("url") == "<secret>" for _, hook in hooks):
        remedy = "look there yourself: after a first alert, remediator_alerts_total rises"
        return [warning("alertmanager receiver", "it hides the addresses of its webhooks", remedy)]
    if not ours:
        remedy = f"add a webhook_configs receiver with the url http://<this host>:9099{_WEBHOOK}, and a route to it"
        return [problem("alertmanager receiver", f"no receiver leads to {_WEBHOOK}", remedy)]
    quiet = sorted(name for name, hook in ours if hook.get("send_resolved") is False)
    if quiet:
        remedy = "set send_resolved: true: without it no run hears that its alert has ended"
        return [problem("alertmanager receiver", f"{', '.join(quiet)} does not send resolved alerts", remedy)]
    return [ok("alertmanager receiver", f"{', '.join(sorted({name for name, _ in ours}))} leads to {_WEBHOOK}")]


def _mappings_in(around: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The mappings of a list in what somebody answers, which may be anything."""
    found = around.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _is_ours(url: str) -> bool:
    try:
        return urlsplit(url).path.rstrip("/") == _WEBHOOK
    except ValueError:
        return False
