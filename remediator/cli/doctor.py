"""`remediator doctor`: whether everything that the settings and rules need is there, and what to do where it is not."""

import asyncio
import json
from dataclasses import asdict

import click

from remediator.cli import options
from remediator.cli.loading import installed_actions
from remediator.cli.service import FINDINGS, plain, settings_of
from remediator.kit.wording import counted


@click.command
@options.output
@click.option("--all", "show_all", is_flag=True, help="Print what is well, too.")
@click.pass_context
def doctor(ctx: click.Context, output: str, *, show_all: bool) -> None:
    """Look whether everything that the settings and rules need is there; say what to do where it is not.

    Ends with 1 where something does not work. Nothing is changed anywhere.
    """
    settings = settings_of(ctx)
    from remediator.doctor.examination import examine
    from remediator.doctor.finding import Verdict

    findings = asyncio.run(examine(settings, installed_actions()))
    problems = [finding for finding in findings if finding.verdict is Verdict.PROBLEM]
    if output == "json":
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            if show_all or finding.verdict is not Verdict.OK:
                click.echo(f"{finding.verdict:8} {plain(f'{finding.what}: {finding.detail}')}")
                if finding.remedy:
                    click.echo(f"         → {plain(finding.remedy)}")
        well = sum(finding.verdict is Verdict.OK for finding in findings)
        warnings = len(findings) - well - len(problems)
        click.echo(f"{well} ok, {counted(warnings, 'warning')}, {counted(len(problems), 'problem')}")
    raise SystemExit(FINDINGS if problems else 0)
