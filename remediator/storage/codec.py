"""Turns facts, signals and messages into JSON text and back; the same for every engine."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic_core import to_json

from remediator.model.alert import Alert
from remediator.model.facts import Fact
from remediator.model.message import Message
from remediator.model.occurrence import Doubt
from remediator.model.run import Signal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
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
    return to_json(dict(value)).decode()


def read_mapping(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value
