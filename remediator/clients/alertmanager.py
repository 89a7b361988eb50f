"""Which alerts the configured Alertmanager has firing now. `Clients` makes it; it only reads."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from remediator.clients.json_api import JsonApi, said_in, told
from remediator.errors import Unavailable
from remediator.model.alert import Alert, AlertStatus
from remediator.model.ids import Fingerprint
from remediator.settings import AlertmanagerSettings

_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class AlertmanagerClient:
    """The Alertmanager that the settings name."""

    def __init__(self, settings: AlertmanagerSettings) -> None:
        if settings.url is None:
            raise Unavailable("no Alertmanager is configured; set alertmanager.url")
        self._api = JsonApi(settings.url, timeout=settings.timeout, setting="alertmanager.url")

    async def is_firing(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with exactly these labels fires now, silenced or not. Raises Unavailable."""
        wanted = {name: value for name, value in labels.items() if value}  # an empty label is none
        query = [*_filters(wanted), ("active", "true"), ("silenced", "true"), ("inhibited", "true")]
        return any(alert.labels == wanted for alert in _alerts(await self._get("/api/v2/alerts", query)))

    async def firing(self, receiver: str, group_labels: Mapping[str, str]) -> tuple[Alert, ...]:
        """The alerts that a delivery to this group would hold now: firing, neither silenced nor inhibited.

        Of startsAt, this API tells milliseconds only, where a webhook has nine digits. Raises Unavailable.
        """
        query = [
            *_filters(group_labels),
            ("receiver", _SPECIAL.sub(r"\\\g<0>", receiver)),  # this API takes a regular expression
            ("silenced", "false"),
            ("inhibited", "false"),
        ]
        groups = await self._get("/api/v2/alerts/groups", query)
        try:
            members = [raw for group in groups if group["labels"] == dict(group_labels) for raw in group["alerts"]]
        except (KeyError, TypeError) as error:
            raise _strange(error) from error
        return tuple({alert.fingerprint: alert for alert in _alerts(members)}.values())

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _get(self, path: str, query: list[tuple[str, str]]) -> Any:
        status, answer = await self._api.ask("GET", path, query=query)
        if status != 200:  # noqa: PLR2004 - the one status of success
            raise Unavailable(f"Alertmanager answered {status} to GET {path}: {told(said_in(answer))}")
        return answer


def _filters(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """One matcher a label, in the classic grammar; a name outside it needs Alertmanager 0.27."""
    return [("filter", f'{_name(name)}="{value.translate(_ESCAPES)}"') for name, value in labels.items()]


def _name(name: str) -> str:
    return name if _CLASSIC_NAME.fullmatch(name) else f'"{name.translate(_ESCAPES)}"'


def _alerts(answer: Iterable[Any]) -> tuple[Alert, ...]:
    try:
        return tuple(_alert(raw) for raw in answer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _strange(error) from error


def _alert(raw: Mapping[str, Any]) -> Alert:
    return Alert(
        fingerprint=Fingerprint(raw["fingerprint"]),
        status=AlertStatus.FIRING,
        labels=dict(raw["labels"]),
        annotations=dict(raw.get("annotations") or {}),
        starts_at=datetime.fromisoformat(raw["startsAt"]).astimezone(UTC),
        generator_url=raw.get("generatorURL") or "",
    )


def _strange(error: Exception) -> Unavailable:
    return Unavailable(f"this is not an answer of Alertmanager ({type(error).__name__}); check alertmanager.url")
