"""Questions to the configured Prometheus. Made by `Clients`, used by `prometheus.query` and guards; it only reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remediator.clients.json_api import JsonApi, said_in, told
from remediator.errors import Failed, Unavailable
from remediator.settings import PrometheusSettings

_STRANGE = "this is not an answer of Prometheus; check prometheus.url"
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


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert of a rule, with its labels before any that are added, changed or dropped where alerts are sent."""

    labels: Mapping[str, str]
    fires: bool
    """False where it is pending: its condition holds, but not for long enough yet."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alerting rule as it was worked out last."""

    alerts: tuple[ActiveAlert, ...]
    is_new: bool = False
    """Whether it was not worked out yet since Prometheus has started or has read it."""
    trouble: str = ""
    """Why it could not be worked out the last time; its alerts are older then."""


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
        return frozenset(str(rule["name"]) for rule in await self._rules())

    async def alert_rules(self, name: str) -> tuple[AlertRule, ...]:
        """Its rules that raise alerts of that name, with those that are active now. Raises Failed, Unavailable."""
        found = await self._rules(("rule_name[]", name))  # one that is too old for that answers with all of them
        try:
            return tuple(_rule(raw) for raw in found if raw["name"] == name)
        except (KeyError, TypeError, AttributeError) as error:
            raise Unavailable(_STRANGE) from error

    async def _rules(self, *query: tuple[str, str]) -> list[dict[str, Any]]:
        """Its alerting rules. Raises Failed, Unavailable."""
        status, answer = await self._api.ask("GET", "/api/v1/rules", query=[("type", "alert"), *query])
        if status != 200:  # noqa: PLR2004 - the one status of success
            raise Failed(f"Prometheus, asked for its rules, answered {status}: {told(said_in(answer))}")
        try:
            rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
        except (KeyError, TypeError) as error:
            raise Unavailable(_STRANGE) from error
        if not all(isinstance(rule, dict) and isinstance(rule.get("name"), str) for rule in rules):
            raise Unavailable(_STRANGE)
        return rules

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


def _rule(raw: Mapping[str, Any]) -> AlertRule:
    alerts = tuple(
        ActiveAlert({str(label): str(value) for label, value in one["labels"].items()}, one["state"] == "firing")
        for one in raw.get("alerts") or ()
    )
    health = raw.get("health")
    trouble = "" if health in ("ok", "unknown") else told(str(raw.get("lastError") or f"its health is {health}"))
    return AlertRule(alerts, is_new=health == "unknown", trouble=trouble)


def _found(kind: str, result: Any, what: str) -> Found:
    if kind == "scalar":
        return Found((Sample({}, float(result[1])),), 1)
    if kind != "vector":
        raise Failed(f"{what}, answered a {kind}; write an expression that gives numbers at one time, so no range")
    if any("histogram" in series for series in result):
        raise Failed(f"{what}, answered native histograms; take a number from them, as with histogram_quantile()")
    kept = tuple(Sample(dict(series["metric"]), float(series["value"][1])) for series in result[:_KEPT])
    return Found(kept, len(result))
