"""Whom else to turn to while a problem lasts, and when. Pure: decided by the run's facts, its signals and its rule.

Called by the flow whenever a run is carried on and whenever it rests. A problem is over when all alerts of the run have
ended, when it has healed, or when a person has stopped it; and nobody else is told once a person has taken it on. What
has to be told is worked out anew each time, and each level is a fact once it was: so none is told twice, or forgotten
over a restart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from remediator.chat.chat import WEBHOOK
from remediator.model.budget import Budget
from remediator.model.facts import Acknowledged, Asked, Ended, Escalated, Planned, Prolonged
from remediator.model.message import Mention
from remediator.model.outcome import Outcome
from remediator.model.run import Run
from remediator.model.stage import acknowledged, by_hand, cancelled, resolved, taken_in_turn
from remediator.rules.book import Rule
from remediator.rules.rule import Escalation
from remediator.settings import EscalationSettings

IN_HAND = (Outcome.HEALED, Outcome.RESOLVED_BY_ITSELF, Outcome.DENIED)
"""It is over, or the person who has ended it knows of it."""
_STOPPED = (Outcome.DENIED, Outcome.CANCELLED)


@dataclass(frozen=True, slots=True)
class Level:
    """Where one level is told, and who is pinged there."""

    channels: tuple[str, ...]
    mention: Mention | None = None


Levels = Mapping[str, Level]
"""The levels that there are, by their names."""
NO_LEVELS: Levels = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DueLevel:
    """A level that is still to be told, and when."""

    at: datetime
    number: int
    """From 1, in the order of the rule."""
    level: Escalation


def levels_of(settings: Mapping[str, EscalationSettings], *, instead: str | None = None) -> Levels:
    """The levels that the settings have. `instead`: the one channel of a chat that has no others."""
    return {name: _level(name, one, instead) for name, one in settings.items()}


def limits_of(settings: Mapping[str, EscalationSettings], *, instead: str | None = None) -> dict[str, Budget]:
    """How many messages may go to each channel; where levels share one, the strictest. `instead`: as above."""
    found: dict[str, Budget] = {}
    for name, one in settings.items():
        for channel in _level(name, one, instead).channels:
            found[channel] = min(one.limit, found.get(channel, one.limit), key=_rate)
    return found


def _rate(limit: Budget) -> float:
    return limit.count / limit.window.total_seconds()


def _level(name: str, settings: EscalationSettings, instead: str | None) -> Level:
    chat = () if settings.channel is None else (instead or settings.channel,)
    webhook = () if settings.webhook is None else (f"{WEBHOOK}{name}",)
    return Level((*chat, *webhook), settings.pinged)


def next_level(run: Run, rule: Rule) -> datetime | None:
    """When the next level is to be told; None where nobody else is."""
    return min((due.at for due in levels_left(run, rule)), default=None)


def due_levels(run: Run, rule: Rule, levels: Levels, now: datetime) -> Iterator[Escalated]:
    """The levels whose time has come, in their order: each is told once."""
    for due in levels_left(run, rule):
        if due.at <= now:
            there = levels.get(due.level.to, Level(()))
            after = min(due.level.after, _whole_seconds(due.at - run.created_at))  # it may be told before its time
            yield Escalated(now, due.number, due.level.to, after, there.channels, there.mention)


def _whole_seconds(duration: timedelta) -> timedelta:
    return timedelta(seconds=round(duration.total_seconds()))


def taken_on(run: Run, now: datetime) -> Acknowledged | None:
    """The word of the person who has taken the problem on, or over, unless it is among the facts already."""
    words = taken_in_turn(run)
    if len(words) <= max((fact.count for fact in run.facts if isinstance(fact, Acknowledged)), default=0):
        return None
    word, before = words[-1], words[-2].by if len(words) > 1 else ""
    return Acknowledged(now, word.by, word.reason, len(words), before)


def is_over(run: Run) -> bool:
    """Whether there is no problem any more, or the person who has stopped the run knows of it."""
    if resolved(run) is not None:
        return True
    ended = _end_of(run)
    if ended is None:
        return False
    if by_hand(run) is not None:  # who has started it knows of it
        return True
    return ended.outcome in IN_HAND or (ended.outcome is Outcome.CANCELLED and cancelled(run) is not None)


def why_stopped(run: Run) -> str | None:
    """Why nobody else is told though the alert fires still; None where the problem is over, and where it is not."""
    if (word := resolved(run)) is not None:
        return f"{word.anew} has had another run begun for it" if word.anew else None
    ended = _end_of(run)
    return ended.brief if ended is not None and is_over(run) and ended.outcome in _STOPPED else None


def levels_left(run: Run, rule: Rule) -> tuple[DueLevel, ...]:
    """The levels that are still to be told, the next one first; none where the problem is over or in hand."""
    if not rule.escalate or acknowledged(run) is not None or is_over(run):
        return ()
    told = {fact.level for fact in run.facts if isinstance(fact, Escalated)}
    numbered = enumerate(rule.escalate, 1)
    left = [DueLevel(run.created_at + one.after, number, one) for number, one in numbered if number not in told]
    left.sort(key=lambda due: due.at)
    if left and (hurried := _hurried(run, rule)) is not None:
        first = left[0]
        left[0] = DueLevel(min(first.at, hurried), first.number, first.level)
    return tuple(left)


def _hurried(run: Run, rule: Rule) -> datetime | None:
    """Since when the next level is to be told whatever its time: nobody has decided, and the gate escalates then."""
    since = next((fact.at for fact in reversed(run.facts) if isinstance(fact, Prolonged)), None)
    ended = _end_of(run)
    if ended is not None and ended.outcome is Outcome.EXPIRED and _escalates(run, rule):
        since = ended.at
    is_told = any(isinstance(fact, Escalated) and since is not None and fact.at >= since for fact in run.facts)
    return None if is_told else since


def _escalates(run: Run, rule: Rule) -> bool:
    """Whether people were asked about the newest plan, and the next level is told if they do not decide."""
    planned = next((fact for fact in reversed(run.facts) if isinstance(fact, Planned)), None)
    asked = next((fact for fact in reversed(run.facts) if isinstance(fact, Asked)), None)
    if planned is None or asked is None or asked.key != planned.key:
        return False
    gate = rule.rungs[planned.plan.rung].gate
    return asked.on_timeout == "escalate" or (gate is not None and gate.on_timeout == "escalate")


def _end_of(run: Run) -> Ended | None:
    return next((fact for fact in reversed(run.facts) if isinstance(fact, Ended)), None)
