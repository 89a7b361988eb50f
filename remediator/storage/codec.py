"""Turns facts, signals and messages into JSON text and back; the same for every engine."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic_core import to_json

from remediator.model.alert import Alert
from remediator.model.audit import AuditEntry, Sealed
from remediator.model.change import Change, Ending
from remediator.model.facts import Fact
from remediator.model.ids import OwnerId, RuleId, RunId
from remediator.model.message import Message
from remediator.model.occurrence import Doubt
from remediator.model.run import RunSummary, Signal
from remediator.model.stop import Stop, StopKind
from remediator.model.token import Scope, Token

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ENDINGS: dict[str | None, Ending | None] = {None: None, **{ending.value: ending for ending in Ending}}
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True)  # `json.dumps` would make one for each call


def to_us(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(at: int) -> datetime:
    """The time that `to_us` was given."""
    return _EPOCH + timedelta(microseconds=at)


@cache
def _facts() -> TypeAdapter[Fact]:
    return TypeAdapter(Annotated[Fact, Field(discriminator="kind")])


@cache
def _signals() -> TypeAdapter[Signal]:
    return TypeAdapter(Annotated[Signal, Field(discriminator="kind")])


@cache
def _messages() -> TypeAdapter[Message]:
    return TypeAdapter(Message)


@cache
def _audit() -> TypeAdapter[AuditEntry]:
    return TypeAdapter(AuditEntry)


@cache
def _alerts() -> TypeAdapter[Alert]:
    return TypeAdapter(Alert)


@cache
def _doubts() -> TypeAdapter[Doubt]:
    return TypeAdapter(Doubt)


def write_fact(fact: Fact) -> str:
    return _facts().dump_json(fact).decode()


def read_fact(text: str) -> Fact:
    return _facts().validate_json(text)


def write_signal(signal: Signal) -> str:
    return _signals().dump_json(signal).decode()


def read_signal(text: str) -> Signal:
    return _signals().validate_json(text)


def write_message(message: Message) -> str:
    return _messages().dump_json(message).decode()


def read_message(text: str) -> Message:
    return _messages().validate_json(text)


def write_audit(entry: AuditEntry) -> str:
    return _audit().dump_json(entry).decode()


def read_audit(text: str) -> AuditEntry:
    return _audit().validate_json(text)


def read_sealed(row: Any) -> Sealed:
    """A row of the audit journal. One that says nothing any more is told as such: its seal does not fit, either."""
    try:
        entry = read_audit(row["body"])
    except ValueError:
        entry = AuditEntry(from_us(row["at"]), "unreadable", "", "")
    return Sealed(row["seq"], entry, row["place"], row["seal"], row["key"])


def write_alert(alert: Alert) -> str:
    return _alerts().dump_json(alert).decode()


def read_alert(text: str) -> Alert:
    return _alerts().validate_json(text)


def write_doubt(doubt: Doubt) -> str:
    return _doubts().dump_json(doubt).decode()


def read_doubt(text: str) -> Doubt:
    return _doubts().validate_json(text)


def write_mapping(value: Mapping[str, Any]) -> str:
    return _ENCODER.encode(dict(value))


def write_labels(value: Mapping[str, str]) -> str:
    """Labels or annotations; `write_mapping` takes many times as long. `read_mapping` reads both."""
    return to_json(value if type(value) is dict else dict(value)).decode()


def read_mapping(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value


CHANGE = "run, round, rule, target, action, alert_at, at, counts, ending, ended_at"
"""The columns that `read_change` takes, in this order, and after them its place."""
BAD = ", ".join(f"'{ending}'" for ending in Ending if ending.is_bad)
"""The endings that are a reason to look closer, as SQL."""
STOP = "kind, scope, reason, by, at, until"
"""The columns that `read_stop` takes, in this order."""
TOKEN = "id, subject, scope, groups, digest, made_at, made_by, expires_at, revoked_at, revoked_by"  # noqa: S105 - none
"""The columns that `write_token` gives and `read_token` takes, in this order."""
SUMMARY = "id, rule, alertname, created_at, ended_at, outcome, wake_at, owner"
"""The columns that `read_summary` takes, in this order."""


def read_change(row: Iterable[Any]) -> Change:
    return _change(*row)


@lru_cache(4096)  # every start reads much the same entries, in its transaction
def _change(
    run: str,
    round_: int,
    rule: str,
    target: str,
    action: str,
    alert_at: int,
    at: int,
    counts: int,
    ending: str | None,
    ended_at: int | None,
    seq: int,
) -> Change:
    return Change(
        RunId(run),
        round_,
        RuleId(rule),
        target,
        action,
        from_us(alert_at),
        from_us(at),
        bool(counts),
        _ENDINGS[ending],
        from_us(ended_at) if ended_at is not None else None,
        seq,
    )


def read_stop(row: Iterable[Any]) -> Stop:
    kind, scope, reason, by, at, until = row
    return Stop(StopKind(kind), scope, reason, by, from_us(at), from_us(until) if until is not None else None)


def write_token(token: Token) -> tuple[Any, ...]:
    return (
        token.id,
        token.subject,
        token.scope.value,
        _ENCODER.encode(list(token.groups)),
        token.digest,
        to_us(token.made_at),
        token.made_by,
        None if token.expires_at is None else to_us(token.expires_at),
        None if token.revoked_at is None else to_us(token.revoked_at),
        token.revoked_by,
    )


def read_token(row: Iterable[Any]) -> Token:
    token_id, subject, scope, groups, digest, made_at, made_by, expires_at, revoked_at, revoked_by = row
    return Token(
        token_id,
        subject,
        Scope(scope),
        tuple(json.loads(groups)),
        digest,
        from_us(made_at),
        made_by,
        None if expires_at is None else from_us(expires_at),
        None if revoked_at is None else from_us(revoked_at),
        revoked_by,
    )


def read_summary(row: Iterable[Any]) -> RunSummary:
    run, rule, alertname, created_at, ended_at, outcome, wake_at, owner = row
    return RunSummary(
        id=RunId(run),
        rule=RuleId(rule),
        alertname=alertname,
        created_at=from_us(created_at),
        ended_at=None if ended_at is None else from_us(ended_at),
        outcome=outcome,
        wake_at=None if wake_at is None else from_us(wake_at),
        owner=OwnerId(owner),
    )
