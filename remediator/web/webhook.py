"""Reads a webhook's body: strict about what would be misunderstood, tolerant of what is merely unknown.

Called for every delivery by the server (in a thread for large bodies), so it is plain code on the standard
library. It is pure. It never lets anything but `BadPayload` out, whatever the bytes are, and never turns one
type into another.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from remediator.errors import BadPayload
from remediator.model.alert import Alert, AlertStatus, Delivery, fingerprint_of
from remediator.model.ids import Fingerprint

_MAX_FINGERPRINT = 64
_MAX_TRUNCATED = 2**53  # what a float counts exactly; a metric is one
_MAX_SAID = 40  # characters of the sender's own text in an error
_ZERO_TIME = "0001-01-01T00:00:00Z"  # Go's zero time, which stands for "none"
_TIME = re.compile(r"(\d{4})-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_QUOTED = re.compile(r"\\([\\.+*?()|\[\]{}^$])")  # what Go's regexp.QuoteMeta escapes
_STRINGS = frozenset((str,))
_ABSENT: Any = object()


def parse_delivery(body: bytes, *, received_at: datetime) -> Delivery:
    """The delivery that a webhook's body says. Raises BadPayload, short and with the place."""
    envelope = read_json(body)
    if type(envelope) is not dict:
        raise BadPayload("the body is not a JSON object")
    listed = envelope.get("alerts", _ABSENT)
    if listed is _ABSENT:
        raise BadPayload("the body has no `alerts`: this is not Alertmanager's webhook")
    if listed is not None and type(listed) is not list:
        raise BadPayload("alerts is not a list")
    alerts: dict[tuple[Fingerprint, AlertStatus, datetime], Alert] = {}
    for place, item in enumerate(listed or ()):
        try:
            alert = _alert(item, received_at)
        except BadPayload as wrong:
            raise BadPayload(f"alerts[{place}]{wrong}") from None
        alerts.setdefault((alert.fingerprint, alert.status, alert.starts_at), alert)
    return Delivery(
        alerts=tuple(alerts.values()),
        received_at=received_at,
        receiver=_unquoted(_text(envelope.get("receiver"))),
        group_key=_text(envelope.get("groupKey")),
        group_labels=_texts(envelope.get("groupLabels")),
        external_url=_text(envelope.get("externalURL")),
        truncated=_truncated(envelope.get("truncatedAlerts")),
        repeated=len(listed or ()) - len(alerts),
    )


def read_json(body: bytes) -> Any:
    """The value that a strict JSON text in UTF-8 says: finite numbers, each key once, whole characters.

    Raises BadPayload for everything else, however it is malformed.
    """
    try:
        value = json.loads(
            body.decode("utf-8", "strict"),
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
        if _SURROGATE.search(body):
            # Writing it out again is the fastest way to meet every string; half a pair cannot be encoded.
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise BadPayload(f"the body is not UTF-8: byte {error.start} does not belong there") from None
    except UnicodeEncodeError:
        raise BadPayload("the body has a \\u escape that is half of a surrogate pair, which is no text") from None
    except json.JSONDecodeError as error:
        raise BadPayload(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise BadPayload("the body is nested too deeply") from None
    except ValueError:  # Python's limit on the digits of an integer
        raise BadPayload("the body has a number with too many digits") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # add() is used for its effect
        raise BadPayload(f"the key {_said(twice)} stands twice in one object")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise BadPayload(f"the number {_said(text)} is too large")
    return number


def _refuse_constant(text: str) -> Any:
    raise BadPayload(f"{text} is not JSON")


def _alert(item: Any, received_at: datetime) -> Alert:
    if type(item) is not dict:
        raise BadPayload(" is not an object")
    labels = _strings(item.get("labels"), "labels")
    annotations = item.get("annotations")
    starts_at, ends_at = _time(item.get("startsAt"), "startsAt"), _time(item.get("endsAt"), "endsAt")
    return Alert(
        fingerprint=_fingerprint(item.get("fingerprint"), labels),
        status=_status(item.get("status"), ends_at, received_at),
        labels=labels,
        annotations={} if annotations is None else _strings(annotations, "annotations"),
        starts_at=starts_at or received_at,
        ends_at=ends_at,
        generator_url=_text(item.get("generatorURL")),
        is_start_known=starts_at is not None,
    )


def _strings(value: Any, name: str) -> dict[str, str]:
    if type(value) is not dict:
        raise BadPayload(f".{name} is not an object of strings")
    if not _STRINGS.issuperset(map(type, value.values())):
        wrong = next(key for key, text in value.items() if type(text) is not str)
        raise BadPayload(f".{name}.{_said(wrong)} is not a string")
    return value


def _status(value: Any, ends_at: datetime | None, received_at: datetime) -> AlertStatus:
    if value == "firing":
        return AlertStatus.FIRING
    if value == "resolved":
        return AlertStatus.RESOLVED
    if value is None:
        over = ends_at is not None and ends_at <= received_at
        return AlertStatus.RESOLVED if over else AlertStatus.FIRING
    raise BadPayload(".status is neither firing nor resolved")


def _fingerprint(said: Any, labels: Mapping[str, str]) -> Fingerprint:
    """Alertmanager's is the one of the labels. Another sender's own never stands alone: on another alert's labels it
    would hide that one, or run its rule on these."""
    computed = fingerprint_of(labels)
    usable = type(said) is str and 0 < len(said) <= _MAX_FINGERPRINT and said.isprintable()
    return computed if not usable or said == computed else Fingerprint(f"{said}-{computed}")


def _time(value: Any, name: str) -> datetime | None:
    """The time in UTC; None where the sender leaves it out or sends Go's zero time, in any zone."""
    if value is None or value in ("", _ZERO_TIME):
        return None
    found = _TIME.fullmatch(value) if type(value) is str else None
    if found is None:
        raise BadPayload(f".{name} is not a time like 2026-01-31T12:00:00Z")
    if found[1] in ("0000", "0001"):
        return None
    try:
        there = datetime.fromisoformat(value.upper())
    except ValueError:
        raise BadPayload(f".{name} is not a time that exists: {_said(value)}") from None
    try:
        return there.astimezone(UTC)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _truncated(value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= _MAX_TRUNCATED:
        raise BadPayload("truncatedAlerts is not a count")
    return value


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _texts(value: Any) -> dict[str, str]:
    return value if type(value) is dict and _STRINGS.issuperset(map(type, value.values())) else {}


def _unquoted(receiver: str) -> str:
    return _QUOTED.sub(r"\1", receiver) if "\\" in receiver else receiver


def _said(text: str) -> str:
    """The sender's own text, cut and fit for a log."""
    cut = text if len(text) <= _MAX_SAID else f"{text[:_MAX_SAID]}..."
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in cut)
