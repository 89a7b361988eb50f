"""Which alerts the configured Alertmanager has firing now, and what mutes them; makes and ends silences of ours.

Made by `Clients`. It changes nothing but these silences.

What it answers is checked like a webhook's body: an alert that cannot be used is left out, and costs no other.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from remediator.clients.alertmanager_access import knock
from remediator.clients.json_api import JsonApi, refuses_the_question, said_in, told
from remediator.errors import Failed, OutcomeUnknown, Unavailable
from remediator.model.alert import Alert, AlertStatus, fingerprint_of
from remediator.model.matchers import Matcher
from remediator.settings import AlertmanagerSettings

log = structlog.get_logger(__name__)

_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TIME = re.compile(r"(\d{4})-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NO_YEAR = ("0000", "0001")  # Go's zero time stands for none
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")  # of a silence, which becomes a part of a path
_SHOWN = 200  # characters of what somebody wrote into a silence

CREATED_BY = "remediator"
"""Who has made a silence, where it was us: it is about noise, and nobody's wish to leave the alert alone."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """How Alertmanager has one alert now."""

    fires: bool
    silenced_by: tuple[str, ...] = ()
    """The ids of silences."""
    inhibited_by: tuple[str, ...] = ()
    """The fingerprints of alerts."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence, and who has made it, and why; these are somebody's words."""

    id: str
    created_by: str
    comment: str
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class OwnSilence:
    """A silence that we have made, and that is not over."""

    id: str
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    comment: str


class AlertmanagerClient:
    """The Alertmanager that the settings name."""

    def __init__(self, settings: AlertmanagerSettings) -> None:
        if settings.url is None:
            raise Unavailable("no Alertmanager is configured; set alertmanager.url")
        self._api = JsonApi(settings.url, timeout=settings.timeout, setting="alertmanager.url")

    async def ping(self) -> None:
        """Ask whether it answers. Raises Failed, Unavailable."""
        await self._get("/api/v2/status", [])

    async def configuration(self) -> str:
        """Its configuration in YAML, with secrets hidden by itself. Raises Failed, Unavailable."""
        answer = await self._get("/api/v2/status", [])
        try:
            return str(answer["config"]["original"])
        except (KeyError, TypeError):
            raise _strange(answer) from None

    async def is_firing(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with exactly these labels fires now, silenced or not.

        Raises Failed where Alertmanager refuses to look for such labels, and Unavailable where it does not answer.
        """
        wanted = _said(labels)
        return any(raw.get("labels") == wanted for raw in await self._alerts(_filters(wanted)))

    async def state_of(self, labels: Mapping[str, str]) -> AlertState:
        """How an alert with exactly these labels is now: whether it fires, and what silences or inhibits it.

        Raises Failed where Alertmanager refuses to look for such labels, and Unavailable where it does not answer.
        """
        wanted = _said(labels)
        for raw in await self._alerts(_filters(wanted)):
            if raw.get("labels") == wanted:
                status = raw.get("status")
                if not isinstance(status, dict):
                    raise _strange(raw)
                return AlertState(True, _names(status, "silencedBy"), _names(status, "inhibitedBy"))
        return AlertState(fires=False)

    async def firing_like(self, matchers: Sequence[str]) -> tuple[Mapping[str, str], ...]:
        """The labels of all alerts that fire now and meet these matchers, silenced or not.

        Raises Failed where Alertmanager refuses such matchers, and Unavailable where it does not answer.
        """
        found = await self._alerts([("filter", matcher) for matcher in matchers])
        return tuple(_labels(raw) for raw in found)

    async def silence(self, silence_id: str) -> Silence:
        """A silence by its id. Raises Unavailable, also where there is none."""
        if not _ID.fullmatch(silence_id):
            raise _strange(silence_id)
        found = await self._get(f"/api/v2/silence/{silence_id}", [])
        if not isinstance(found, dict):
            raise _strange(found)
        by, comment = (found.get(name) for name in ("createdBy", "comment"))
        try:
            ends_at = _time(found.get("endsAt"))
        except ValueError:
            ends_at = None
        return Silence(silence_id, _word(by), _word(comment), ends_at)

    async def find_silence(self, silence_id: str) -> Silence | None:
        """A silence by its id; None where Alertmanager has none of it any more. Raises Failed, Unavailable."""
        try:
            return await self.silence(silence_id)
        except Unavailable:  # of one that there is not, it answers without a word
            known = await self._get("/api/v2/silences", [])
            if isinstance(known, list) and all(isinstance(raw, dict) and raw.get("id") != silence_id for raw in known):
                return None
            raise

    async def up_since(self) -> datetime:
        """Since when it has been running, by its own clock. Raises Failed, Unavailable."""
        answer = await self._get("/api/v2/status", [])
        try:
            return _time(answer.get("uptime") if isinstance(answer, dict) else None)
        except ValueError as error:
            raise _strange(answer) from error

    async def own_silences(self, matchers: Collection[Matcher]) -> tuple[OwnSilence, ...]:
        """Our silences with exactly these matchers that are not over, the longest first. Raises Failed, Unavailable."""
        exact = [matcher for matcher in matchers if not matcher.is_regex and not matcher.negated]
        found = await self._get("/api/v2/silences", [("filter", str(matcher)) for matcher in exact])
        if not isinstance(found, list) or not all(isinstance(raw, dict) for raw in found):
            raise _strange(found)
        wanted = _told_as(matchers)
        ours = [_own(raw) for raw in found if _is_own(raw, wanted)]
        return tuple(sorted(ours, key=lambda one: (one.ends_at, one.id), reverse=True))

    async def make_silence(
        self,
        matchers: Collection[Matcher],
        *,
        starts_at: datetime,
        ends_at: datetime,
        comment: str,
        instead_of: str | None = None,
    ) -> str:
        """Make a silence of ours, or change the one with the id `instead_of`; its id, which may be a new one.

        Raises Failed, Unavailable, OutcomeUnknown.
        """
        body = {
            "matchers": _told_as(matchers),
            "startsAt": starts_at.isoformat(),
            "endsAt": ends_at.isoformat(),
            "createdBy": CREATED_BY,
            "comment": comment,
            **({"id": instead_of} if instead_of else {}),
        }
        answer = await self._tell("POST", "/api/v2/silences", body)
        made = answer.get("silenceID") if isinstance(answer, dict) else None
        if not isinstance(made, str) or not _ID.fullmatch(made):
            raise OutcomeUnknown(f"{_strange(answer)}; a silence may have been made")
        return made

    async def end_silence(self, silence_id: str) -> None:
        """End a silence now; one that is over stays as it is. Raises Failed, Unavailable, OutcomeUnknown."""
        if not _ID.fullmatch(silence_id):
            raise _strange(silence_id)
        await self._tell("DELETE", f"/api/v2/silence/{silence_id}")

    async def firing(self, receiver: str, group_labels: Mapping[str, str]) -> tuple[Alert, ...]:
        """The alerts that a delivery to this group would hold now: firing, neither silenced nor inhibited.

        Of startsAt, this API tells milliseconds only, where a webhook has nine digits. Raises Failed where Alertmanager
        refuses to look for such labels, and Unavailable where it does not answer.
        """
        query = [
            *_filters(group_labels),
            ("receiver", _SPECIAL.sub(r"\\\g<0>", receiver)),  # this API takes a regular expression
            ("silenced", "false"),
            ("inhibited", "false"),
        ]
        groups = await self._get("/api/v2/alerts/groups", query)
        if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
            raise _strange(groups)
        wanted = dict(group_labels)
        members = [raw for group in groups if group.get("labels") == wanted for raw in _listed(group)]
        return await asyncio.to_thread(_usable, members)  # thousands of alerts take their time

    async def allows(self, call: str) -> bool:
        """Whether a call, such as `POST /api/v2/silences`, is let through; nothing comes of it.

        Raises Unavailable; and Failed where the answer is neither Alertmanager's nor a refusal.
        """
        return await knock(self._api, call)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _alerts(self, filters: list[tuple[str, str]]) -> list[dict[str, Any]]:
        """All alerts that fire and meet the filters, whatever mutes them."""
        query = [*filters, ("active", "true"), ("silenced", "true"), ("inhibited", "true")]
        found = await self._get("/api/v2/alerts", query)
        if not isinstance(found, list) or not all(isinstance(raw, dict) for raw in found):
            raise _strange(found)
        return found

    async def _tell(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = await self._api.tell(method, path, body)
        if status != 200:  # noqa: PLR2004 - the one status of success
            raise Failed(f"Alertmanager answered {status} to {method} {path}: {told(said_in(answer))}")
        return answer

    async def _get(self, path: str, query: list[tuple[str, str]]) -> Any:
        status, answer = await self._api.ask("GET", path, query=query)
        if status != 200:  # noqa: PLR2004 - the one status of success
            kind = Failed if refuses_the_question(status) else Unavailable
            raise kind(f"Alertmanager answered {status} to GET {path}: {told(said_in(answer))}")
        return answer


def _told_as(matchers: Collection[Matcher]) -> list[dict[str, Any]]:
    """The matchers of a silence as its API tells them, each once, sorted."""
    told = {
        str(one): {"name": one.label, "value": one.value, "isRegex": one.is_regex, "isEqual": not one.negated}
        for one in matchers
    }
    return [told[key] for key in sorted(told)]


def _is_own(raw: Mapping[str, Any], wanted: list[dict[str, Any]]) -> bool:
    """Whether it is a silence of ours with these matchers that is not over. One before 0.22 tells no `isEqual`."""
    status, matchers = raw.get("status"), raw.get("matchers")
    if not isinstance(status, dict) or not isinstance(matchers, list):
        raise _strange(raw)
    if status.get("state") not in ("active", "pending") or raw.get("createdBy") != CREATED_BY:
        return False
    told = [{"isEqual": True, **one} for one in matchers if isinstance(one, dict)]
    return len(told) == len(wanted) and all(one in told for one in wanted)


def _own(raw: Mapping[str, Any]) -> OwnSilence:
    silence_id, comment = raw.get("id"), raw.get("comment")
    if not isinstance(silence_id, str) or not _ID.fullmatch(silence_id):
        raise _strange(raw)
    try:
        starts, ends, updated = (_time(raw.get(name)) for name in ("startsAt", "endsAt", "updatedAt"))
    except ValueError as error:
        raise _strange(raw) from error
    return OwnSilence(silence_id, starts, ends, updated, _word(comment))


def _said(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels without empty ones, which are none."""
    return {name: value for name, value in labels.items() if value}


def _filters(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """One matcher a label, in the classic grammar; a name outside it needs Alertmanager 0.27."""
    return [("filter", f'{_name(name)}="{value.translate(_ESCAPES)}"') for name, value in labels.items()]


def _name(name: str) -> str:
    return name if _CLASSIC_NAME.fullmatch(name) else f'"{name.translate(_ESCAPES)}"'


def _listed(group: Mapping[str, Any]) -> list[Any]:
    alerts = group.get("alerts")
    if not isinstance(alerts, list):
        raise _strange(group)
    return alerts


def _names(status: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """What mutes an alert: a list of ids, or nothing."""
    said = status.get(key) or []
    if not isinstance(said, list) or not all(isinstance(name, str) for name in said):
        raise _strange(said)
    return tuple(said)


def _labels(raw: Mapping[str, Any]) -> dict[str, str]:
    try:
        return _texts(raw, "labels")
    except ValueError as error:
        raise _strange(raw) from error


def _word(value: Any) -> str:
    """Somebody's words in a silence, as they may be told."""
    return told(value[:_SHOWN]) if _is_text(value) else ""


def _usable(answer: Iterable[Any]) -> tuple[Alert, ...]:
    """The alerts that can be used, each once; what is wrong with another is said in the log."""
    usable = {}
    for raw in answer:
        try:
            alert = _alert(raw)
        except ValueError as error:
            log.warning("alert_left_out", error=f"Alertmanager tells of an alert that cannot be used: {error}")
        else:
            usable[alert.fingerprint] = alert
    return tuple(usable.values())


def _alert(raw: Any) -> Alert:
    """Raises ValueError where it is not an alert as Alertmanager tells one."""
    if not isinstance(raw, dict):
        raise ValueError("it is not an object")
    labels = _texts(raw, "labels")
    if not labels:
        raise ValueError("it has no labels")
    url = raw.get("generatorURL")
    return Alert(
        fingerprint=fingerprint_of(labels),
        status=AlertStatus.FIRING,
        labels=labels,
        annotations=_texts(raw, "annotations"),
        starts_at=_time(raw.get("startsAt")),
        generator_url=url if isinstance(url, str) and _is_text(url) else "",
    )


def _texts(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    value = raw.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(_is_text(key) and _is_text(text) for key, text in value.items()):
        raise ValueError(f"its {name} are not an object of texts")
    return value


def _is_text(value: Any) -> bool:
    """Whether it is a string of whole characters: half of a pair of surrogates can be stored nowhere."""
    return isinstance(value, str) and not _SURROGATE.search(value)


def _time(value: Any) -> datetime:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[1] in _NO_YEAR:
        raise ValueError("its startsAt is not a time like 2026-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("its startsAt is out of range") from error


def _strange(answer: Any) -> Unavailable:
    return Unavailable(f"this is not an answer of Alertmanager ({type(answer).__name__}); check alertmanager.url")
