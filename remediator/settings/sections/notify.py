"""The settings of other places that hear of runs: mail, Teams and many others by `apprise`, and signed webhooks."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from remediator.kit.redaction import is_secret_name
from remediator.model.budget import Budget, Window
from remediator.model.duration import Duration
from remediator.settings.addresses import web_address
from remediator.settings.sections.section import Section

_PLACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_APPRISE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://\S+")
_LEAST_SECRET = 16
_LONGEST = timedelta(seconds=30)
_LEAST_PART = 10  # characters of a part of an address that may be a token
_LEAST_LONE_PART = 20  # and of one that is letters alone
_TOKEN = re.compile(r"[A-Za-z0-9_~+-]+")

Event = Literal["asked", "reminded", "void", "acting", "ended", "put_back", "closed"]
"""What a place can hear of."""


def place_name(name: str) -> str:
    """A name of a place. Raises ValueError for what is none."""
    if not _PLACE.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is not a place's name; use up to 63 of a-z, 0-9 and -, such as team-mail")
    return name


PlaceName = Annotated[str, AfterValidator(place_name)]


def _apprise_address(url: SecretStr | None) -> SecretStr | None:
    """It nearly always holds a secret, so it is never shown."""
    if url is not None and not _APPRISE.fullmatch(url.get_secret_value()):
        raise ValueError("write the address as apprise takes it, such as mailto://user:password@mail.example?to=…")
    return url


def _webhook(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        try:
            web_address(url.get_secret_value())
        except ValueError:
            raise ValueError("write the address with http:// or https://, such as https://board.example/hook") from None
    return url


def _short(timeout: timedelta) -> timedelta:
    """Messages are sent one after the other, the chat's too."""
    if not timedelta(0) < timeout <= _LONGEST:
        raise ValueError(
            f"this is longer than nothing, and {_LONGEST.total_seconds():.0f}s at the most: others wait for it"
        )
    return timeout


class NotifySettings(Section):
    """One place that hears of runs, beside the chat."""

    secret_files = ("url", "webhook", "secret")

    url: Annotated[SecretStr | None, AfterValidator(_apprise_address)] = None
    """Its address as `apprise` takes it: `mailto://…`, `msteams://…`, `discord://…`, `mmost://…`, `tgram://…` and many
    others. A secret, as it nearly always holds one. It needs the package `apprise`, which requirements.lock has."""
    webhook: Annotated[SecretStr | None, AfterValidator(_webhook)] = None
    """Or the address of a program, which is told by a signed POST; docs/notify.md describes it. A secret as well."""
    secret: SecretStr | None = None
    """What the `webhook` is signed with: at least 16 characters."""
    events: Annotated[tuple[Event, ...], Field(min_length=1)] = ("asked", "ended")
    """What it hears of: `asked` (a plan waits for a person), `reminded`, `void` (what was asked for cannot be approved
    any more), `acting` (a plan is carried out), `ended` (the run's outcome), `put_back` (something was, or could not
    be), `closed` (the alert's end, where it came after the run's)."""
    rules: tuple[str, ...] = ()
    """Of which rules it hears, with `*` for anything: `docker/*`, `*/restart`. All of them, where there is none."""
    severities: tuple[str, ...] = ()
    """Of which severities of alerts it hears, as their label `severity` says. All, where there is none."""
    timeout: Annotated[Duration, AfterValidator(_short)] = timedelta(seconds=10)
    """How long one message may take; then it is told again, and says that it may be a repeat."""
    limit: Window = Budget(10, timedelta(minutes=1))
    """How many messages in what time. What comes beyond that is told together, in the last of them, with a list."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if (self.url is None) == (self.webhook is None):
            raise ValueError("a place has a `url` for apprise, or a `webhook`: give one of the two")
        if self.webhook is not None and self.secret is None:
            raise ValueError("a `webhook` is signed: give a `secret` (or `secret_file`) of at least 16 characters")
        if self.webhook is None and self.secret is not None:
            raise ValueError("`secret` signs a `webhook`, and this place has none")
        if self.secret is not None and len(self.secret.get_secret_value()) < _LEAST_SECRET:
            raise ValueError(
                f"the secret is too short: give {_LEAST_SECRET} characters and more, of `openssl rand -hex 32`"
            )
        return self

    def secret_parts(self) -> Iterator[str]:
        """What of the addresses may be a secret by itself: an error of a service may quote it."""
        for address in (self.url, self.webhook):
            if address is not None:
                yield from parts_of(address.get_secret_value())


def parts_of(address: str) -> Iterator[str]:
    """The parts of an address that look like passwords and tokens: a host or a plain word is none."""
    try:
        parts = urlsplit(address)
        password = parts.password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    yield from (value for name, value in pairs if value and (is_secret_name(name) or name.lower() in ("pass", "key")))
    words = re.split(r"[@:/]", parts.netloc + parts.path) + [value for _, value in pairs]
    for word in words:
        plain = unquote(word)
        if _is_like_token(plain):
            yield plain


def _is_like_token(word: str) -> bool:
    if len(word) < _LEAST_PART or not _TOKEN.fullmatch(word):
        return False
    is_mixed = any(c.isdigit() for c in word) and any(c.isalpha() for c in word)
    return is_mixed or (len(word) >= _LEAST_LONE_PART and word.isalnum())
