"""Several processes on one store: who lives, who leads, and whose runs are to be carried on by whom.

Every process says twice a second that it lives, by raising a count, and watches the counts of the others on its own
monotonic clock. One whose count has stood still for `SILENCE`, while it could have been seen to move, is struck from
the roll; its runs are free from then on, and whoever has room claims them. One of those on the roll leads: it alone
posts to chat, tidies and settles doubts. With the embedded store there is one process, which always leads.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import structlog

from remediator.errors import StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.ids import OwnerId, RunId, new_owner_id
from remediator.pipeline.dispatch import Dispatcher, wait_for_event
from remediator.pipeline.lines import OLDEST_EVERY
from remediator.storage.presence import Replica, Roll, SharedStore
from remediator.storage.runs import FREE

log = structlog.get_logger(__name__)

BEAT = timedelta(seconds=0.5)
SILENCE = timedelta(seconds=4.5)
"""How long a count stands still until its process counts as dead. With the beat and a look it makes six seconds."""

SILENCE_OF_PREDECESSOR = timedelta(seconds=1.25)
"""The same for one in whose folder this process has begun, and that was never seen to live: it has ended."""

_FREEING = 1.0  # seconds between two beats for freeing the runs of the dead; with a beat's pause shorter than `_GAP`
_LEASE = 3.0  # seconds after its own last beat for which a process goes on to lead; shorter than `SILENCE`
_GAP = 2.0  # seconds without a look after which nobody can be said to have been silent all the time
_LOOK_EVERY = timedelta(seconds=0.5)
_LOOK_AFTER = timedelta(seconds=30)
_AT_ONCE = 1000
_ENOUGH = 200  # runs that wait here, above which new ones are born free
_AHEAD = 50  # runs that are claimed before there is room for them
_LOOK_SOON = timedelta(seconds=0.05)  # after something was taken; less and less often after nothing was


class Places(Protocol):
    """What is worked on here."""

    @property
    def room(self) -> int:
        """How many runs could be begun now."""
        ...

    def abandon(self) -> None:
        """Leave every run where it is; a step that is acting is seen to its end."""
        ...

    def has(self, run: RunId) -> bool:
        """Whether the run is worked on here at this moment."""
        ...


class Watch:
    """Whose count has stood still for how long, as this process has seen it. Pure but for what it remembers."""

    def __init__(self) -> None:
        self.instance = ""  # of this process
        self._seen: dict[OwnerId, tuple[int, float]] = {}
        self._moved: set[OwnerId] = set()
        self._looked: float | None = None

    def look(self, replicas: Sequence[Replica], now: float) -> tuple[Replica, ...]:
        """Those that have been silent for too long, at `now` seconds on the monotonic clock.

        After a gap in looking (the store was away, this process was frozen) everybody's silence begins anew.
        """
        if self._looked is None or now - self._looked > _GAP:
            self._seen.clear()
        self._looked = now
        before, self._seen = self._seen, {}
        for one in replicas:
            beats, since = before.get(one.id, (one.beats, now))
            self._seen[one.id] = (one.beats, now if one.beats != beats else since)
            if one.beats != beats:
                self._moved.add(one.id)
        self._moved &= self._seen.keys()
        return tuple(one for one in replicas if now - self._seen[one.id][1] >= self._longest(one))

    def _longest(self, one: Replica) -> float:
        is_predecessor = bool(self.instance) and one.instance == self.instance and one.id not in self._moved
        return (SILENCE_OF_PREDECESSOR if is_predecessor else SILENCE).total_seconds()


class Alone:
    """The one process of a store that nobody shares."""

    def __init__(self, owner: OwnerId, metrics: Metrics, name: str) -> None:
        metrics.replicas.set(1)
        metrics.leader.set(1)
        self.names: Mapping[OwnerId, str] = {owner: name}
        self.owner = owner
        self.owner_of_new = owner
        self.leads = True


class Replicas:
    """This process as one of several."""

    def __init__(
        self,
        *,
        store: SharedStore,
        places: Places,
        dispatcher: Dispatcher,
        clock: Clock,
        metrics: Metrics,
        name: str,
    ) -> None:
        self.owner = new_owner_id(clock.now())
        self.roll = Roll((), None)
        self._store = store
        self._places = places
        self._dispatcher = dispatcher
        self._clock = clock
        self._metrics = metrics
        self._name = name
        self._watch = Watch()
        self._led = False
        self._claims = 0
        self._claimed: set[RunId] = set()  # and not begun yet
        self._is_willing = True  # to lead
        self._beat_at = float("-inf")
        self._look = asyncio.Event()
        store.on_news(self._hear)

    @property
    def leads(self) -> bool:
        """Whether this process leads, right now: it has said so lately enough for nobody else to have taken over."""
        return self.roll.leader == self.owner and self._clock.monotonic() - self._beat_at < _LEASE

    @property
    def owner_of_new(self) -> OwnerId:
        """Whose a run is that begins now: this process's own, unless enough wait here already.

        So what waits here stays short, and whoever has room claims the rest, the most urgent first.
        """
        return self.owner if self._dispatcher.due < _ENOUGH else FREE

    @property
    def names(self) -> Mapping[OwnerId, str]:
        """Who works on the store: the name of each one's host."""
        return {one.id: one.name for one in self.roll.replicas}

    @property
    def state(self) -> str:
        """How many there are, for people: by host, and by the id that the log names."""
        count = len(self.roll.replicas)
        names = ", ".join(sorted(f"{one.name} {one.id}" for one in self.roll.replicas))
        leads = "leads" if self.leads else "does not lead"
        return f"{count} working on the store ({names}); this one, {self.owner}, {leads}"

    async def join(self) -> None:
        """Be on the roll. Raises StoreUnavailable."""
        self._watch.instance = await self._store.join(self.owner, self._name)
        await self._beat()

    async def leave(self) -> None:
        """Be off the roll, so that nobody has to wait to carry on what was under way here."""
        try:
            await self._store.leave(self.owner)
        except StoreUnavailable as error:
            log.warning("replica_not_signed_off", error=str(error))

    async def beat(self) -> None:
        """Say that this process lives, and bury those that do not, until cancelled."""
        while True:
            try:
                await self._beat()
                await self._bury()
            except StoreUnavailable as error:
                log.warning("beat_waits_for_store", error=str(error))
            await self._clock.sleep(BEAT)

    async def claim(self) -> None:
        """Claim free runs that are due, as many as there is room for, until cancelled."""
        pause = _LOOK_EVERY
        while True:
            pause = min(pause * 1.5, _LOOK_EVERY)
            try:
                if await self.claim_due() or self._ahead <= 0:  # what was claimed begins soon, and then there is room
                    pause = _LOOK_SOON
            except StoreUnavailable as error:
                log.warning("claims_wait_for_store", error=str(error))
            await wait_for_event(self._look, pause, self._clock)
            self._look.clear()

    async def look_after(self) -> None:
        """Wake runs of this process's own that nobody here knows of, from time to time, until cancelled.

        The answer to a claim can be lost with a connection; the run would wait for us for ever.
        """
        while True:
            await self._clock.sleep(_LOOK_AFTER)
            try:
                overdue = await self._store.overdue(self.owner, self._clock.now() - _LOOK_AFTER, _AT_ONCE)
            except StoreUnavailable as error:
                log.warning("overdue_runs_wait_for_store", error=str(error))
                continue
            for wake in overdue:
                if not self._places.has(wake.run):
                    self._dispatcher.wake(wake.run, wake.at, wake.priority)

    async def claim_due(self) -> int:
        """Claim what there is room for, once; how many. Raises StoreUnavailable."""
        # However many wait here: what is free may be more urgent. Of a rule that is full here, others may have places.
        self._claimed = {run for run in self._claimed if self._dispatcher.waits(run)}
        if self._ahead <= 0:
            return 0
        self._claims += 1
        claimed = await self._store.claim_due(
            self.owner, self._ahead, oldest=self._claims % OLDEST_EVERY == 0, but_not=self._dispatcher.full
        )
        failpoints.hit("run.claimed")
        for wake in claimed:
            self._dispatcher.wake(wake.run, wake.at, wake.priority)
            self._claimed.add(wake.run)
        return len(claimed)

    @property
    def _ahead(self) -> int:
        """How many more may be claimed, beside those that were and have not begun yet."""
        return max(self._places.room, _AHEAD) - len(self._claimed)

    async def retire(self, keeps: Collection[RunId]) -> None:
        """Be about to leave: another one leads, and all but the runs whose step is acting are for others."""
        self._is_willing = False
        try:
            await self._store.retire(self.owner, keeps)
        except StoreUnavailable as error:
            log.warning("replica_not_retired", error=str(error))

    async def _beat(self) -> None:
        began = self._clock.monotonic()
        roll = await self._store.beat(self.owner, willing=self._is_willing)
        if all(one.id != self.owner for one in roll.replicas):
            await self._rejoin()
            return
        self.roll, self._beat_at = roll, began
        self._metrics.replicas.set(len(roll.replicas))
        self._metrics.leader.set(self.leads)
        if self._led != self.leads:
            self._led = self.leads
            log.info("replica_leads" if self._led else "replica_leads_no_more", replica=self.owner)

    async def _rejoin(self) -> None:
        """The others took this process for dead: what it was doing is theirs, and it begins anew."""
        log.warning("replica_was_taken_for_dead", replica=self.owner)
        self._places.abandon()
        self._clock.catch_up()
        self.owner = new_owner_id(self._clock.now())
        await self._store.join(self.owner, self._name)

    async def _bury(self) -> None:
        dead = self._watch.look(self.roll.replicas, self._clock.monotonic())
        dead = tuple(one for one in dead if one.id != self.owner)
        if dead:
            for replica in await self._store.bury(dead):
                log.warning("replica_is_dead", replica=replica)
                self._metrics.replicas_buried.inc()
        until = self._clock.monotonic() + _FREEING
        while freed := await self._store.free_orphans():
            log.warning("runs_taken_over", count=freed)
            self._metrics.runs_freed.inc(freed)
            self._look.set()
            if self._clock.monotonic() >= until:
                break

    def _hear(self, runs: tuple[RunId, ...]) -> None:
        """Another process has left word: for runs that are worked on here, or of runs that are free."""
        now = self._clock.now()
        for run in runs:
            if self._places.has(run):
                self._dispatcher.wake(run, now)
        self._look.set()
