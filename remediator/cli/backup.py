"""`remediator backup`: a copy of the store, while the service runs or not."""

from pathlib import Path

import click

from remediator.cli.service import FINDINGS, USAGE, fail, settings_of
from remediator.errors import Failed, Mistaken


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.pass_context
def backup(ctx: click.Context, file: Path, *, force: bool) -> None:
    """Copy the embedded store to FILE; the service may run meanwhile.

    The copy is that of the moment in which it began: every alert that was answered 202 before is in it. It is looked
    through before it gets its name, and only its owner may read it.
    """
    settings = settings_of(ctx)
    if settings.store.url is not None:
        fail("store.url keeps everything in PostgreSQL; back that up with its own tools, such as pg_dump", USAGE)
    from remediator.storage.sqlite.backup import back_up

    try:
        size = back_up(settings.store.directory, file, force=force)
    except Mistaken as error:
        fail(str(error), USAGE)
    except Failed as error:
        fail(str(error), FINDINGS)
    click.echo(f"{file}: {size / 2**20:.1f} MiB, whole and looked through")
