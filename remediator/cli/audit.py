"""`remediator audit`: export the journal of what was decided and done, and verify that nobody has changed it."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import click

from remediator.cli import Suggesting, options
from remediator.cli.service import FINDINGS, USAGE, Service, fail, find_run, plain, settings_of
from remediator.kit.wording import counted

if TYPE_CHECKING:
    from remediator.model.audit import Sealed
    from remediator.model.chain import Head

_PAGE = 500
_FORMAT = "remediator audit journal 1"
_ODD = (KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""What comes of a line that somebody else has written."""
_TEXTS = ("what", "who", "via", "run", "subject", "digest", "origin", "outcome", "detail", "shown")


@click.group("audit", cls=Suggesting)
def audit() -> None:
    """Export the journal of what was decided and done, or verify that nobody has changed it."""


@audit.command("export")
@click.option("--run", help="Only what concerns this run (the end of its id will do); it cannot be verified.")
@click.option("-f", "--file", "path", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it.")
@options.url
@click.pass_context
def export(ctx: click.Context, run: str | None, path: Path | None, url: str | None) -> None:
    """Print the journal as JSON lines: a first line that says where it begins, then an entry a line.

    Entries come in the order of the chain, and those that are not sealed yet last.
    """
    service = Service.of(ctx, url)
    if path is None:
        _write(service, run, sys.stdout)
        return
    try:
        with path.open("w", encoding="utf-8") as file:
            count = _write(service, run, file)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}", USAGE)
    click.echo(f"{counted(count, 'entry', 'entries')} in {path}")


@audit.command("verify")
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--head", help="PLACE:SEAL, as the log or the metrics had it once: the chain has to have that there.")
@click.option(
    "--key-file",
    "key_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with one more key, if the journal was sealed with another one than the settings have; repeatable.",
)
@options.url
@click.pass_context
def verify(
    ctx: click.Context, path: Path | None, head: str | None, key_files: tuple[Path, ...], url: str | None
) -> None:
    """Compute the seals of the journal anew, the service's own or an export in FILE, and say what is wrong first.

    The key is that of the settings: audit.key, or the file audit-key in store.directory. With a FILE, nothing else is
    needed, and no service. That the newest entries were cut off only shows with a head: without --head, and of the
    journal of the service of the settings, that is the one in the file audit-head in store.directory. Exit code 1 where
    something is wrong.
    """
    from remediator.model.chain import check_chain

    wanted = _head(head) if head is not None else _noted(ctx, url) if path is None else None
    begins, entries = _read(path) if path is not None else _fetch(Service.of(ctx, url))
    if head is None and wanted is not None and wanted[0] < begins[0]:
        wanted = None  # noted by a process that has not sealed for long
    report = check_chain(entries, keys=_keys(ctx, key_files), begins=begins, head=wanted)
    since = f", from place {report.begins + 1} on (what was older was dropped)" if report.begins else ""
    click.echo(f"verified: {counted(report.verified, 'entry', 'entries')}{since}")
    if report.unsealed:
        click.echo(f"not sealed yet: {counted(report.unsealed, 'entry', 'entries')}")
    click.echo(f"head: {report.head[0]}:{report.head[1]}")
    if report.finding:
        fail(f"wrong: {plain(report.finding)}", FINDINGS)


def _write(service: Service, run: str | None, file: IO[str]) -> int:
    """How many entries there were."""
    only = find_run(service, run) if run is not None else None
    begins, entries = _whole(service) if only is None else _pages(service, f"run={quote(only, safe='')}")
    file.write(json.dumps({"format": _FORMAT, "begins": begins, "run": only}) + "\n")
    lines = (json.dumps(entry) + "\n" for entry in entries)
    return sum(1 for line in lines if file.write(line))


_Entries = Iterable[Mapping[str, Any]]


def _whole(service: Service) -> tuple[dict[str, Any], _Entries]:
    """Where the journal begins, and all its entries: the chain, and then what is not sealed yet.

    The latter is asked for first: what is sealed in between stands in the chain then, and none is missed.
    """
    unsealed = {entry["seq"]: entry for entry in _pages(service, "part=unsealed")[1]}
    begins, sealed = _pages(service, "part=sealed")

    def entries() -> Iterator[Mapping[str, Any]]:
        for entry in sealed:
            unsealed.pop(entry["seq"], None)
            yield entry
        yield from unsealed.values()

    return begins, entries()


def _pages(service: Service, part: str) -> tuple[dict[str, Any], _Entries]:
    """Where the journal begins, as the first page says it, and the entries of this and all others."""
    path, by = f"/api/v1/audit?{part}&limit={_PAGE}", "seq" if part == "part=unsealed" else "place"
    first = service.get(path, has="entries")

    def entries() -> Iterator[Mapping[str, Any]]:
        found = first["entries"]
        while True:
            yield from found
            if len(found) < _PAGE:
                return
            if found[-1][by] is None:
                fail("the newest entries are not sealed yet, and are more than a page; try again in a moment", FINDINGS)
            found = service.get(f"{path}&after={found[-1][by]}", has="entries")["entries"]

    return first["begins"], entries()


def _fetch(service: Service) -> "tuple[Head, Iterable[Sealed]]":
    """Where the journal of the service begins, and its entries."""
    begins, entries = _whole(service)
    return (begins["place"], begins["seal"]), map(_sealed, entries)


def _read(path: Path) -> "tuple[Head, Iterable[Sealed]]":
    """The same of an export."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path} cannot be read: {error}", USAGE)
    try:
        first = json.loads(lines[0])
        is_ours = first["format"] == _FORMAT
        begins = int(first["begins"]["place"]), str(first["begins"]["seal"])
        run = first["run"]
    except (IndexError, *_ODD):
        is_ours, begins, run = False, (0, ""), None
    if not is_ours:
        fail(f"{path} is no export of the journal: its first line does not say so", USAGE)
    if run is not None:
        fail(f"{path} has the entries of one run alone, which make no chain; export the whole journal", USAGE)
    return begins, [_parsed(path, number, line) for number, line in enumerate(lines[1:], 2)]


def _parsed(path: Path, number: int, line: str) -> "Sealed":
    try:
        return _sealed(json.loads(line))
    except _ODD:
        fail(f"wrong: line {number} of {path} is no entry of the journal", FINDINGS)


def _sealed(shown: Mapping[str, Any]) -> "Sealed":
    """An entry as it is stored; what is no text makes it another one, and its seal does not fit."""
    from remediator.model.audit import AuditEntry, Sealed

    texts = {name: str(shown[name]) for name in _TEXTS}
    at = datetime.fromisoformat(shown["at"])
    place = None if shown["place"] is None else int(shown["place"])
    seal, key = (None if shown[name] is None else str(shown[name]) for name in ("seal", "key"))
    if not (seal or "").isascii():
        raise ValueError("a seal is of hexadecimal digits")
    return Sealed(int(shown["seq"]), AuditEntry(at=at, **texts), place, seal, key)


def _head(text: str) -> "Head":
    from remediator.model.chain import SHORTEST_SEAL

    place, _, seal = text.partition(":")
    digits = set("0123456789abcdef")
    if not (place.isascii() and place.isdecimal() and len(seal) >= SHORTEST_SEAL and set(seal) <= digits):
        fail(
            f"--head takes PLACE:SEAL, with at least {SHORTEST_SEAL} digits of the seal, as the log says it "
            "(`audit_head`)",
            USAGE,
        )
    return int(place), seal


def _noted(ctx: click.Context, url: str | None) -> "Head | None":
    """The head that the service has noted last, where its folder is here: that of the settings, and no other."""
    from remediator.pipeline.noted_head import HeadFile

    if not Service.of(ctx, url).is_ours:
        return None
    noted = HeadFile(settings_of(ctx).store.directory).read()
    return noted.head if noted is not None else None


def _keys(ctx: click.Context, files: tuple[Path, ...]) -> dict[str, bytes]:
    """All keys that there are, by their ids."""
    from remediator.model.audit import key_id
    from remediator.pipeline.audit_key import KEY_FILE

    settings = settings_of(ctx)
    found: list[bytes] = []
    own = settings.store.directory / KEY_FILE
    if settings.audit.key is not None:
        found.append(settings.audit.key.get_secret_value().encode())
    elif own.exists() or not files:
        files = (*files, own)
    for file in files:
        try:
            found.append(file.read_text(encoding="utf-8").strip().encode())
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            fail(f"the key in {file} cannot be read: {why}; set audit.key, or name its file by --key-file", USAGE)
    return {key_id(key): key for key in found}
