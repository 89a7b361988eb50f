"""What there is to know of the silences of runs without asking anybody. Pure.

Called where silences are made and ended, for the timer of a run that rests, and by who checks rules.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from remediator.model.duration import say_duration
from remediator.model.facts import Ended, Silenced, Unsilenced
from remediator.model.ids import RuleId
from remediator.model.run import Run
from remediator.rules.book import Book
from remediator.settings import AlertmanagerSettings

_SHORTEST_PAUSE = timedelta(minutes=1)


def open_silences(run: Run) -> tuple[Silenced, ...]:
    """The silences that the run has made and that are not on record as over."""
    over = {fact.count for fact in run.facts if isinstance(fact, Unsilenced) and fact.ended}
    return tuple(fact for fact in run.facts if isinstance(fact, Silenced) and fact.count not in over)


def next_try(run: Run) -> datetime | None:
    """When a run that has ended is to try again to end what it has silenced; in the past where it has not tried yet."""
    ended = next((fact for fact in run.facts if isinstance(fact, Ended)), None)
    if ended is None:
        return None
    return min((_next_try(run, one, ended.at) for one in open_silences(run)), default=None)


def _next_try(run: Run, silence: Silenced, ended_at: datetime) -> datetime:
    """The longer it has failed, the longer the pause; but when the silence ends by itself, at once."""
    tries = [fact.at for fact in run.facts if isinstance(fact, Unsilenced) and fact.count == silence.count]
    if not tries:
        return ended_at
    again = tries[-1] + max(_SHORTEST_PAUSE, tries[-1] - tries[0])
    return min(again, silence.until) if tries[-1] < silence.until else again


def unsilenced_rules(book: Book, settings: AlertmanagerSettings) -> Iterator[tuple[RuleId, str]]:
    """Each rule whose `silence` the settings do not let it have, or not for as long, with a sentence on it."""
    for rule in book:
        if rule.silence is None:
            continue
        asked = f"`silence: {say_duration(rule.silence)}`"
        if settings.url is None:
            yield rule.id, f"{asked} silences nothing, as no Alertmanager is configured; set alertmanager.url"
        elif not settings.longest_silence:
            yield rule.id, f"{asked} silences nothing, as alertmanager.longest_silence allows none"
        elif rule.silence > settings.longest_silence:
            longest = say_duration(settings.longest_silence)
            yield rule.id, f"{asked} is cut to {longest}, as alertmanager.longest_silence allows no more"
