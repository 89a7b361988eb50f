"""Whether those whom a problem was sent on to were reached: due, on its way, delivered, or led nowhere. Pure.

Called by the listing of open problems. It follows from the run's facts, its rule, the settings and the outbox, and is
kept nowhere: a level is told by a message of the outbox, and that stands somewhere once it was delivered.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from remediator.chat.chat import landed_at
from remediator.model.facts import Escalated
from remediator.model.message import TOLD_IN
from remediator.model.run import Run
from remediator.pipeline.escalation.levels import DueLevel, Levels
from remediator.pipeline.escalation.notices import notice_key
from remediator.pipeline.outbox import Tries
from remediator.storage.outbox import NoticeState

Name = tuple[str, str]
"""The channel and the key of a notice."""


class Told(StrEnum):
    """How far the telling of a level is."""

    DUE = "due"
    WAITING = "waiting"  # it is sent, and not delivered to all of its places
    DELIVERED = "delivered"
    NOT_CONFIGURED = "not configured"  # the settings have no such level: only the run's own thread says so


@dataclass(frozen=True, slots=True)
class Place:
    """One channel or webhook of a level, and whether it was reached."""

    channel: str
    delivered: bool
    at: datetime | None = None
    """When it was delivered, where that is known; or since when it waits."""
    tries: Tries | None = None
    """How often it was tried in vain; None where it was not, and where another process posts."""


@dataclass(frozen=True, slots=True)
class LevelState:
    """A level of a problem: when its time is or was, and who was reached."""

    number: int
    to: str
    due: datetime
    told: Told
    places: tuple[Place, ...] = ()


def wanted(run: Run, instead: str) -> Iterator[Name]:
    """The notices that `states_of` has to know of; `instead` is where those go whose channel there is no more."""
    for fact in _told(run):
        for channel in fact.channels:
            yield channel, notice_key(run.id, fact)
        if fact.channels:
            yield instead, notice_key(run.id, fact)


def gathered_in(notices: Mapping[Name, NoticeState], instead: str) -> Iterator[Name]:
    """The notices that tell some of these together with others."""
    for notice in notices.values():
        if notice.ref is not None and notice.ref.startswith(TOLD_IN):
            yield notice.channel, notice.ref.removeprefix(TOLD_IN)
            yield instead, notice.ref.removeprefix(TOLD_IN)


def states_of(
    run: Run,
    left: tuple[DueLevel, ...],
    levels: Levels,
    notices: Mapping[Name, NoticeState],
    instead: str,
    tries: Callable[[int], Tries | None],
) -> tuple[LevelState, ...]:
    """All levels of a run's rule, those that were sent first, then those that are due."""

    def place(channel: str, key: str) -> Place:
        notice = notices.get((channel, key)) or notices.get((instead, key))
        while notice is not None and notice.ref is not None and notice.ref.startswith(TOLD_IN):
            channel, key = notice.channel, notice.ref.removeprefix(TOLD_IN)
            notice = notices.get((channel, key)) or notices.get((instead, key))
        if notice is None:  # it was forgotten, and nothing is that was not sent
            return Place(channel, delivered=True)
        if notice.ref is None:
            return Place(notice.channel, delivered=False, at=notice.queued_at, tries=tries(notice.seq))
        return Place(notice.channel, delivered=True, at=landed_at(notice.ref))

    def sent(fact: Escalated) -> LevelState:
        places = tuple(place(channel, notice_key(run.id, fact)) for channel in fact.channels)
        reached = Told.DELIVERED if all(one.delivered for one in places) else Told.WAITING
        return LevelState(fact.level, fact.to, fact.at, reached if places else Told.NOT_CONFIGURED, places)

    def due(one: DueLevel) -> LevelState:
        there = levels.get(one.level.to)
        return LevelState(one.number, one.level.to, one.at, Told.DUE if there else Told.NOT_CONFIGURED)

    return *map(sent, _told(run)), *map(due, left)


def _told(run: Run) -> Iterator[Escalated]:
    return (fact for fact in run.facts if isinstance(fact, Escalated))
