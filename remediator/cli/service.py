"""Calls to the running service's API, and the settings that say where it is. Used by the commands; no aiohttp here."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import click

from remediator.errors import BadSettings

if TYPE_CHECKING:
    from remediator.settings import Settings

FINDINGS, USAGE, NOT_REACHABLE, NOT_ALLOWED = 1, 2, 4, 5
_SHORTEST_END, _WHOLE_ID, _NEWEST = 4, 16, 500  # of ids that are told by their end, and the runs looked through
MEND_SETTINGS = (
    "Mend this, or name another file before the command: remediator -c FILE …; docs/settings.md tells every setting, "
    "and editors check them with: remediator schema settings"
)
_OF_OTHER_VERSIONS = ("there is no parameter", "there is no field", " JSON object: ")
"""How the API says that it does not know what this program asks for, which no user has typed."""
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY = 400, 401, 403, 404, 409, 429
_NO_WHY = "Forbidden"  # what HTTP itself says to a 403
TOKEN_PREFIX = "rmd_"  # noqa: S105 - of every token of the API but the admin token; `model.token` is slow to import


def settings_of(ctx: click.Context) -> "Settings":
    """The settings that the command line names; mistakes are printed and end the program with 2."""
    from remediator.settings import load_settings  # pydantic is slow to import, and --help needs none of it

    try:
        return load_settings(ctx.find_root().obj)
    except BadSettings as error:
        click.echo(f"{error}\n{MEND_SETTINGS}", err=True)
        raise SystemExit(USAGE) from None


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong and end the program."""
    click.echo(message, err=True)
    raise SystemExit(code)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, reached over HTTP with a token."""

    url: str
    token: str | None
    is_ours: bool = True
    """Whether this is where the settings say that the service listens: only there do its own secrets belong."""
    token_file: Path | None = None
    """Where the settings say that the local service leaves its token."""
    pause_file: Path | None = None
    """The file that has the local service change nothing."""
    given_by: str = ""
    """What has given the token; empty for the local service's own, or none."""

    @classmethod
    def of(cls, ctx: click.Context, url: str | None) -> "Service":
        """The service that the settings describe, or the one at `url`.

        A token that was given is sent to either. The local service's own is sent to an address of this machine, or
        to the one in the settings: whoever listens elsewhere could approve plans with it.
        """
        settings = settings_of(ctx)
        own = _own_url(settings)
        there = (url or own).rstrip("/")
        is_ours = url is None or _place(there) == _place(own)
        local = _local_token(settings) if is_ours or _place(there)[1] == _HERE else None
        token_file, pause_file = _token_file(settings).absolute(), settings.pause_path.absolute()
        given = (settings.client_token or "").strip()  # a file's last line end comes along with many a variable
        given_by = _token_giver() if given else ""
        return cls(there, given or local, is_ours, token_file, pause_file, given_by)

    def get(self, path: str, *, has: str) -> dict[str, Any]:
        """The JSON object at `path`, which has the key `has`."""
        answer = self._call("GET", path, None, self._bearer())
        if not isinstance(answer, dict) or has not in answer:
            fail(f"what answers at {self.url} is not remediator; set listen, or give --url", NOT_REACHABLE)
        return answer

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        authorization: str | None = None,
        instead: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Post JSON, and get the answer; with `authorization` instead of the API's token, an empty one for none.

        `instead` is what to do where the service does not answer, or is in trouble. Who acts (`by`) is told with the
        admin token alone: any other is somebody's.
        """
        if authorization is None and (self.token or "").startswith(TOKEN_PREFIX):
            body = {name: value for name, value in body.items() if name != "by"}
        authorization = self._bearer() if authorization is None else authorization
        return self._call("POST", path, body, authorization, instead, headers)

    def _bearer(self) -> str:
        return f"Bearer {self.token}" if self.token else ""

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        authorization: str,
        instead: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        # http.client is slow to import; --help asks nobody
        from remediator.cli.calling import NoAnswer, Refusal, Unsendable, call

        try:
            answer = call(method, self.url + path, body, authorization, headers)
        except Unsendable as error:
            fail(str(error), USAGE)
        except NoAnswer as error:
            fail(
                f"the service at {self.url} does not answer: {plain(error)}\n"
                "Is it running? Start it with: remediator serve. Elsewhere? Set `listen`, or give --url."
                + (f"\n{instead}" if instead else ""),
                NOT_REACHABLE,
            )
        if isinstance(answer, Refusal):
            is_given = bool(self.given_by) and authorization == self._bearer()
            self._refused(answer.status, plain(answer.why), path, instead, is_given=is_given)
        return answer

    def _refused(self, status: int, why: str, path: str, instead: str, *, is_given: bool) -> NoReturn:
        if status == _FORBIDDEN and why != _NO_WHY:
            fail(f"not allowed: {why}", NOT_ALLOWED)  # it knows the token, so another way to give it would not help
        if status in (_UNAUTHORIZED, _FORBIDDEN) and is_given:
            fail(
                f"not allowed: {why}\n"
                f"The token that {self.given_by} gives was refused by the service at {self.url}. Give the one in "
                "`admin-token` of that service's `store.directory`, one that `remediator tokens make` has made there, "
                "or none for the service of this machine: then the one there is used.",
                NOT_ALLOWED,
            )
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            fail(
                f"not allowed: {why}\n"
                f"{_say_token_file(self.token_file)}: run this as the user that runs the service and with its "
                "settings, or set REMEDIATOR_TOKEN; to other machines only that is sent. `send` uses "
                "webhook.tokens or webhook.users for the service of the settings, and REMEDIATOR_TOKEN for another.",
                NOT_ALLOWED,
            )
        if status in (_NOT_FOUND, _CONFLICT):
            is_said = "; see: remediator " in why  # the service knows of another place to look at
            fail(why if is_said else f"{why}; {_where_to_look(path, is_there=status == _CONFLICT)}", FINDINGS)
        if status == _BAD_REQUEST:
            other = (
                "; is it of the same version as this program?" if any(map(why.__contains__, _OF_OTHER_VERSIONS)) else ""
            )
            fail(f"the service answered 400: {why}{other}", USAGE)
        if status == _TOO_MANY:
            fail(f"not now: {why}", NOT_REACHABLE)
        said = f"the service answered {status}: {why}; its log says more, and /readyz what is wrong"
        fail(f"{said}\n{instead}" if instead else said, NOT_REACHABLE)


def _where_to_look(path: str, *, is_there: bool) -> str:
    """What to do where the service does not know what was asked for, or will not do it now."""
    kind, _, name = path.removeprefix("/api/v1/").partition("?")[0].partition("/")
    if kind == "tokens" and name:
        return "see: remediator tokens list"
    if kind == "breakers" and name:
        return "see: remediator breaker list"
    if kind == "stops" and name == "lift":
        return "see: remediator stops"
    if kind not in ("runs", "alerts") or not name:
        return "is it remediator, and as new as this program? Set `listen`, or give --url"
    if kind == "alerts":
        return "see: remediator alerts"
    return f"see: remediator runs {'show ' + name.partition('/')[0] if is_there else 'list'}"


def find_run(service: Service, given: str) -> str:
    """The whole id of the run whose id ends so, among the newest; ends the program where there is none, or several.

    What is no end of an id is given back as it is: the service knows what to say about it.
    """
    end = given.strip("[]")
    if not (_SHORTEST_END <= len(end) < _WHOLE_ID and end.isascii() and end.isalnum()):
        return given
    listed = service.get(f"/api/v1/runs?limit={_NEWEST}", has="runs")["runs"]
    found = [str(run["id"]) for run in listed if str(run["id"]).endswith(end)]
    if not found:
        fail(f"there is no run {end}; see: remediator runs list", FINDINGS)
    if len(found) > 1:
        fail(f"{len(found)} runs end with {end}: {plain(', '.join(found[:5]))}; give more of the id", FINDINGS)
    return found[0]


def say_missing_rules(settings: "Settings") -> str:
    """Where the rule files of the settings were sought and what to do, if one is missing; else nothing."""
    if all(path.exists() for path in settings.rules):
        return ""
    return f"rule files are sought from {Path.cwd()}; set `rules` in the settings"


def plain(text: object) -> str:
    """A text of somebody else's for the terminal: one line, without control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(str(text).split()))


_HERE = "this machine"


def _own_url(settings: "Settings") -> str:
    host, port = settings.address
    local = "127.0.0.1" if host in ("0.0.0.0", "") else ("::1" if host == "::" else host)  # noqa: S104 - it is read, not listened on
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def _place(url: str) -> tuple[str, str, int]:
    """What a URL leads to: two that are the same here are the same server. Ends the program for what is none."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if "@" in parts.netloc:
        fail("the address carries a user; give a token by REMEDIATOR_TOKEN", USAGE)
    if parts.scheme not in ("http", "https") or not host:
        fail(f"{plain(url)} is not an http address; write it like http://127.0.0.1:9099", USAGE)
    return parts.scheme, _HERE if _is_loopback(host) else host, port or (443 if parts.scheme == "https" else 80)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token_file(settings: "Settings") -> Path:
    path: Path = settings.store.directory / "admin-token"
    return path


def _token_giver() -> str:
    """What the settings have the command line's token from; a variable wins over the file."""
    names = sorted(name for name in os.environ if name.upper() in ("REMEDIATOR_TOKEN", "REMEDIATOR_TOKEN_FILE"))
    return f"the variable {names[0]}" if names else "`token` in the settings"


def _local_token(settings: "Settings") -> str | None:
    try:
        return _token_file(settings).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _say_token_file(path: Path | None) -> str:
    """Where the local token is sought, and whether it can be read there."""
    if path is None:
        return "The service's local token stands in `admin-token` of its `store.directory`"
    try:
        path.read_bytes()
    except OSError as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        return f"The local token of these settings is sought in {plain(path)}, which {why}"
    return f"The local token of these settings stands in {plain(path)}"
