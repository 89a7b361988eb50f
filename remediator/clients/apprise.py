"""Tells a place of the settings something by `apprise`, an optional package. The apprise chat calls it.

Each call is one try: no retries here, the outbox does them. The library blocks, so it works in a thread of its own with
a time limit; a call that hangs beyond it keeps one thread, and no other begins for that place meanwhile. Its address,
which holds secrets, is in no error and no log: what the library logs is read for its reason, and goes nowhere else.
"""

import asyncio
import logging
import re
import threading
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pydantic import SecretStr

from remediator.errors import BadSettings, Failed, OutcomeUnknown
from remediator.kit.redaction import Redactor, shorten
from remediator.settings import NotifySettings

if TYPE_CHECKING:
    from apprise import Apprise

_LIBRARY = "apprise"
_TELLING = 6  # characters of a part of an address that may be a secret
_SCHEME = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*)://")


class AppriseClient:
    """One place, at one address."""

    def __init__(self, place: str, url: SecretStr, settings: NotifySettings) -> None:
        """Raises BadSettings where the package is not installed, or does not know the address."""
        self._setting = f"notify.{place}"
        self._timeout = settings.timeout
        self._redactor = Redactor([url.get_secret_value(), *settings.secret_parts()])
        self._parts = _parts(url.get_secret_value())
        self.place = f"{place} ({_scheme(url.get_secret_value())}://…)"
        self._library = _open(self._setting, url.get_secret_value())
        self._busy: asyncio.Future[str | None] | None = None

    async def tell(self, title: str, body: str, kind: str) -> None:
        """Have the place know; `kind` is `info`, `success`, `warning` or `failure`.

        Raises Failed where it surely has not heard it, OutcomeUnknown where it may have.
        """
        if self._busy is not None and not self._busy.done():
            raise Failed(f"{self.place}: an earlier message is still under way, after {self._seconds} s and more")
        self._busy = _in_thread(lambda: self._notify(title, body, kind))
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                trouble = await asyncio.shield(self._busy)
        except TimeoutError as error:
            why = f"no end in {self._seconds} s; if it needs longer, raise {self._setting}.timeout"
            raise OutcomeUnknown(f"{self.place}: {why}") from error
        if trouble is not None:
            raise OutcomeUnknown(f"{self.place}: {trouble}; check {self._setting}")

    @property
    def _seconds(self) -> str:
        return f"{self._timeout.total_seconds():g}"

    def _notify(self, title: str, body: str, kind: str) -> str | None:
        """What went wrong, in a thread; None where nothing did."""
        try:
            result = self._library.notify(title=title, body=body, notify_type=kind, body_format="text")
        except Exception as error:  # of a hundred services, each by a library of its own
            return f"it broke off: {type(error).__name__}"
        return None if result else self._told([entry.message for entry in result.logs()])

    def _told(self, words: list[str]) -> str:
        said = " ".join(words)
        if not said:
            return "it was not taken, and no reason is given"
        if any(part in said for part in self._parts):
            return "it was not taken; the reason names the address, so it is not shown"
        return shorten(self._redactor.text(said[:2000]), 300)


def _open(setting: str, url: str) -> "Apprise":
    if find_spec(_LIBRARY) is None:
        remedy = "which is not installed here: pip install 'apprise>=2.2'"
        raise BadSettings(f"{setting}.url needs the package apprise, {remedy}")
    library = logging.getLogger(_LIBRARY)
    library.propagate = False  # it logs addresses
    library.setLevel(logging.WARNING)  # why it could not tell somebody is known from that, whatever is logged here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a hundred services, whose modules are loaded now
        import apprise

        # A redirect would have a message, with its secrets, be told elsewhere, or asked for and taken for told.
        asset = apprise.AppriseAsset(app_id="remediator", app_desc="remediator", http_redirects=False)
        known = apprise.Apprise(asset=asset)
        if not known.add(url) or len(known) != 1:
            what = f"apprise does not know this address ({_scheme(url)}://…)"
            raise BadSettings(f"{setting}.url: {what}; its documentation says how each service is written")
    return known


def _in_thread(work: Callable[[], str | None]) -> asyncio.Future[str | None]:
    """What the work gives. Its thread keeps no process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str | None] = loop.create_future()

    def settle(answer: str | None) -> None:
        if not done.done():
            done.set_result(answer)

    def run() -> None:
        answer = work()
        try:
            loop.call_soon_threadsafe(settle, answer)
        except RuntimeError:  # the loop has ended, and nobody waits any more
            return

    threading.Thread(target=run, name=_LIBRARY, daemon=True).start()
    return done


def _scheme(url: str) -> str:
    found = _SCHEME.match(url)
    return found[1].lower() if found else "?"


def _parts(url: str) -> tuple[str, ...]:
    """Whatever in the address a reason must not repeat: all but the names of mail servers and the like."""
    words = re.split(r"[@:/?&=]+", url)[1:]
    plain = {form for word in words for form in (word, unquote(word))}
    return tuple(form for form in plain if len(form) >= _TELLING and "." not in form and form != "localhost")
