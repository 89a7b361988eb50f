"""What can be seen on this machine: rules, the store's folder, folders of files, commands, and who may call us."""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from remediator.doctor.allowed import denied
from remediator.doctor.finding import Finding, ok, problem, warning
from remediator.doctor.journal import journal
from remediator.doctor.needs import Needs
from remediator.documents import Mistake
from remediator.kit.private import is_open
from remediator.kit.wording import counted
from remediator.pipeline.approvers import doubtful_approvers
from remediator.pipeline.guards.names import endless_in_rules, endless_limits
from remediator.pipeline.guards.names import unknown_names as unknown_to_rules
from remediator.pipeline.silencing.silences import unsilenced_rules
from remediator.rules.book import Book
from remediator.settings import Settings

_LITTLE = 100 * 1024 * 1024  # bytes of disk; alerts are small, and a full disk refuses them all


def rules(settings: Settings, mistakes: Sequence[Mistake], book: Book | None) -> Finding:
    """Whether the rule files load."""
    if book is None:
        more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
        return problem("rules", f"{mistakes[0]}{more}", "remediator check lists them all")
    if not len(book):
        where = ", ".join(map(str, settings.rules))
        return warning("rules", f"no rules in {where}", "write one; docs/rules.md shows how")
    return ok("rules", f"{len(book)} loaded")


def approvers(settings: Settings, book: Book | None) -> Iterator[Finding]:
    """Rules of which plans wait for people who are not there."""
    for rule, sentence in doubtful_approvers(settings, book or Book()):
        yield warning(
            f"rule {rule}", sentence, "add people to approval.groups, or mend the gate's approvers and quorum"
        )


def silences(settings: Settings, book: Book | None) -> Iterator[Finding]:
    """Rules whose alerts cannot be silenced, or not for as long as they say."""
    for rule, sentence in unsilenced_rules(book or Book(), settings.alertmanager):
        yield warning(f"rule {rule}", sentence, "mend the settings under alertmanager, or the rule's `silence`")


def forbidden_steps(settings: Settings, book: Book | None) -> Iterator[Finding]:
    """Steps that would be refused, as the settings do not allow them."""
    for one in denied(settings, book or Book()):
        yield problem(f"rule {one.rule}", one.what, one.remedy)


def nobody(settings: Settings, book: Book | None, actions: Collection[str]) -> Iterator[Finding]:
    """What the settings name and is not there, and limits that nothing reaches."""
    unknown = () if book is None else unknown_to_rules(settings, book, actions)
    for one in (*endless_limits(settings), *unknown):
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in one.path)
        yield warning("settings", f"{where}: {one.what}", "correct it, or take it out")
    for rule, what in endless_in_rules(book or Book()):
        yield warning(f"rule {rule}", what, "correct it, unless that is what you mean")


def examine(settings: Settings, needs: Needs) -> list[Finding]:
    """Everything local."""
    return [
        _store(settings.store.directory),
        *journal(settings),
        *_pause_file(settings),
        _door(settings),
        *_folders(settings, needs),
        *_commands(settings, needs),
        *_networks(settings, needs),
    ]


def _store(directory: Path) -> Finding:
    """Nothing is made there: what the service makes at its first start is only its owner's to read."""
    there = next(path for path in (directory, *directory.absolute().parents) if os.path.lexists(path))
    is_there = there == directory
    if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK if is_there else os.W_OK | os.X_OK):
        why = "it is no folder" if not there.is_dir() else "permission denied, or the disk is read-only"
        at = "" if is_there else f"{there}: "
        remedy = "let the user that runs the service write there, or set store.directory"
        return problem("store", f"{directory} cannot be {'written' if is_there else 'made'}: {at}{why}", remedy)
    free = shutil.disk_usage(there).free
    if free < _LITTLE:
        return problem("store", f"{directory} has {free // 1024**2} MiB left", "free some space on that disk")
    if is_there and is_open(directory.stat().st_mode):
        remedy = f"chmod 0700 {directory} (the service does it at its start where the folder is its own)"
        return warning("store", f"{directory} can be read by other users of this machine", remedy)
    said = "is writable" if is_there else "can be made at the first start"
    return ok("store", f"{directory} {said}, {free // 1024**3} GiB free")


def _pause_file(settings: Settings) -> Iterator[Finding]:
    """Only where the settings name one: the folder of the other is the store's."""
    file = settings.pause_file
    if file is not None and not file.parent.is_dir():
        what = f"{file} cannot be looked for: there is no folder {file.parent}, so nothing is changed"
        yield problem("pause file", what, "mount it, or mend pause_file")


def _door(settings: Settings) -> Finding:
    refusal = settings.open_door()
    if refusal is not None:
        return problem("webhook", refusal, "the service refuses to start like this")
    if not settings.has_webhook_auth:
        return warning(
            "webhook",
            f"any program on this machine can post alerts to {settings.listen}",
            "add webhook.tokens, and the same token to Alertmanager's http_config",
        )
    keys = counted(len(settings.webhook.tokens) + len(settings.webhook.users), "key")
    return ok("webhook", f"{settings.listen}, with {keys}")


def _folders(settings: Settings, needs: Needs) -> Iterator[Finding]:
    for name, path in settings.files.roots.items():
        what = f"files {name}"
        is_changed = ("files", name) in needs.changed
        access = os.R_OK | os.X_OK | (os.W_OK if is_changed else 0)
        if not path.is_dir():
            yield problem(what, f"{path} is no folder", f"mount it, or mend files.roots.{name}")
        elif not os.access(path, access):
            wanted = "read and written" if is_changed else "read"
            rules = needs.rules_with("files", name)
            yield problem(what, f"{path} cannot be {wanted}", f"give the service's user the rights; needed by {rules}")
        else:
            yield ok(what, f"{path} can be {'read and written' if is_changed else 'read'}")
    yield from unnamed("files", settings.files.roots, needs, "add it under files.roots")


def _commands(settings: Settings, needs: Needs) -> Iterator[Finding]:
    for name, command in settings.commands.items():
        what = f"command {name}"
        program = command.argv[0]
        if not command.directory.is_dir():
            yield problem(what, f"its directory {command.directory} is no folder", f"mend commands.{name}.directory")
        elif shutil.which(program, path=command.environment.get("PATH", "/bin:/usr/bin")) is None:
            remedy = f"install it, write its whole path in commands.{name}.argv, or set PATH in its environment"
            yield problem(what, f"there is no program {program}", remedy)
        else:
            yield ok(what, f"{program} is there")
    yield from unnamed("command", settings.commands, needs, "add it under commands")


def _networks(settings: Settings, needs: Needs) -> Iterator[Finding]:
    for family, allowed in (("http", settings.http.allow), ("tcp", settings.tcp.allow)):
        rules = ", ".join(sorted(needs.families.get(family, ())))
        if rules and not allowed:
            yield problem(
                family,
                f"{rules} would reach nothing: no network is allowed",
                f"name the networks in {family}.allow, such as 127.0.0.0/8",
            )
        elif allowed:
            yield ok(family, f"may reach {', '.join(map(str, allowed))}")


def unnamed(family: str, known: Collection[str], needs: Needs, remedy: str) -> Iterator[Finding]:
    """What rules need and the settings do not name."""
    for name in needs.names(family):
        if name not in known:
            need = "needs" if len(needs.by_name[family, name]) == 1 else "need"
            detail = f"{needs.rules_with(family, name)} {need} it, and the settings do not name it"
            yield problem(f"{family} {name}", detail, f"{remedy}, or leave the pack out of `rules`")
