"""What stands in the way of changes: put there and lifted by people, and by what guards have found. Told in chat.

Called by the API and by the flow. Every process on the store obeys at once, as starts are judged in the store; a run
that is held looks again within two minutes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from remediator.errors import Mistaken
from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.kit.wording import say_time
from remediator.model.change import Change
from remediator.model.message import Message, Text, Tone
from remediator.model.person import ADMIN, SERVICE, Person, Via
from remediator.model.stop import EVERYTHING, LIFTED_WITH, Bar, Listed, Stop, StopKind
from remediator.pipeline import auditing
from remediator.pipeline.guards.calendar import Calendar
from remediator.pipeline.guards.pause_file import PauseFile
from remediator.pipeline.guards.settled import causes_of, found_since, question_about, settled_since
from remediator.pipeline.guards.trials import trial_at
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.scopes import Scopes
from remediator.settings import CalendarSettings, LimitsSettings
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_LONGEST = 1000  # characters of a reason, a name
_LONGEST_PAUSE = timedelta(days=36500)
_MOST_ASKED = 50  # stops about whose reasons the journal is asked: the newest ones
_MOST_CAUSES = 3  # runs of each that are looked at


class Stops:
    """Puts stops and lifts them."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        clock: Clock,
        redactor: Redactor,
        *,
        channel: str,
        on_message: Callable[[], None],
        pause_file: PauseFile | None = None,
        calendar: CalendarSettings | None = None,
        limits: LimitsSettings | None = None,
    ) -> None:
        """`on_message` is called when a message was left in the store for `channel`.

        The file, the calendar and when an open breaker lets one change try are told with the stops; to obey them is the
        guards' business.
        """
        self._store = store
        self._rulebook = rulebook
        self._limits = limits or LimitsSettings()
        self._scopes = Scopes(store, rulebook)
        self._pause_file = pause_file
        self._calendar = Calendar(calendar or CalendarSettings())
        self._clock = clock
        self._redactor = redactor
        self._channel = channel
        self._on_message = on_message

    async def standing(self) -> Sequence[Stop]:
        """All that stands in the way now, the oldest first. Raises StoreUnavailable."""
        return await self._store.list_stops(self._clock.now())

    async def listed(self) -> Sequence[Listed]:
        """The same, each with what became known since of the runs that are its reason. Raises StoreUnavailable."""
        found, now = await self.standing(), self._clock.now()
        asked = {stop: question for stop in found[-_MOST_ASKED:] if (question := question_about(stop, now)) is not None}
        known = await self._store.known(list(dict.fromkeys(asked.values())))
        return [await self._list(stop, known.latest(asked[stop]) if stop in asked else ()) for stop in found]

    async def _list(self, stop: Stop, changes: Sequence[Change]) -> Listed:
        return Listed(stop, await self._news(stop, changes), self._trial_at(stop, changes))

    def _trial_at(self, stop: Stop, changes: Sequence[Change] = ()) -> datetime | None:
        """From when on an open breaker lets one change try; None for what is no breaker."""
        return trial_at(stop, changes, self._rulebook.book, self._limits)

    async def _news(self, stop: Stop, changes: Sequence[Change]) -> str:
        """What became known since a stop was put, of what has led to it."""
        said = [settled_since(stop, changes)]
        for run_id in list(dict.fromkeys(one.run for one in causes_of(stop, changes)))[-_MOST_CAUSES:]:
            run = await self._store.read_run(run_id)
            said.append(found_since(stop, run) if run is not None else "")
        return "; ".join(filter(None, said))

    def bars(self) -> Sequence[Bar]:
        """What stands in the way besides: the file, as this process sees it, and what the calendar says now."""
        file = self._pause_file.standing() if self._pause_file is not None else ()
        return (*file, *self._calendar.standing(self._clock.now()))

    async def pause(
        self,
        scope: str,
        reason: str,
        by: str,
        lasts: timedelta | None,
        *,
        person: Person | None = None,
        origin: str = "",
    ) -> tuple[Stop, str]:
        """Have nothing changed within a scope, for a time or until it is resumed; the pause, and what is to be said.

        One that stands is never made shorter. Raises Mistaken where there is no such scope, so that nobody believes to
        have stopped what goes on. `person` is who that is, and `origin` from where it came, for the audit journal;
        without them it is whoever has the admin token.
        """
        if lasts is not None and lasts > _LONGEST_PAUSE:
            raise Mistaken(f"a pause ends within {_LONGEST_PAUSE.days}d; without an end it lasts until it is resumed")
        note = await self._scopes.check(scope)
        now = self._clock.now()
        stop = Stop(StopKind.PAUSE, scope, self._words(reason), self._words(by), now, now + lasts if lasts else None)
        before = next((one for one in await self.standing() if (one.kind, one.scope) == (stop.kind, scope)), None)
        if before is not None and _lasts_longer(before, stop):
            await self.see_told(before)
            return before, "; ".join(filter(None, (_say_stays(before), note)))
        if before is not None and not stop.reason:
            stop = replace(stop, reason=before.reason)
        await self.put([stop], person or _admin(by), origin)
        return stop, note

    async def put(self, stops: Iterable[Stop], person: Person = SERVICE, origin: str = "") -> None:
        """Have these stand in the way, as `person` wants; each that was not there as it is now is told.

        It may be called again after it was cut short: what is there already is told if it was not.
        """
        there = {(stop.kind, stop.scope): stop for stop in await self.standing()}
        for stop in stops:
            before = there.get((stop.kind, stop.scope))
            if before is not None and stop.kind is not StopKind.PAUSE:  # it was found again
                await self.see_told(before)
                continue
            entry = auditing.of_stop("put", stop, self._clock.now(), self._redactor, person, origin)
            if not await self._store.put_stop(stop, [entry]):
                continue  # it was lifted meanwhile, by somebody who knew what it is for
            log.warning("stop_put", kind=stop.kind, scope=stop.scope, by=stop.by, reason=stop.reason)
            await self._tell(stop, tell_put(stop, self._trial_at(stop)))

    async def prolong(self, stop: Stop) -> None:
        """Have one with an end stand, or stand until that end; one message tells both. Raises StoreUnavailable."""
        entry = auditing.of_stop("put", stop, self._clock.now(), self._redactor)
        stands = await self._store.prolong_stop(stop, [entry])
        if stands is None:  # it was lifted meanwhile
            return
        if stands.at == stop.at:
            log.warning("stop_put", kind=stop.kind, scope=stop.scope, by=stop.by, reason=stop.reason)
        await self._tell(stands, tell_put(stands))

    async def see_told(self, stop: Stop) -> None:
        """Tell of one that stands, if nobody has."""
        if not await self._store.has_notice(self._channel, _key(stop)):
            await self._tell(stop, tell_put(stop, self._trial_at(stop)))

    async def lapse(self, stop: Stop) -> None:
        """Have one stand no more that has done its part, from its own end on."""
        if stop.until is None:
            return
        entry = auditing.of_stop("lapsed", stop, self._clock.now(), self._redactor)
        if not await self._store.lift_stop(stop.kind, stop.scope, stop.until, audit=[entry]):
            return
        log.info("stop_lapsed", kind=stop.kind, scope=stop.scope)
        await self._tell(stop, tell_lapsed(stop))

    async def lift(
        self, kind: StopKind, scope: str, by: str, *, person: Person | None = None, origin: str = ""
    ) -> bool:
        """Whether there was such a stop; it stands no more.

        A target's quarantine and its flapping end as one, and a storm of everything takes those of single rules along.
        `person` and `origin` as for a pause.
        """
        who = person or _admin(by)
        kinds, by = LIFTED_WITH.get(kind, (kind,)), self._words(by)
        standing = await self.standing()
        found = [stop for stop in standing if stop.kind in kinds and stop.scope == scope]
        if found and (kind, scope) == (StopKind.STORM, EVERYTHING):
            found = [stop for stop in standing if stop.kind is kind]
        lifted = [stop for stop in found if await self._lift(stop, who, origin)]
        for stop in lifted:
            log.warning("stop_lifted", kind=stop.kind, scope=stop.scope, by=by)
            await self._tell(stop, tell_lifted(stop, by))
        return bool(lifted)

    async def _lift(self, stop: Stop, who: Person, origin: str) -> bool:
        """Whether it stood. What led to it counts no more, even if a clock that was ahead has dated it later."""
        now = self._clock.now()
        entry = auditing.of_stop("lifted", stop, now, self._redactor, who, origin)
        return await self._store.lift_stop(stop.kind, stop.scope, now, after_all=True, audit=[entry])

    async def _tell(self, stop: Stop, message: Message) -> None:
        """One message for each time that it stands, edited when it is lifted."""
        await self._store.notify(self._channel, _key(stop), message, self._clock.now())
        self._on_message()

    def _words(self, text: str) -> str:
        return " ".join(self._redactor.text(text[:_LONGEST]).split())


def _admin(stated: str) -> Person:
    return Person(ADMIN, Via.ADMIN, stated, is_known=True)


def _lasts_longer(before: Stop, after: Stop) -> bool:
    return after.until is not None and (before.until is None or before.until > after.until)


def _say_stays(stop: Stop) -> str:
    until = f"until {say_time(stop.until)}" if stop.until else "until somebody resumes it"
    why = f" ({stop.reason})" if stop.reason else ""
    return (
        f"it is paused {until} already, by {stop.by}{why}, and stays so; to have it end earlier, first: "
        f"{how_to_lift(stop)}"
    )


def _key(stop: Stop) -> str:
    return f"stop.{stop.kind}.{stop.scope}.{stop.at.isoformat()}"


_TITLES = {
    StopKind.PAUSE: "Changes are paused",
    StopKind.QUARANTINE: "In quarantine",
    StopKind.FLAPPING: "Comes back again and again",
    StopKind.DEMOTION: "Acts by itself no more",
    StopKind.BREAKER: "Its breaker is open",
    StopKind.STORM: "A storm: new changes wait",
}
_TITLES_AFTER = {
    StopKind.PAUSE: "Changes go on",
    StopKind.QUARANTINE: "Out of quarantine",
    StopKind.FLAPPING: "Its returns are counted anew",
    StopKind.DEMOTION: "Acts by itself again",
    StopKind.BREAKER: "Its breaker is closed again",
    StopKind.STORM: "No storm any more: new changes go on",
}
_LIFT = {
    StopKind.PAUSE: "remediator resume {}",
    StopKind.QUARANTINE: "remediator quarantine clear {}",
    StopKind.FLAPPING: "remediator quarantine clear {}",
    StopKind.DEMOTION: "remediator promote {}",
    StopKind.BREAKER: "remediator breaker reset {}",
    StopKind.STORM: "remediator resume {} --storm",
}


def how_to_lift(stop: Stop) -> str:
    """The command that lifts it."""
    return _LIFT[stop.kind].format(stop.scope)


def tell_put(stop: Stop, trial: datetime | None = None) -> Message:
    """What is told when it begins to stand in the way; `trial` is when an open breaker lets one change try."""
    until = f"until {say_time(stop.until)}" if stop.until else "until somebody lifts it"
    if trial is not None:
        until = f"until one trial after {say_time(trial)} goes well, or somebody lifts it"
    said = f"{stop.by}: {stop.reason}" if stop.reason else f"by {stop.by}"
    text = f"{said}. Since {say_time(stop.at)}, {until}. To lift it: {how_to_lift(stop)}"
    return Message(Tone.WAITING, f"{_TITLES[stop.kind]}: {stop.scope}", (Text(text),))


def tell_lifted(stop: Stop, by: str) -> Message:
    """What the same message says once it is lifted."""
    text = f"It stood since {say_time(stop.at)} ({stop.reason or stop.by}); {by} has lifted it."
    return Message(Tone.NEUTRAL, f"{_TITLES_AFTER[stop.kind]}: {stop.scope}", (Text(text),))


def tell_lapsed(stop: Stop) -> Message:
    """What the same message says once it has lapsed."""
    text = f"It stood since {say_time(stop.at)} ({stop.reason or stop.by}); a change has gone well since."
    return Message(Tone.GOOD, f"{_TITLES_AFTER[stop.kind]}: {stop.scope}", (Text(text),))
