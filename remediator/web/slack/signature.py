"""Whether a request is Slack's: signature v0, an HMAC-SHA256 over its time and its raw bytes with the signing secret.

Called before anything of a body is read as text. Whatever a header holds, the answer is yes or 401: Slack's own library
raises on some of them. Nothing of a request is told to who has sent a wrong one.
"""

import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from remediator.kit.clock import Clock

TIMESTAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"

_WINDOW = 5 * 60  # seconds that Slack's time and ours may be apart
_TIME = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNED = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_REMEMBERED = 10_000  # requests of the last minutes; each takes about 200 bytes

Headers = CIMultiDict[str] | CIMultiDictProxy[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a request say: when it was signed, and how."""

    time: str
    signature: str


def sign(secret: bytes, time: str, body: bytes) -> str:
    """The signature of a body at a time."""
    return "v0=" + hmac.new(secret, b"v0:" + time.encode("ascii") + b":" + body, sha256).hexdigest()


class Signatures:
    """Knows the signing secret, and which requests it has seen already."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self._secret = secret.encode()
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    def read(self, headers: Headers) -> Claim:
        """What the headers claim; they are looked at before a body is waited for. Raises HTTPUnauthorized."""
        time, signature = _only(headers, TIMESTAMP), _only(headers, SIGNATURE)
        if _TIME.fullmatch(time) is None or _SIGNED.fullmatch(signature) is None:
            raise refused("this takes what Slack has signed")
        if abs(self._clock.now().timestamp() - int(time)) > _WINDOW:
            raise refused("it was signed too long ago, or a clock is wrong")
        return Claim(time, signature)

    def check(self, claim: Claim, body: bytes) -> None:
        """That the claim is true, and nobody sends it a second time. Raises HTTPUnauthorized."""
        if not hmac.compare_digest(sign(self._secret, claim.time, body), claim.signature):
            raise refused("the signature is wrong; check slack.signing_secret")
        self._forget_old()
        if claim.signature in self._seen:
            raise refused("this very request has come before")
        self._seen[claim.signature] = self._clock.monotonic()

    def _forget_old(self) -> None:
        # What was signed in the future of our clock is welcome for twice the window.
        oldest = self._clock.monotonic() - 2 * _WINDOW
        while self._seen and (len(self._seen) >= _REMEMBERED or next(iter(self._seen.values())) < oldest):
            self._seen.popitem(last=False)


def _only(headers: Headers, name: str) -> str:
    """A header that stands there once; else nothing, which is no time and no signature."""
    given = headers.getall(name, [])
    return given[0] if len(given) == 1 else ""


def refused(why: str) -> web.HTTPUnauthorized:
    """What is answered to whoever is not Slack."""
    return web.HTTPUnauthorized(text=why)
