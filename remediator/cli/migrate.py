"""`remediator migrate`: bring the store's tables to this version, ahead of an upgrade."""

import asyncio
from typing import TYPE_CHECKING

import click

from remediator.cli.service import FINDINGS, USAGE, fail, settings_of
from remediator.errors import Mistaken, RemediatorError

if TYPE_CHECKING:
    from remediator.settings import Settings


@click.command
@click.pass_context
def migrate(ctx: click.Context) -> None:
    """Bring the store's tables to the version that this program knows, and end.

    With PostgreSQL the service may run meanwhile. The embedded store is one program's at a time: stop the service.
    """
    settings = settings_of(ctx)
    try:
        place, version = asyncio.run(_migrate(settings))
    except Mistaken as error:
        fail(str(error), USAGE)
    except RemediatorError as error:
        fail(str(error), FINDINGS)
    click.echo(f"{place}: the tables are of version {version}")


async def _migrate(settings: "Settings") -> tuple[str, int]:
    """Where the store is, and the version of its tables."""
    from remediator.kit import logs
    from remediator.kit.clock import SystemClock
    from remediator.kit.metrics import Metrics
    from remediator.kit.redaction import Redactor
    from remediator.storage.store import Store

    logs.configure(level=settings.log.level, style=settings.log.style, redactor=Redactor(settings.secrets()))
    store: Store
    if settings.store.url is None:
        from remediator.storage.sqlite import SqliteStore

        store = SqliteStore(settings.store.directory, clock=SystemClock(), metrics=Metrics())
        place = str(settings.store.directory)
    else:
        from remediator.storage.postgres import PostgresStore

        store = PostgresStore(settings.store, clock=SystemClock(), metrics=Metrics())
        place = f"{settings.store.place.host}:{settings.store.place.port}, database {settings.store.place.database}"
    await store.open()
    try:
        return place, await store.version()
    finally:
        await store.close()
