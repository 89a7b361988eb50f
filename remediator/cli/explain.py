"""`remediator explain`: which rules match an alert or why not, and what a run would do. Nothing is done."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.send import parse_pairs, payload
from remediator.cli.service import FINDINGS, USAGE, Service, fail, find_run, plain, settings_of
from remediator.model.alert import Alert
from remediator.model.ids import Fingerprint

if TYPE_CHECKING:
    from remediator.cli.explained import Gathered
    from remediator.cli.figures import Figures
    from remediator.kit.redaction import Redactor
    from remediator.pipeline.explaining import Explanation
    from remediator.rules.book import Book
    from remediator.settings import Settings

_WAYS = (
    "give an alert to explain: a file with Alertmanager's payload (`-` for standard input), or a name with its labels "
    "(ServiceDown -l service=web), or a stored one by --fingerprint or --run"
)
_NOBODYS = (
    "Is it the right alert, with all its labels? Then let a rule match it: {}, and docs/rules.md says how a rule is "
    "written."
)
_NEAR = "what those that come near ask for stands above (--all: what each rule asks for)"
_EVERY = "what each rule asks for stands above"
_NONE_NEAR = "none comes near it (--all: what each rule asks for)"
_NO_RULES = "there is none at all"


@click.command
@click.argument("source", required=False)
@click.option("-l", "--label", "labels", multiple=True, callback=parse_pairs, help="A label, name=value.")
@click.option("-a", "--annotation", "annotations", multiple=True, callback=parse_pairs, help="An annotation.")
@click.option("--fingerprint", help="Explain the alert with this fingerprint that the running service has stored.")
@click.option("--run", help="Explain the alert of this run; the end of its id is enough.")
@options.rule_paths
@click.option("--gather", is_flag=True, help="Look at the world: gather evidence, choose the remedy, draw its plan.")
@click.option("--all", "every_rule", is_flag=True, help="Show every rule, also those that come nowhere near.")
@options.output
@options.url
@click.pass_context
def explain(
    ctx: click.Context,
    source: str | None,
    labels: dict[str, str],
    annotations: dict[str, str],
    fingerprint: str | None,
    run: str | None,
    paths: tuple[Path, ...],
    gather: bool,  # noqa: FBT001 - click gives it so
    every_rule: bool,  # noqa: FBT001 - click gives it so
    output: str,
    url: str | None,
) -> None:
    """Say what the rules here make of an alert: which match or why not, and the plan. Nothing is done.

    SOURCE is a file with the payload of Alertmanager's webhook (`-` reads standard input), or an alert's name.
    Ends with 0 if every alert has a rule that matches it, and with 1 if any alert of a payload has none; the heartbeat
    needs none.
    """
    if sum(given is not None for given in (source, fingerprint, run)) != 1:
        raise click.UsageError(_WAYS, ctx)
    if (labels or annotations) and (source is None or _is_file(source, named=False)):
        raise click.UsageError(f"--label and --annotation belong to an alert's name; {_WAYS}", ctx)
    settings = settings_of(ctx)
    if source is not None:
        alerts = _alerts_of(source, labels, annotations)
    else:
        alerts = (_stored(Service.of(ctx, url), fingerprint, run),)
    from remediator.cli.loading import book_of

    book, places = book_of(settings, paths)
    redactor, explained = asyncio.run(_explain(alerts, book, settings, gather=gather))
    from remediator.cli.figures import Figures

    figures = Figures(settings.limits, ctx.find_root().obj, places)
    if output == "json":
        _print_json(explained, redactor, figures, _alert_from(settings))
    else:
        _print_text(explained, redactor, settings, figures, every_rule=every_rule)
    nobodys = [found for found, _ in explained if not found.matching and not found.is_heartbeat]
    if nobodys:
        click.echo(_NOBODYS.format(_what_stands_above(nobodys, every_rule=every_rule)), err=True)
        raise SystemExit(FINDINGS)


def _what_stands_above(nobodys: "Sequence[Explanation]", *, every_rule: bool) -> str:
    """What is shown of the rules that do not match."""
    if not any(found.rules for found in nobodys):
        return _NO_RULES
    if every_rule:
        return _EVERY
    return _NEAR if any(found.near for found in nobodys) else _NONE_NEAR


Explained = Sequence[tuple["Explanation", "Gathered"]]


async def _explain(
    alerts: Sequence[Alert], book: "Book", settings: "Settings", *, gather: bool
) -> tuple["Redactor", Explained]:
    from remediator.clients import Clients
    from remediator.kit import logs
    from remediator.kit.clock import SystemClock
    from remediator.kit.metrics import Metrics
    from remediator.kit.redaction import Redactor
    from remediator.pipeline.calls import Calls
    from remediator.pipeline.explaining import explain as explain_alert
    from remediator.pipeline.guards import Guards
    from remediator.pipeline.guards.deploys import Deploys
    from remediator.pipeline.guards.effective import limits_by
    from remediator.pipeline.guards.health_floor import HealthFloor
    from remediator.pipeline.guards.pause_file import PauseFile
    from remediator.pipeline.guards.shipped import shipped
    from remediator.pipeline.rehearsal import Rehearsal, nothing_known

    redactor = Redactor(settings.secrets())
    logs.configure(level="error", style=settings.log.style, redactor=redactor)
    clients = Clients(settings)
    calls = Calls(clients, SystemClock(), redactor, Metrics())
    file = PauseFile(settings.pause_path, is_set=settings.pause_file is not None)
    probes = (file, HealthFloor(calls), Deploys(calls, nothing_known))
    guards = Guards(shipped(settings.calendar, settings.protected), nothing_known, probes)
    rehearsal = Rehearsal(calls, guards, ceiling=settings.mode_ceiling, limits=limits_by(settings.limits))
    try:
        explained: list[tuple[Explanation, Gathered]] = []
        for alert in alerts:
            name = settings.heartbeat.alertname
            found = explain_alert(alert, book, ceiling=settings.mode_ceiling, clients=clients, heartbeat=name)
            if found.is_heartbeat:  # nothing would be looked at, nor planned
                explained.append((found, {}))
                continue
            found = await rehearsal.settle(found)
            looked = [(v.rule.id, await rehearsal.gather(alert, v.rule)) for v in found.matching] if gather else []
            explained.append((found, dict(looked)))
        return redactor, explained
    finally:
        await clients.close()


def _alert_from(settings: "Settings") -> str:
    """Who is asked whether an alert still fires."""
    from remediator.pipeline.guards.alert_source import source_of

    return source_of(
        has_alertmanager=settings.alertmanager.url is not None, has_prometheus=settings.prometheus.is_asked_for_alerts
    )


def _print_json(explained: Explained, redactor: "Redactor", figures: "Figures", alert_from: str) -> None:
    from remediator.cli.explained import as_json

    shown = [as_json(explanation, gathered, redactor, figures) for explanation, gathered in explained]
    click.echo(json.dumps({"alerts": shown, "alert_from": alert_from}, indent=2))


def _print_text(
    explained: Explained, redactor: "Redactor", settings: "Settings", figures: "Figures", *, every_rule: bool
) -> None:
    from remediator.cli.explained import Text

    text = Text(
        redactor,
        every_rule=every_rule,
        figures=figures,
        alert_from=_alert_from(settings),
    )
    for number, (explanation, gathered) in enumerate(explained):
        if number:
            click.echo()
        for line in text.lines(explanation, gathered):
            click.echo(line)


def _is_file(source: str, *, named: bool) -> bool:
    """Whether SOURCE is a payload rather than an alert's name; a name that is also a file is a name with labels."""
    return source == "-" or source.endswith(".json") or "/" in source or (named and Path(source).is_file())


def _alerts_of(source: str, labels: dict[str, str], annotations: dict[str, str]) -> tuple[Alert, ...]:
    now = datetime.now(UTC)
    if not _is_file(source, named=not labels and not annotations):
        given = {name: value for name, value in labels.items() if value}  # an empty label is none
        body = payload({**given, "alertname": source}, annotations, resolved=False, at=now)
        return _parsed(json.dumps(body).encode(), "the alert", now)
    alerts = _parsed(_read(source), "standard input" if source == "-" else source, now)
    if not alerts:
        fail(f"{plain(source)} holds no alert: its `alerts` are empty; {_WAYS}", USAGE)
    return alerts


def _read(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        fail(f"{plain(source)} cannot be read: {error.strerror}; {_WAYS}", USAGE)


def _parsed(body: bytes, where: str, now: datetime) -> tuple[Alert, ...]:
    from remediator.errors import BadPayload
    from remediator.web.webhook import parse_delivery

    try:
        return parse_delivery(body, received_at=now).alerts
    except BadPayload as error:
        fail(
            f"{plain(where)} is not a payload of Alertmanager's webhook: {plain(error)}\n"
            'It looks like {"alerts": [{"labels": {"alertname": "ServiceDown", "service": "web"}}]}; what a service '
            "was really sent is found by: remediator alerts",
            USAGE,
        )


def _stored(service: Service, fingerprint: str | None, run: str | None) -> Alert:
    """An alert that the running service has stored, by its fingerprint or a run."""
    from urllib.parse import quote

    if run is not None:
        path = f"/api/v1/runs/{quote(find_run(service, run), safe='')}"
        shown: dict[str, Any] = service.get(path, has="alert")["alert"]
    else:
        path = f"/api/v1/alerts/{quote(str(fingerprint), safe='')}"
        shown = service.get(path, has="labels")
    said = {name: shown.get(name) for name in ("labels", "annotations", "startsAt")}
    closed = shown.get("closed_at")
    ended = {"status": "resolved", "endsAt": closed} if closed else {"status": "firing"}
    body = json.dumps({"alerts": [{**said, **ended}]})
    (alert,) = _parsed(body.encode(), f"what {service.url} answers", datetime.now(UTC))
    return replace(alert, fingerprint=Fingerprint(str(shown["fingerprint"])))
