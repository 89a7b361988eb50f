"""A run's turn, what it waits for and hears, how it ends before the run does, and how a hold is written down.

Used by the flow and its parts.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from remediator.model.facts import Held
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Hold
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.verification import Resting

LOOK_AGAIN = timedelta(seconds=5)
"""How soon a plan whose target is busy is tried again, if nobody wakes it before."""
A_MOMENT = timedelta(seconds=1)

# How soon one is looked at again that a person may let go at any time; there may be thousands, so not too often.
_LOOKS = {Reason.PAUSED: timedelta(seconds=30), Reason.STORM: timedelta(minutes=2)}
_LONG_HELD, _SELDOM = timedelta(minutes=5), timedelta(minutes=2)
_ANEW_AT_LEAST = timedelta(minutes=10)
"""So often a plan is made anew whose target is gone, however often that was in vain; each is told with its evidence."""


@dataclass(frozen=True, slots=True)
class Parked:
    """The run rests until then, or until a signal comes."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Left:
    """All is stored, and the run is nobody's any more, until then if it has something to do by itself."""

    until: datetime | None


class Turn(Resting, Protocol):
    """A run's turn: it holds a place, and gives it to others while it waits."""

    @property
    def has_news(self) -> bool:
        """Whether this process knows that something has come for the run since it last had to wait."""
        ...

    @property
    def may_change(self) -> bool:
        """Whether the run holds one of the places to change something; where it does not, it waits for one."""
        ...

    async def wait_to_change(self, at_most: timedelta | None = None) -> None:
        """Return when it may change something, when there is news of the run, or after that time."""
        ...

    def end_change(self) -> None:
        """It changes nothing more for now."""
        ...


async def hear_news(ledger: Ledger, turn: Turn) -> None:
    """Read what has come, if this process knows that something has; the store refuses to go on past the rest."""
    if turn.has_news:
        await ledger.read_signals()


async def wait_a_moment(ledger: Ledger, turn: Turn) -> bool:
    """Wait a moment for one of the places to change something; whether something has come for the run meanwhile.

    Nothing is told: where a storm is about to be known, all of its runs wait here, and none is told by itself.
    """
    signals = len(ledger.run.signals)
    await turn.wait_to_change(A_MOMENT)
    await ledger.read_signals()
    return len(ledger.run.signals) != signals


async def wait_to_change(ledger: Ledger, turn: Turn) -> None:
    """Wait for one of the places to change something; whether there is still reason to is looked at after it.

    It may take minutes: after a moment evidence and plan are told.
    """
    if await wait_a_moment(ledger, turn) or turn.may_change:
        return
    await ledger.save()
    await turn.wait_to_change()
    await ledger.read_signals()


def until_looked_at(ledger: Ledger, round_: int, hold: Hold, now: datetime) -> datetime:
    """When what is held is looked at again: less often where it was told long ago, or was made anew in vain."""
    if hold.is_outdated:
        before = (fact for fact in ledger.run.facts if isinstance(fact, Held) and fact.round != round_)
        in_vain = sum(fact.reason is hold.reason for fact in before)
        doubled = 1 << min(in_vain, 10)
        return now + min((hold.until - now) * doubled, _ANEW_AT_LEAST)
    if hold.reason not in _LOOKS:
        return hold.until
    told = next((f for f in reversed(ledger.run.facts) if isinstance(f, Held) and f.round == round_), None)
    is_old = told is not None and told.reason is hold.reason and now - told.at > _LONG_HELD
    return min(hold.until, now + (_SELDOM if is_old else _LOOKS[hold.reason]))


def note_held(
    ledger: Ledger, round_: int, hold: Hold, now: datetime, until: datetime, *, since: datetime | None = None
) -> bool:
    """Have a hold told, once for each reason and not at each look; whether that was done now.

    `since`: what was told before that does not count.
    """
    held = next((f for f in reversed(ledger.run.facts) if isinstance(f, Held) and f.round == round_), None)
    is_told = held is not None and (held.reason, held.detail) == (hold.reason, hold.detail)
    if held is not None and is_told and (since is None or held.at >= since):
        return False
    count = held.count + 1 if held else 1
    ledger.note(Held(now, round_, count, hold.reason, hold.detail, until))
    return True
