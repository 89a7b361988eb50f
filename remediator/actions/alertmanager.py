"""Silencing noise in Alertmanager. Found by `remediator.plugins` through its entry point.

A silence of ours is bounded, says that it is ours, and names at least one label exactly; there is one for the same
matchers, whoever asked for it. It mutes notifications and nothing else: guards take no notice of it. But Alertmanager
never tells of an alert that has resolved within a silence, so whoever waits for that has to ask.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from remediator.errors import Conflicted, Failed, NotAllowed
from remediator.kit.wording import say_time
from remediator.model.duration import Duration, parse_duration, say_duration
from remediator.model.matchers import Matcher, parse_matcher
from remediator.plugins import (
    ActionContext,
    Before,
    Effect,
    Forbidden,
    Inverse,
    Known,
    Now,
    Params,
    Permission,
    Remains,
    Restored,
    Result,
    Target,
    WrittenIn,
    action,
)
from remediator.settings import Settings

if TYPE_CHECKING:
    from remediator.clients.alertmanager import AlertmanagerClient, OwnSilence  # it takes aiohttp, which is slow

_CLOCKS = timedelta(minutes=1)
"""How far its clock and ours may be apart before a silence of ours seems to have been changed by somebody."""


def _is_matcher(text: str) -> str:
    parse_matcher(text)
    return text


class SilenceParams(Params):
    """What to silence, and for how long."""

    labels: dict[Annotated[str, Field(min_length=1)], str] = Field(default_factory=dict)
    """Labels with their values, all of which an alert must have to be silenced."""
    matchers: Annotated[
        tuple[Annotated[str, AfterValidator(_is_matcher)], ...],
        WrittenIn("a matcher", ("promql", "promql_regex")),
    ] = ()
    """Matchers in Alertmanager's syntax, all of which must hold as well: `node=~"web-.*"`."""
    duration: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(minutes=30)
    """How long from now on; `alertmanager.longest_silence` bounds it."""
    comment: Annotated[str, Field(min_length=1, max_length=500)] = "a remedy is under way"
    """What people read beside it."""

    @model_validator(mode="after")
    def _names_a_label(self) -> Self:
        if not any(one.value and not one.is_regex and not one.negated for one in self.wanted):
            raise ValueError(
                "a silence names at least one label exactly, such as `labels: {alertname: ServiceDown}`; "
                "others could silence everything"
            )
        return self

    @property
    def wanted(self) -> tuple[Matcher, ...]:
        """All of its matchers, each once, sorted."""
        found = {Matcher(name, value) for name, value in self.labels.items()}
        found |= {parse_matcher(text) for text in self.matchers}
        return tuple(sorted(found, key=str))

    @property
    def said(self) -> str:
        """The matchers, for people."""
        return ", ".join(map(str, self.wanted))


class Silenced(Result):
    """The silence that holds now."""

    id: str
    """Its id in Alertmanager."""
    ends_at: datetime
    """When it ends by itself."""
    made: bool
    """Whether it is a new one; else one of ours was there already."""

    def brief(self) -> str:
        what = "silenced" if self.made else "it was silenced already, now"
        return f"{what} until {say_time(self.ends_at)}"


class SilenceBefore(Before):
    """The silence of ours with these matchers that was there before."""

    id: str = ""
    """Its id; empty where there was none."""
    ends_at: datetime | None = None
    """When it was to end."""


def _say(params: SilenceParams) -> str:
    return f"silence {params.said} in Alertmanager for {say_duration(params.duration)}"


def _client(ctx: ActionContext) -> "AlertmanagerClient":
    client = ctx.clients.alertmanager
    if client is None:
        raise NotAllowed("no Alertmanager is configured; set alertmanager.url")
    return client


def _target(params: SilenceParams) -> Target:
    return Target("alertmanager", ("silence", params.said))


async def silence_of(ctx: ActionContext, params: SilenceParams) -> tuple[Target, ...]:
    """The silence with these matchers."""
    _client(ctx)
    longest = ctx.clients.settings.alertmanager.longest_silence
    if params.duration > longest:
        raise NotAllowed(
            f"a silence of {say_duration(params.duration)} is longer than alertmanager.longest_silence allows "
            f"({say_duration(longest)})"
        )
    return (_target(params),)


async def _ours(ctx: ActionContext, params: SilenceParams) -> "OwnSilence | None":
    """Our silence with these matchers; of several the one that ends last."""
    if ctx.target != _target(params):
        raise Failed(f"{ctx.step}: {ctx.target} is not the silence of {params.said}")
    found = await _client(ctx).own_silences(params.wanted)
    return found[0] if found else None


async def _capture(ctx: ActionContext, params: SilenceParams) -> SilenceBefore:
    """The silence of ours that is there already."""
    found = await _ours(ctx, params)
    return SilenceBefore() if found is None else SilenceBefore(id=found.id, ends_at=found.ends_at)


async def _remains(ctx: ActionContext, params: SilenceParams, before: SilenceBefore) -> Remains:
    """Whether our silence is there, and ends when it was to end."""
    return _compared(await _ours(ctx, params), params, before)


def _compared(found: "OwnSilence | None", params: SilenceParams, before: SilenceBefore) -> Remains:
    if found is None:
        return Remains(Now.AS_BEFORE, f"no silence of ours holds for {params.said}")
    said = f"{params.said} is silenced until {say_time(found.ends_at)}"
    if (found.id, found.ends_at) == (before.id, before.ends_at):
        return Remains(Now.AS_BEFORE, said)
    lasts = found.ends_at - found.updated_at
    return Remains(Now.AS_SET if abs(lasts - params.duration) <= _CLOCKS else Now.CHANGED, said)


async def _restore(ctx: ActionContext, params: SilenceParams, before: SilenceBefore) -> Restored:
    """End the silence, or have it end when the one that was there before would have ended."""
    found, now, client = await _ours(ctx, params), ctx.clock.now(), _client(ctx)
    remains = _compared(found, params, before)
    if remains.now is Now.CHANGED:
        lasts = say_duration(params.duration)
        raise Conflicted(
            f"{remains.found}: somebody has changed that since (it was made for {lasts}); nothing was done"
        )
    if found is None or remains.now is Now.AS_BEFORE:
        return Restored(said=remains.found, changed=False)
    if before.ends_at is None or before.ends_at <= now:
        await client.end_silence(found.id)
        return Restored(said=f"{params.said} is not silenced by us any more", changed=True)
    await _make(client, params, found, before.ends_at)
    return Restored(said=f"{params.said} is silenced until {say_time(before.ends_at)} again", changed=True)


async def _make(client: "AlertmanagerClient", params: SilenceParams, found: "OwnSilence", ends_at: datetime) -> str:
    """Have our silence end at another time. Alertmanager may end it and make another one instead."""
    return await client.make_silence(
        params.wanted, starts_at=found.starts_at, ends_at=ends_at, comment=params.comment, instead_of=found.id
    )


def _forbids(settings: Settings, known: Known) -> Forbidden | None:
    """Where there is no Alertmanager, or where the silence is too long, as `silence_of` finds later."""
    if settings.alertmanager.url is None:
        return Forbidden("silences nothing, as no Alertmanager is configured", "set alertmanager.url")
    longest, asked = settings.alertmanager.longest_silence, _duration(known.get("duration"))
    if asked is None or asked <= longest:
        return None
    return Forbidden(
        f"asks for {say_duration(asked)}, and alertmanager.longest_silence allows {say_duration(longest)}",
        "raise alertmanager.longest_silence, or shorten `duration`",
    )


def _duration(value: object) -> timedelta | None:
    """A duration as a rule writes it, or as a default has it; None where it is none."""
    try:
        return parse_duration(value) if isinstance(value, str) else value if isinstance(value, timedelta) else None
    except ValueError:
        return None


@action(
    "alertmanager.silence",
    effect=Effect.CHANGE,
    targets=silence_of,
    idempotent=True,
    say=_say,
    inverse=Inverse(_capture, _remains, _restore),
    forbids=_forbids,
    permissions=(
        Permission("GET /api/v2/silences"),
        Permission("POST /api/v2/silences"),
        Permission("DELETE /api/v2/silence/{id}", without="a silence is not ended before its time"),
    ),
)
async def silence(ctx: ActionContext, params: SilenceParams) -> Silenced:
    """Silence alerts in Alertmanager for a while, or let a silence of ours last as long; nobody, remediator included,
    is told of what resolves meanwhile, not even later."""
    await silence_of(ctx, params)
    found, client, now = await _ours(ctx, params), _client(ctx), ctx.clock.now()
    ends_at = now + params.duration
    if found is not None and found.ends_at >= ends_at:
        return Silenced(id=found.id, ends_at=found.ends_at, made=False)
    if found is not None:
        made = await _make(client, params, found, ends_at)
        return Silenced(id=made, ends_at=ends_at, made=False)
    made = await client.make_silence(params.wanted, starts_at=now, ends_at=ends_at, comment=params.comment)
    return Silenced(id=made, ends_at=ends_at, made=True)
