"""What stands in the way of changes: put there and lifted by people, and by what guards have found. Told in chat.

Called by the API and by the flow. Every process on the store obeys at once, as starts are judged in the store; a run
that is held looks again within a minute.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from difflib import get_close_matches

import structlog

from remediator.errors import Mistaken
from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.kit.wording import say_time
from remediator.model.message import Message, Text, Tone
from remediator.model.stop import EVERYTHING, LIFTED_WITH, Stop, StopKind
from remediator.pipeline.rulebook import Rulebook
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_LONGEST = 1000  # characters of a scope, a reason, a name


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
    ) -> None:
        """`on_message` is called when a message was left in the store for `channel`."""
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._redactor = redactor
        self._channel = channel
        self._on_message = on_message

    async def standing(self) -> Sequence[Stop]:
        """All that stands in the way now, the oldest first. Raises StoreUnavailable."""
        return await self._store.list_stops(self._clock.now())

    async def pause(self, scope: str, reason: str, by: str, lasts: timedelta | None) -> Stop:
        """Have nothing changed within a scope, for a time or until it is resumed.

        Raises Mistaken where there is no such scope, so that nobody believes to have stopped what goes on.
        """
        self._check(scope)
        now = self._clock.now()
        stop = Stop(StopKind.PAUSE, scope, self._words(reason), self._words(by), now, now + lasts if lasts else None)
        await self.put([stop])
        return stop

    async def put(self, stops: Iterable[Stop]) -> None:
        """Have these stand in the way; each that was not there as it is now is told.

        It may be called again after it was cut short: what is there already is told if it was not.
        """
        there = {(stop.kind, stop.scope): stop for stop in await self.standing()}
        for stop in stops:
            before = there.get((stop.kind, stop.scope))
            if before is not None and stop.kind is not StopKind.PAUSE:  # it was found again
                await self.see_told(before)
                continue
            await self._store.put_stop(stop)
            log.warning("stop_put", kind=stop.kind, scope=stop.scope, by=stop.by, reason=stop.reason)
            await self._tell(stop, tell_put(stop))

    async def prolong(self, stop: Stop) -> None:
        """Have one with an end stand, or stand until that end; one message tells both. Raises StoreUnavailable."""
        stands = await self._store.prolong_stop(stop)
        if stands is None:  # it was lifted meanwhile
            return
        if stands.at == stop.at:
            log.warning("stop_put", kind=stop.kind, scope=stop.scope, by=stop.by, reason=stop.reason)
        await self._tell(stands, tell_put(stands))

    async def see_told(self, stop: Stop) -> None:
        """Tell of one that stands, if nobody has."""
        if not await self._store.has_notice(self._channel, _key(stop)):
            await self._tell(stop, tell_put(stop))

    async def lapse(self, stop: Stop) -> None:
        """Have one stand no more that has done its part, from its own end on."""
        if stop.until is None or not await self._store.lift_stop(stop.kind, stop.scope, stop.until):
            return
        log.info("stop_lapsed", kind=stop.kind, scope=stop.scope)
        await self._tell(stop, tell_lapsed(stop))

    async def lift(self, kind: StopKind, scope: str, by: str) -> bool:
        """Whether there was such a stop; it stands no more. A target's quarantine and its flapping end as one."""
        kinds, by = LIFTED_WITH.get(kind, (kind,)), self._words(by)
        found = [stop for stop in await self.standing() if stop.kind in kinds and stop.scope == scope]
        lifted = [stop for stop in found if await self._store.lift_stop(stop.kind, scope, self._clock.now())]
        for stop in lifted:
            log.warning("stop_lifted", kind=stop.kind, scope=scope, by=by)
            await self._tell(stop, tell_lifted(stop, by))
        return bool(lifted)

    async def _tell(self, stop: Stop, message: Message) -> None:
        """One message for each time that it stands, edited when it is lifted."""
        await self._store.notify(self._channel, _key(stop), message, self._clock.now())
        self._on_message()

    def _words(self, text: str) -> str:
        return " ".join(self._redactor.text(text[:_LONGEST]).split())

    def _check(self, scope: str) -> None:
        kind, _, name = scope.partition(":")
        if scope == EVERYTHING or (kind in ("target", "action") and name and len(scope) <= _LONGEST):
            return
        rules = [str(rule.id) for rule in self._rulebook.book.rules]
        names: dict[str, list[str]] = {"rule": rules, "pack": [rule.partition("/")[0] for rule in rules]}
        known = names.get(kind)
        if known is None or not name:
            raise Mistaken(
                f"{scope[:80]!a} is no scope; write everything, pack:NAME, rule:PACK/NAME, action:NAME or target:NAME"
            )
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise Mistaken(f"there is no {scope[:80]}" + (f"; did you mean {kind}:{near[0]}?" if near else ""))


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


def tell_put(stop: Stop) -> Message:
    """What is told when it begins to stand in the way."""
    until = f"until {say_time(stop.until)}" if stop.until else "until somebody lifts it"
    said = f"{stop.by}: {stop.reason}" if stop.reason else f"by {stop.by}"
    text = f"{said}. Since {say_time(stop.at)}, {until}. To lift it: {how_to_lift(stop)}"
    return Message(Tone.WAITING, f"{_TITLES[stop.kind]}: {stop.scope}", (Text(text),))


def tell_lifted(stop: Stop, by: str) -> Message:
    """What the same message says once it is lifted."""
    text = f"It stood since {say_time(stop.at)} ({stop.reason or stop.by}); {by} has lifted it."
    return Message(Tone.NEUTRAL, f"Lifted: {_TITLES[stop.kind].lower()}: {stop.scope}", (Text(text),))


def tell_lapsed(stop: Stop) -> Message:
    """What the same message says once it has lapsed."""
    text = f"It stood since {say_time(stop.at)} ({stop.reason or stop.by}); a change has gone well since."
    return Message(Tone.GOOD, f"Over: {_TITLES[stop.kind].lower()}: {stop.scope}", (Text(text),))
