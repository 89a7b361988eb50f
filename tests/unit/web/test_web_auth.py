"""Only who is named in the settings may post alerts; the admin token is for the owner of its file alone."""

import base64
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from remediator.errors import BadSettings
from remediator.settings import Settings, WebhookSettings
from remediator.web.auth import ADMIN_TOKEN_FILE, Senders, admin_token, read_admin_token, refuse_open_door

CLOSED = WebhookSettings.model_validate(
    {"tokens": ["old-token", "new-töken"], "users": {"am": "pass:word", "zoë": "ünïcode"}}
)


def basic(pair: str | bytes) -> str:
    raw = pair.encode() if isinstance(pair, str) else pair
    return "Basic " + base64.b64encode(raw).decode()


def status_of(webhook: WebhookSettings, *headers: tuple[str, str]) -> int:
    """The status that a sender with these headers meets; 200 where it may pass."""
    try:
        Senders(webhook).check(CIMultiDict(headers))
    except web.HTTPException as refusal:
        return refusal.status
    return 200


def as_received(raw: bytes) -> str:
    """A header's value as aiohttp hands it on."""
    return raw.decode("utf-8", "surrogateescape")


CREDENTIALS = {
    "first token": ("Bearer old-token", 200),
    "second token, not ASCII": ("Bearer new-töken", 200),
    "scheme in lower case": ("bearer old-token", 200),
    "more blanks": ("Bearer   old-token ", 200),
    "user": (basic("am:pass:word"), 200),
    "user, not ASCII": (basic("zoë:ünïcode"), 200),
    "wrong token": ("Bearer older-token", 401),
    "start of a token": ("Bearer old-toke", 401),
    "token and more": ("Bearer old-token x", 401),
    "no token": ("Bearer", 401),
    "empty token": ("Bearer ", 401),
    "token as basic": ("Basic old-token", 401),
    "token alone": ("old-token", 401),
    "other scheme": ("Digest old-token", 401),
    "empty": ("", 401),
    "bytes that are no text": (as_received(b"Bearer \xff\xfe"), 401),
    "NUL": ("Bearer \x00", 401),
    "user with a wrong password": (basic("am:password"), 401),
    "unknown user": (basic("pm:pass:word"), 401),
    "user without colon": (basic("am"), 401),
    "user alone": (basic("am:"), 401),
    "empty pair": (basic(":"), 401),
    "nothing encoded": ("Basic ", 401),
    "bad base64": ("Basic !!!", 401),
    "base64 without padding": (basic("am:pass:word").rstrip("=") + "A", 401),
    "base64 not ASCII": ("Basic ÄÖÜ=", 401),
    "base64 of no text": (basic(b"\xff\xfe:\xff"), 401),
    "user and password as bearer": (basic("am:pass:word").replace("Basic", "Bearer"), 401),
}


@pytest.mark.parametrize(("value", "status"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_a_sender_passes_only_with_what_the_settings_name(value: str, status: int) -> None:
    """An alert starts changes; malformed headers are refused, they do not break anything."""
    assert status == status_of(CLOSED, ("Authorization", value))


def test_a_sender_without_credentials_is_told_what_to_send() -> None:
    """RFC 9110 wants the challenge, and people want the remedy."""
    with pytest.raises(web.HTTPUnauthorized) as caught:
        Senders(CLOSED).check(CIMultiDict())

    assert (
        'Bearer realm="remediator", Basic realm="remediator", charset="UTF-8"'
        == caught.value.headers["WWW-Authenticate"]
    )
    assert "http_config" in (caught.value.text or "")


def test_two_authorization_headers_are_refused() -> None:
    """A proxy and we could read different ones."""
    assert 401 == status_of(CLOSED, ("Authorization", "Bearer old-token"), ("Authorization", "Bearer old-token"))


def test_an_empty_digest_matches_nobody_where_there_are_only_users() -> None:
    """Malformed credentials are compared as empty ones, which no user has."""
    only_users = WebhookSettings.model_validate({"users": {"am": "word"}})

    assert [401, 401] == [status_of(only_users, ("Authorization", value)) for value in ("Basic !", "Bearer x")]


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["", "Bearer ", "Basic ", "basic "]))
def test_no_header_does_anything_but_pass_or_be_refused(raw: bytes, scheme: str) -> None:
    """An exception here would be a 503 that anybody can cause."""
    assert 401 == status_of(CLOSED, ("Authorization", scheme + as_received(raw)))


BROWSERS = {
    "no browser": ([], 200),
    "a page": ([("Origin", "https://evil.example")], 403),
    "a page without referrer": ([("Origin", "null")], 403),
    "a page of this machine": ([("Origin", "http://127.0.0.1:9099")], 403),
    "fetched across sites": ([("Sec-Fetch-Site", "cross-site")], 403),
    "fetched from the same origin": ([("Sec-Fetch-Site", "same-origin")], 403),
    "the person's own doing": ([("Sec-Fetch-Site", "none")], 200),
}


@pytest.mark.parametrize(("headers", "status"), BROWSERS.values(), ids=BROWSERS.keys())
def test_web_pages_cannot_post_to_an_open_webhook(headers: list[tuple[str, str]], status: int) -> None:
    """A loopback address keeps other machines out, but not the pages in a browser on this one."""
    assert status == status_of(WebhookSettings(), *headers)


DOORS: dict[str, tuple[dict[str, Any], bool]] = {
    "loopback": ({"listen": "127.0.0.1:9099"}, True),
    "all of 127/8": ({"listen": "127.8.9.1:9099"}, True),
    "IPv6 loopback": ({"listen": "[::1]:9099"}, True),
    "localhost": ({"listen": "LocalHost:9099"}, True),
    "everywhere": ({"listen": "0.0.0.0:9099"}, False),
    "everywhere, IPv6": ({"listen": "[::]:9099"}, False),
    "an address": ({"listen": "10.0.0.1:9099"}, False),
    "a name": ({"listen": "localhost.example:9099"}, False),
    "everywhere with a token": ({"listen": "0.0.0.0:9099", "webhook": {"tokens": ["x"]}}, True),
    "everywhere with a user": ({"listen": "0.0.0.0:9099", "webhook": {"users": {"a": "x"}}}, True),
}


@pytest.mark.parametrize(("given_settings", "fine"), DOORS.values(), ids=DOORS.keys())
def test_an_open_webhook_listens_on_loopback_only(given_settings: dict[str, Any], fine: bool) -> None:
    """Else anybody on the network could start changes."""
    refusal = ""
    try:
        refuse_open_door(Settings(**given_settings))
    except BadSettings as error:
        refusal = str(error)

    assert fine == (not refusal)
    assert fine or ("webhook.tokens" in refusal and given_settings["listen"] in refusal)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_admin_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """Whoever can read it can approve everything."""
    directory = tmp_path / "data"
    token = admin_token(directory)

    assert 43 == len(token)
    assert (0o700, 0o600) == (mode_of(directory), mode_of(directory / ADMIN_TOKEN_FILE))
    assert (token, token) == (admin_token(directory), read_admin_token(directory))
    assert [ADMIN_TOKEN_FILE] == [path.name for path in directory.iterdir()]


def test_processes_that_start_together_agree_on_one_token(tmp_path: Path) -> None:
    """A token that only one of them knows would lock people out."""
    found: list[str] = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        found.append(admin_token(tmp_path))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [admin_token(tmp_path)] * 8 == found


def test_a_token_file_that_others_could_read_is_closed(tmp_path: Path) -> None:
    """A restored backup or a volume's group setting opens it."""
    admin_token(tmp_path)
    (tmp_path / ADMIN_TOKEN_FILE).chmod(0o644)
    admin_token(tmp_path)

    assert 0o600 == mode_of(tmp_path / ADMIN_TOKEN_FILE)


@pytest.mark.parametrize("content", ["", "short", "x" * 44, "a" * 42 + "!", "ä" * 43])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, content: str) -> None:
    """An empty token would let everybody in."""
    (tmp_path / ADMIN_TOKEN_FILE).write_text(content, encoding="utf-8")

    with pytest.raises(BadSettings, match="delete it"):
        admin_token(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """It could make the service read somebody else's file."""
    (tmp_path / "other").write_text("a" * 43, encoding="ascii")
    (tmp_path / ADMIN_TOKEN_FILE).symlink_to(tmp_path / "other")

    with pytest.raises(BadSettings, match="cannot be read"):
        admin_token(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """The message names the setting."""
    (tmp_path / "file").touch()

    with pytest.raises(BadSettings, match=r"store\.directory"):
        admin_token(tmp_path / "file" / "data")


def test_no_token_is_read_where_no_service_has_run(tmp_path: Path) -> None:
    """The command line shows this to a person."""
    with pytest.raises(BadSettings, match="cannot be read"):
        read_admin_token(tmp_path)
