"""`remediator serve`: the service, until it is told to stop."""

import asyncio
import gc
import signal
import sys
from typing import TYPE_CHECKING

import click

from remediator.cli.service import fail, say_missing_rules, settings_of
from remediator.errors import BadRules, Mistaken, RemediatorError

if TYPE_CHECKING:
    from remediator.settings import Settings

_YOUNG = 10_000  # new objects, until Python looks for garbage among them; with its own 700 that is at every request
_TURN = 0.0005  # seconds that a thread keeps the others from Python: the store's writer is answered ten times as soon


@click.command
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Run the service until SIGTERM or SIGINT; SIGHUP has it read the rule files again."""
    # Until the rules are read it would end the process. Nothing is lost: what has changed by then is read again.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = settings_of(ctx)
    try:
        raise SystemExit(asyncio.run(_serve(settings)))
    except BadRules as error:
        fail("\n".join(filter(None, (str(error), say_missing_rules(settings)))), 2)
    except Mistaken as error:
        fail(str(error), 2)
    except RemediatorError as error:
        fail(str(error), 1)


async def _serve(settings: "Settings") -> int:
    """Serve until stopped; 0, or 1 where a part of the service died."""
    from remediator.app import App

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = App.build(settings, on_death=lambda _name, _error: stop.set())
    loop.add_signal_handler(signal.SIGHUP, app.reload_rules)
    try:
        await app.start()
        _tune_python()
        await stop.wait()
    finally:
        await app.stop()
    if app.died:
        click.echo(
            f"the part “{app.died}” has died, so the service stops; start it again (see the error above)", err=True
        )
    return 1 if app.died else 0


def _tune_python() -> None:
    """What was made until now stays to the end: looking through it for garbage again and again took a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    sys.setswitchinterval(_TURN)
