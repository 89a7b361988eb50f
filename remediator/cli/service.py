"""Calls to the running service's API, and the settings that say where it is. Used by the commands; no aiohttp here."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from remediator.errors import BadSettings
from remediator.settings import Settings, load_settings

NOT_REACHABLE, NOT_ALLOWED = 4, 5
_TIMEOUT = 15
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 401, 403, 404, 409


def settings_of(ctx: click.Context) -> Settings:
    """The settings that the command line names; mistakes are printed and end the program with 2."""
    try:
        return load_settings(ctx.find_root().obj)
    except BadSettings as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong and end the program."""
    click.echo(message, err=True)
    raise SystemExit(code)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, reached over HTTP with a token."""

    url: str
    token: str | None

    @classmethod
    def of(cls, ctx: click.Context, url: str | None) -> "Service":
        """The service that the settings describe, or the one at `url`."""
        settings = settings_of(ctx)
        host, port = settings.address
        local = "127.0.0.1" if host in ("0.0.0.0", "") else ("::1" if host == "::" else host)  # noqa: S104 - it is read, not listened on
        bracketed = f"[{local}]" if ":" in local else local
        return cls((url or f"http://{bracketed}:{port}").rstrip("/"), settings.client_token or _local_token(settings))

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        return self._call("GET", path, None, self.token)

    def post(self, path: str, body: Mapping[str, Any], *, token: str | None = None) -> Any:
        """Post JSON; `token` instead of the one for the API."""
        return self._call("POST", path, body, token or self.token)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, token: str | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310 - http(s), checked here
        if not self.url.startswith(("http://", "https://")):
            fail(f"{self.url} is not an http address", 2)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 - see above
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            self._refused(error)
        except (OSError, json.JSONDecodeError) as error:
            fail(
                f"the service at {self.url} does not answer: {error}\nIs it running? Start it with: remediator serve",
                NOT_REACHABLE,
            )

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        try:
            why = json.loads(error.read()).get("error", "")
        except (OSError, ValueError, AttributeError):
            why = ""
        if error.code in (_UNAUTHORIZED, _FORBIDDEN):
            fail(
                f"not allowed: {why or error.reason}\n"
                "The service's local token stands in <store.directory>/admin-token: run this as the same user with the "
                "same settings, or set REMEDIATOR_TOKEN.",
                NOT_ALLOWED,
            )
        if error.code in (_NOT_FOUND, _CONFLICT):
            fail(why or str(error.reason), 1)
        fail(f"the service answered {error.code}: {why or error.reason}", NOT_REACHABLE)


def _local_token(settings: Settings) -> str | None:
    path: Path = settings.store.directory / "admin-token"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
