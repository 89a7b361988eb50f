"""Asking Prometheus. Found by `remediator.plugins` through its entry point. It only reads."""

from datetime import timedelta
from typing import Annotated

from pydantic import ConfigDict

from remediator.clients import Clients
from remediator.clients.addresses import bare_url
from remediator.documents import Described
from remediator.kit.wording import counted
from remediator.plugins import ActionContext, Effect, Nature, Params, Result, WrittenIn, action

_SHOWN = 20
_MARGIN = timedelta(seconds=2)  # so that the client's own limit is reached first, and says which


class QueryParams(Params):
    """What to ask."""

    query: Annotated[str, WrittenIn("PromQL", ("promql", "promql_regex"))]
    """An expression in PromQL that gives numbers at one time."""


class SampleResult(Described):
    """One value with its labels."""

    model_config = ConfigDict(frozen=True)

    labels: dict[str, str]
    """The labels that the value carries."""
    value: float
    """The value; it may be NaN or infinite."""


class Queried(Result):
    """What Prometheus answered."""

    value: float | None
    """The value where there is exactly one, else nothing."""
    samples: tuple[SampleResult, ...]
    """All of them, with their labels; the first 1000 where there are more."""
    count: int
    """How many there are, those included that are not in `samples`."""

    def brief(self) -> str:
        if self.value is not None:
            return f"{self.value:g}"
        return "no value" if self.count == 0 else counted(self.count, "value")

    def detail(self) -> str:
        if self.count <= 1:
            return ""
        lines = [f"{_shown(sample.labels)} {sample.value:g}" for sample in self.samples[:_SHOWN]]
        if self.count > _SHOWN:
            lines.append(f"… ({self.count - _SHOWN} more)")
        return "\n".join(lines)


def _shown(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def _say(params: QueryParams) -> str:
    return f"ask Prometheus: {params.query}"


def _nature(clients: Clients, params: QueryParams) -> Nature:
    del params
    return Nature(Effect.READ, idempotent=True, timeout=clients.settings.prometheus.timeout + _MARGIN)


def _where(clients: Clients, params: QueryParams) -> str:
    del params
    return f"Prometheus at {bare_url(clients.settings.prometheus.url or '')}"


@action("prometheus.query", effect=Effect.READ, nature=_nature, say=_say, where=_where)
async def query(ctx: ActionContext, params: QueryParams) -> Queried:
    """What an expression is now, in Prometheus."""
    found = await ctx.clients.prometheus.query(params.query)
    return Queried(
        value=found.samples[0].value if found.count == 1 else None,
        samples=tuple(SampleResult(labels=dict(sample.labels), value=sample.value) for sample in found.samples),
        count=found.count,
    )
