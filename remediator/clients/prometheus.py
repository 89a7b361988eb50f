"""Queries to the configured Prometheus. Made by `Clients`, used by `prometheus.query`; it only reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remediator.clients.json_api import JsonApi, said_in, told
from remediator.errors import Failed, Unavailable
from remediator.settings import PrometheusSettings

_KEPT = 1000  # samples of one answer; nobody reads more, and each is carried through the whole pipeline


@dataclass(frozen=True, slots=True)
class Sample:
    """One value with its labels; the value may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: its first samples, and how many there are in all."""

    samples: tuple[Sample, ...]
    count: int


class PrometheusClient:
    """The Prometheus that the settings name."""

    def __init__(self, settings: PrometheusSettings) -> None:
        if settings.url is None:
            raise Unavailable("no Prometheus is configured; set prometheus.url")
        self._api = JsonApi(settings.url, timeout=settings.timeout, setting="prometheus.url")
        self._timeout = settings.timeout

    async def ping(self) -> None:
        """Ask whether it answers. Raises Failed, Unavailable."""
        await self.query("1")

    async def query(self, expr: str, *, time: datetime | None = None) -> Found:
        """What the expression is now, or was at `time`: a scalar is one sample without labels.

        Of a large answer the first thousand samples are kept.

        Raises Failed, with Prometheus' own words, for an expression that it refuses, and Unavailable where
        it does not answer.
        """
        form = {"query": expr, "timeout": f"{max(round(self._timeout.total_seconds() * 1000), 1)}ms"}
        if time is not None:
            form["time"] = f"{time.timestamp():.3f}"
        status, answer = await self._api.ask("POST", "/api/v1/query", form=form)
        what = f"Prometheus, asked {told(expr)!r}"
        if status != 200:  # noqa: PLR2004 - the one status of success
            raise Failed(f"{what}, answered {status}: {told(said_in(answer))}")
        try:
            return _found(answer["data"]["resultType"], answer["data"]["result"], what)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise Unavailable(f"{what}: this is not an answer of Prometheus; check prometheus.url") from error

    async def alert_names(self) -> frozenset[str]:
        """The names of the alerts that its rules may raise. Raises Failed, Unavailable."""
        status, answer = await self._api.ask("GET", "/api/v1/rules", query=[("type", "alert")])
        if status != 200:  # noqa: PLR2004 - the one status of success
            raise Failed(f"Prometheus, asked for its rules, answered {status}: {told(said_in(answer))}")
        try:
            return frozenset(str(rule["name"]) for group in answer["data"]["groups"] for rule in group["rules"])
        except (KeyError, TypeError) as error:
            raise Unavailable("this is not an answer of Prometheus; check prometheus.url") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


def _found(kind: str, result: Any, what: str) -> Found:
    if kind == "scalar":
        return Found((Sample({}, float(result[1])),), 1)
    if kind != "vector":
        raise Failed(f"{what}, answered a {kind}; write an expression that gives numbers at one time, so no range")
    if any("histogram" in series for series in result):
        raise Failed(f"{what}, answered native histograms; take a number from them, as with histogram_quantile()")
    kept = tuple(Sample(dict(series["metric"]), float(series["value"][1])) for series in result[:_KEPT])
    return Found(kept, len(result))
