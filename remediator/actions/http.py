"""Asking and calling web services. Found by `remediator.plugins` through its entry point.

Where these may connect to is held by the client, to the networks that `http.allow` names.
"""

import json as jsons
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from remediator.clients import Clients
from remediator.clients.addresses import bare_url, host_of, is_outside, parse_url, plain_url, told_url
from remediator.errors import Failed, OutcomeUnknown
from remediator.kit.redaction import Redactor, shorten
from remediator.model.duration import Duration
from remediator.plugins import ActionContext, Effect, Forbidden, Known, Nature, Params, Result, System, Target, action
from remediator.settings import Settings

if TYPE_CHECKING:
    from remediator.clients.http import HttpAnswer

_MARGIN = timedelta(seconds=2)  # so that the client's own limit is reached first, and says which
_DONE = range(200, 300)
_NOT_TOLD = frozenset({502, 503, 504})  # a gateway's words: what is behind it may have done it all the same
_SENTENCE = 300  # what a plan keeps of a sentence
_URL_SHOWN, _HEADERS_SHOWN = 130, 50
_REDACTOR = Redactor()


class GetParams(Params):
    """What to ask."""

    url: str
    """An http or https address, in the networks that `http.allow` names."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers to send."""
    timeout: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    """How long the whole request may take; `http.timeout` of the settings where it is not given."""


with warnings.catch_warnings():
    # Everybody expects the name `json`; what it hides is an old method of pydantic's, which nobody calls.
    warnings.filterwarnings("ignore", message='Field name "json"', category=UserWarning)

    class PostParams(GetParams):
        """What to send, and where."""

        json: Any = None
        """A body that is sent as JSON."""
        text: str | None = None
        """A body that is sent as it stands; not together with `json`."""

        @model_validator(mode="after")
        def _one_body(self) -> Self:
            if self.json is not None and self.text is not None:
                raise ValueError("give json or text, not both: a request has one body")
            return self

    class Answered(Result):
        """What the server answered."""

        status: int
        """The status, such as 200."""
        text: str
        """The body, as far as it was read."""
        json: Any
        """The body as a value, where it is JSON and was read whole."""
        seconds: float
        """How long it took."""
        headers: dict[str, str]
        """The headers, their names in lower case; without set-cookie."""
        truncated: bool
        """Whether there was more of the body than `http.max_body_kib`."""

        def brief(self) -> str:
            return f"{self.status} in {self.seconds * 1000:.0f} ms"

        def detail(self) -> str:
            return self.text


def _server(params: GetParams) -> System:
    host, _, port = host_of(params.url).rpartition(":")
    return System("http", (host, port))


async def host_called(ctx: ActionContext, params: PostParams) -> tuple[Target, ...]:
    """The server that is called, by host and port."""
    del ctx
    return (Target("http", (host_of(params.url),)),)


def _nature(clients: Clients, params: GetParams, effect: Effect) -> Nature:
    limit = clients.settings.http.timeout if params.timeout is None else params.timeout
    return Nature(effect, idempotent=effect is Effect.READ, timeout=limit + _MARGIN)


def _get_nature(clients: Clients, params: GetParams) -> Nature:
    return _nature(clients, params, Effect.READ)


def _post_nature(clients: Clients, params: PostParams) -> Nature:
    return _nature(clients, params, Effect.CHANGE)


def _where(clients: Clients, params: GetParams) -> str:
    del clients
    return bare_url(params.url)


def _forbids(settings: Settings, known: Known) -> Forbidden | None:
    """Where the URL has an address that the client would refuse. That nothing may be reached is told elsewhere."""
    try:
        host = parse_url(str(known.get("url", ""))).host or ""
    except Failed:
        return None
    if not settings.http.allow or not is_outside(host, settings.http.allow):
        return None
    what = f"may not connect to {host}, which is in none of the networks of http.allow"
    return Forbidden(what, "if it may, add its network to http.allow, else leave the step out")


def _say_get(params: GetParams) -> str:
    return _say("GET", params)


def _say_post(params: PostParams) -> str:
    """What would be sent, and where; whatever is cut says how much it is, so that nothing is pushed out of sight."""
    said = _say("POST to", params)
    if params.json is not None:
        lead, body = ", JSON body ", jsons.dumps(_REDACTOR.value(params.json), ensure_ascii=False)
    elif params.text is not None:
        lead, body = ", text body ", _REDACTOR.text(params.text)
    else:
        return f"{said}, no body"
    return f"{said}{lead}{shorten(body, _SENTENCE - len(said) - len(lead))}"


def _say(verb: str, params: GetParams) -> str:
    said = f"{verb} {shorten(_REDACTOR.text(plain_url(params.url)), _URL_SHOWN)}"
    if not params.headers:
        return said
    return f"{said}, headers {shorten(', '.join(params.headers), _HEADERS_SHOWN)}"


def _answered(answer: "HttpAnswer") -> Answered:
    return Answered(
        status=answer.status,
        text=answer.text,
        json=answer.json,
        seconds=answer.seconds,
        headers=dict(answer.headers),
        truncated=answer.truncated,
    )


@action(
    "http.get",
    effect=Effect.READ,
    system=_server,
    nature=_get_nature,
    say=_say_get,
    where=_where,
    forbids=_forbids,
)
async def get(ctx: ActionContext, params: GetParams) -> Answered:
    """Ask a web service, and see what it answers."""
    return _answered(await ctx.clients.http.request("GET", params.url, headers=params.headers, timeout=params.timeout))


@action(
    "http.post",
    effect=Effect.CHANGE,
    system=_server,
    targets=host_called,
    nature=_post_nature,
    say=_say_post,
    where=_where,
    forbids=_forbids,
)
async def post(ctx: ActionContext, params: PostParams) -> Answered:
    """Call a web service that changes something; an answer that does not say yes is a failure."""
    if host_of(params.url) != ctx.target.parts[0]:
        raise Failed(f"{ctx.step}: {ctx.target} is not the server that would be called")
    answer = await ctx.clients.http.request(
        "POST", params.url, headers=params.headers, json=params.json, text=params.text, timeout=params.timeout
    )
    if answer.status in _DONE:
        return _answered(answer)
    said = shorten(_REDACTOR.text(answer.text[:2000].strip()), 300) or "nothing more"
    what = f"POST {told_url(params.url)}: answered {answer.status}: {said}"
    if answer.status in _NOT_TOLD:
        raise OutcomeUnknown(f"{what}; it may have been done, look at the service before trying again")
    raise Failed(what)
