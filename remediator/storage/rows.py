"""Turns rows into the model's values; the same for every engine, as the tables have the same columns."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from remediator.model.alert import CutGroup
from remediator.model.chain import NO_HEAD, Head
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import TOLD_IN, QueuedPost
from remediator.model.occurrence import Occurrence
from remediator.model.priority import Priority
from remediator.model.run import Run
from remediator.storage import codec
from remediator.storage.buttons import Button, OpenQuestions, Pressed
from remediator.storage.outbox import NoticeState, OutboxState
from remediator.storage.reading import PostState
from remediator.storage.runs import Wake


class Row(Protocol):
    """A row of any engine, its values by the names of the columns."""

    def __getitem__(self, name: str, /) -> Any: ...


def when(us: int | None) -> datetime | None:
    """A stored time that may be missing."""
    return None if us is None else codec.from_us(us)


def run_of(row: Row, facts: Iterable[str], signals: Iterable[str]) -> Run:
    """The run of a row, with what is stored of it beside."""
    return Run(
        id=RunId(row["id"]),
        rule=RuleId(row["rule"]),
        rule_digest=Digest(row["rule_digest"]),
        occurrence=OccurrenceId(row["occurrence"]),
        alert=codec.read_alert(row["alert"]),
        summary=row["summary"],
        channel=row["channel"],
        owner=OwnerId(row["owner"]),
        epoch=row["epoch"],
        created_at=codec.from_us(row["created_at"]),
        facts=tuple(map(codec.read_fact, facts)),
        signals=tuple(map(codec.read_signal, signals)),
    )


def wake_of(row: Row) -> Wake:
    return Wake(RunId(row["id"]), codec.from_us(row["wake_at"]), Priority(row["priority"]))


def occurrence_of(row: Row) -> Occurrence:
    return Occurrence(
        id=OccurrenceId(row["id"]),
        fingerprint=Fingerprint(row["fingerprint"]),
        labels=codec.read_mapping(row["labels"]),
        starts_at=codec.from_us(row["starts_at"]),
        opened_at=codec.from_us(row["opened_at"]),
        heard_at=codec.from_us(row["heard_at"]),
        closed_at=when(row["closed_at"]),
        ends_at=when(row["ends_at"]),
        doubt=codec.read_doubt(row["doubt"]) if row["doubt"] else None,
        runs_ended_at=when(row["runs_ended_at"]),
        annotations=codec.read_mapping(row["annotations"]),
    )


def cut_group_of(row: Row) -> CutGroup:
    return CutGroup(
        receiver=row["receiver"],
        group_key=row["group_key"],
        labels=codec.read_mapping(row["labels"]),
        missing=row["missing"],
        ask_at=codec.from_us(row["ask_at"]),
        tries=row["tries"],
    )


def queued_post_of(row: Row) -> QueuedPost:
    return QueuedPost(
        seq=row["seq"],
        run=None if row["run"] is None else RunId(row["run"]),
        channel=row["channel"],
        key=row["key"],
        message=codec.read_message(row["message"]),
        version=row["version"],
        queued_at=codec.from_us(row["queued_at"]),
        ref=None if (row["ref"] or "").startswith(TOLD_IN) else row["ref"],
        thread=row["thread"],
        attempted=bool(row["attempted"]),
    )


def post_state_of(row: Row) -> PostState:
    return PostState(
        key=row["key"],
        title=codec.read_message(row["message"]).title,
        channel=row["channel"],
        queued_at=codec.from_us(row["queued_at"]),
        is_sent=row["sent_version"] >= row["version"],
        ref=row["ref"],
    )


def notice_state_of(row: Row) -> NoticeState:
    return NoticeState(row["channel"], row["key"], row["seq"], codec.from_us(row["queued_at"]), row["ref"])


def outbox_state_of(row: Row) -> OutboxState:
    return OutboxState(row["waiting"], when(row["oldest"]), row["minor"])


def pressed_of(row: Row) -> Pressed:
    button = Button(
        digest=row["digest"],
        run=RunId(row["run"]),
        round=row["round"],
        revision=row["revision"],
        plan=Digest(row["plan"]),
        approves=bool(row["approves"]),
        post=row["post"],
        made_at=codec.from_us(row["made_at"]),
    )
    return Pressed(button, row["ref"])


def open_questions_of(row: Row) -> OpenQuestions:
    return OpenQuestions(RuleId(row["rule"]), row["channel"], row["n"])


def head_of(row: Row | None) -> Head:
    """The place and the seal of an entry of the audit journal."""
    return NO_HEAD if row is None else (row["place"], row["seal"])
