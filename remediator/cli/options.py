"""The options that several commands take."""

from pathlib import Path

import click

url = click.option(
    "--url",
    help="Where the service is; else where the settings say that it listens. To an address that is not on "
    "this machine, only the token in REMEDIATOR_TOKEN (or `token` of the settings) is sent, never that of the "
    "local service.",
)
output = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
rule_paths = click.option(
    "-r",
    "--rules",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A rule file or a folder of them, instead of those of the settings; may be repeated.",
)
