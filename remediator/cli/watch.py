"""`remediator runs watch`: a run as it goes on, or all that are under way, until they end."""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr
from functools import partial
from typing import Any, TypeVar

import click

from remediator.cli import options
from remediator.cli.service import FINDINGS, NOT_REACHABLE, Service, find_run, plain
from remediator.cli.telling import state_of, tell_events
from remediator.model.outcome import Outcome

_LOOK_EVERY = 1.0  # seconds
_GOOD = (Outcome.HEALED, Outcome.TOLD, Outcome.RESOLVED_BY_ITSELF)
_STOPPED = 130  # what a shell takes for an interruption
_MOST = 500
_PATIENCE = 60.0  # seconds that the service may be away, once it has answered

T = TypeVar("T")


class _Watched:
    """One run, and what was printed of it."""

    def __init__(self, run: Mapping[str, Any], tag: str) -> None:
        self.run = run
        self._tag = tag
        self._printed: set[tuple[str, ...]] = set()
        self._waited: str | None = None

    def news(self, run: Mapping[str, Any]) -> Iterator[str]:
        """The lines that are new since the last time."""
        self.run = run
        for event in tell_events(run):
            if event not in self._printed:
                self._printed.add(event)
                yield from (f"{self._tag}{line}" for line in event)
        digest = run["waiting"]["digest"] if run["waiting"] else None
        if digest is not None and digest != self._waited:
            yield f"{self._tag}it waits for a person: remediator approve {plain(run['id'])}, or deny it --reason …"
        self._waited = digest

    @property
    def outcome(self) -> str | None:
        outcome: str | None = self.run["outcome"]
        return outcome


@click.command("watch")
@click.argument("run", required=False)
@options.url
@click.pass_context
def watch(ctx: click.Context, run: str | None, url: str | None) -> None:
    """Follow the run RUN until it ends, printing what happens in it; the end of its id is enough.

    Without RUN, all runs that are under way are followed, and those that begin meanwhile. Ends with 0 if all of them
    ended as healed, told, or resolved by itself, and with 1 if not. Interrupt it at any time: the runs go on. A service
    that is started again meanwhile is waited for, a minute at the most.
    """
    service = Service.of(ctx, url)
    try:
        good = _follow_one(service, find_run(service, run)) if run is not None else _follow_all(service)
    except KeyboardInterrupt:
        click.echo("\nnot watched any more; what is under way goes on")
        raise SystemExit(_STOPPED) from None
    if not good:
        raise SystemExit(FINDINGS)


def _follow_one(service: Service, run: str) -> bool:
    """Whether it has ended well."""
    watched = _Watched(_read(service, run), "")
    click.echo(f"run {plain(run)} of {plain(watched.run['rule'])}: {plain(watched.run['summary'])}")
    _print(watched, watched.run)
    while watched.outcome is None:
        time.sleep(_LOOK_EVERY)
        _print(watched, _patiently(service, lambda: _read(service, run)))
    click.echo(f"ended: {watched.outcome}")
    return watched.outcome in _GOOD


def _follow_all(service: Service) -> bool:
    """Whether all have ended well that were under way, or have begun since."""
    open_runs: dict[str, _Watched] = {}
    good, any_seen = True, False
    while True:
        active = _patiently(service, lambda: _active(service)) if any_seen else _active(service)
        for run in [*active[::-1], *(run for run in open_runs if run not in active)]:
            found = _patiently(service, partial(_read, service, run))
            if run not in open_runs:
                open_runs[run] = _Watched(found, f"[{run[-4:]}] ")
                click.echo(f"[{run[-4:]}] run {plain(run)} of {plain(found['rule'])}: {plain(found['summary'])}")
            _print(open_runs[run], found)
            if found["outcome"] is not None:
                click.echo(f"[{run[-4:]}] ended: {plain(state_of(found))}")
                good = good and found["outcome"] in _GOOD
                del open_runs[run]
            any_seen = True
        if not open_runs:
            if not any_seen:
                click.echo("no active runs")
            return good
        time.sleep(_LOOK_EVERY)


def _active(service: Service) -> list[str]:
    """The runs that are under way, the newest first."""
    return [str(one["id"]) for one in service.get(f"/api/v1/runs?active=true&limit={_MOST}", has="runs")["runs"]]


def _patiently(service: Service, ask: Callable[[], T]) -> T:
    """What it answers, also where it is started again meanwhile; ends the program where it stays away."""
    until, is_told = time.monotonic() + _PATIENCE, False
    while True:
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                return ask()
        except SystemExit as away:
            if away.code != NOT_REACHABLE or time.monotonic() >= until:
                click.echo(said.getvalue(), nl=False, err=True)
                raise
        if not is_told:
            click.echo(f"the service at {service.url} does not answer; it is asked again for a minute", err=True)
            is_told = True
        time.sleep(_LOOK_EVERY)


def _print(watched: _Watched, found: Mapping[str, Any]) -> None:
    for line in watched.news(found):
        click.echo(line)


def _read(service: Service, run: str) -> dict[str, Any]:
    from urllib.parse import quote

    return service.get(f"/api/v1/runs/{quote(run, safe='')}", has="timeline")
