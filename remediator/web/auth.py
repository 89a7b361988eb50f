"""Who may call: senders of webhooks by bearer token or basic authentication, the API by the admin token.

Called by the server before a request's body is read, and by the composition root at start. Secrets are
compared as digests, in constant time, against every candidate; none is ever put into an error or a log.
"""

import base64
import binascii
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import structlog
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from remediator.errors import BadSettings
from remediator.settings import Settings, WebhookSettings

ADMIN_TOKEN_FILE = "admin-token"  # noqa: S105 - a file's name

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_REALM = 'realm="remediator"'

Headers = CIMultiDict[str] | CIMultiDictProxy[str]

log = structlog.get_logger(__name__)


class Callers:
    """Tells who is welcome, from a request's headers alone."""

    def __init__(self, webhook: WebhookSettings, *, admin_token: str) -> None:
        self._admin = (_digest(admin_token),)
        self._tokens = tuple(_digest(token.value.get_secret_value()) for token in webhook.tokens)
        self._users = tuple(_digest(f"{name}:{word.value.get_secret_value()}") for name, word in webhook.users.items())
        schemes = [f"Bearer {_REALM}"] * bool(self._tokens) + [f'Basic {_REALM}, charset="UTF-8"'] * bool(self._users)
        self._challenge = ", ".join(schemes)

    def check_sender(self, headers: Headers) -> None:
        """Let a sender pass. Raises HTTPUnauthorized, or HTTPForbidden for a web page at an open webhook."""
        if not self._tokens and not self._users:
            _refuse_browsers(headers)
            return
        scheme, credentials = _authorization(headers)
        if scheme == "bearer" and _is_one_of(_digest(credentials), self._tokens):
            return
        if scheme == "basic" and _is_one_of(_digest_of_basic(credentials), self._users):
            return
        raise _unauthorized(
            "the webhook needs a token or a user that is in the settings; set http_config.authorization or "
            "http_config.basic_auth of the receiver",
            self._challenge,
        )

    def check_admin(self, headers: Headers) -> None:
        """Let the owner of the admin token pass. Raises HTTPUnauthorized."""
        scheme, credentials = _authorization(headers)
        if scheme != "bearer" or not _is_one_of(_digest(credentials), self._admin):
            raise _unauthorized(
                "the API needs `Authorization: Bearer ...` with the token in the file "
                f"{ADMIN_TOKEN_FILE} of store.directory",
                f"Bearer {_REALM}",
            )


def _unauthorized(what: str, challenge: str) -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(text=what, headers={"WWW-Authenticate": challenge})


def _refuse_browsers(headers: Headers) -> None:
    """An open webhook listens on loopback, where any page in a browser of this machine could post to it."""
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
        raise web.HTTPForbidden(text="web pages may not call the webhook; configure webhook.tokens to let others in")


def _authorization(headers: Headers) -> tuple[str, str]:
    """The scheme in lower case and the credentials; empty where there is not exactly one header."""
    given = headers.getall("Authorization", [])
    if len(given) != 1:
        return "", ""
    scheme, _, credentials = given[0].strip().partition(" ")
    return scheme.lower(), credentials.strip()


def _digest(text: str) -> bytes:
    # aiohttp keeps bytes that are not UTF-8 as surrogates; they must not make hashing fail.
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _digest_of_basic(credentials: str) -> bytes:
    """The digest of `user:password`; of nothing where they are malformed, which matches no user."""
    try:
        pair = base64.b64decode(credentials.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        pair = b""
    return sha256(pair).digest()


def _is_one_of(digest: bytes, candidates: Iterable[bytes]) -> bool:
    # A list, not a generator: every candidate is compared, so time does not tell which one came close.
    return any([hmac.compare_digest(digest, candidate) for candidate in candidates])  # noqa: C419


def refuse_open_door(settings: Settings) -> None:
    """Raises BadSettings when anybody on the network could post alerts, which start changes."""
    refusal = settings.open_door()
    if refusal is not None:
        raise BadSettings(refusal)


def admin_token(directory: Path) -> str:
    """The admin token of this installation, made at the first start. Raises BadSettings."""
    path = directory / ADMIN_TOKEN_FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
    except OSError as error:
        raise BadSettings(
            f"store.directory: {path} cannot be written: {error.strerror}; give the service a folder of its own"
        ) from error
    return read_admin_token(directory)


def read_admin_token(directory: Path) -> str:
    """The admin token that a service has left in its store's directory. Raises BadSettings without one."""
    path = directory / ADMIN_TOKEN_FILE
    try:
        # A link could make us read, and hand out, a file of somebody else.
        with os.fdopen(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="ascii", errors="replace"
        ) as file:
            _tighten(path, file.fileno())
            token = file.read(100).strip()
    except OSError as error:
        raise BadSettings(
            f"store.directory: {path} cannot be read: {error.strerror}; run this as the service's user"
        ) from error
    if _TOKEN.fullmatch(token) is None:
        raise BadSettings(
            f"store.directory: {path} does not hold an admin token; delete it and start the service again"
        )
    return token


def _create(path: Path) -> None:
    """Write it under another name first: a file of the real name is always whole, also after a crash."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)  # unlike a rename, it fails when another process was first
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _tighten(path: Path, descriptor: int) -> None:
    found = os.fstat(descriptor)
    if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)
        log.warning("admin_token_was_readable_by_others", path=str(path), remedy="delete it to get a new one")
