"""Sends what waits in the store's outbox to chat: in order, paced for each channel, and never lost.

A post that may have landed (the connection broke, or an earlier process may have sent it before it died) is looked for
before it is sent again; where it cannot be looked for, it is sent with a note that it may be a repeat.
"""

from datetime import datetime, timedelta

import structlog

from remediator.chat.chat import CannotTell, Chat, Landed, NotLanded, Outgoing
from remediator.errors import Failed, OutcomeUnknown, RemediatorError, StoreUnavailable, Transient
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.message import PARENT, QueuedPost
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(milliseconds=500)
_BATCH = 200
_LONGEST_REST = timedelta(minutes=5)
_LANDING = timedelta(seconds=12)  # a post that we gave up may still land; looking for it earlier would not find it
_MOST_EDIT_FAILURES = 5


class Outbox:
    """Posts for one process; each version of each post once."""

    def __init__(self, *, store: Store, chat: Chat, clock: Clock, metrics: Metrics, interval: timedelta) -> None:
        self._store = store
        self._chat = chat
        self._clock = clock
        self._metrics = metrics
        self._interval = interval
        self._began = clock.now()
        self._channel_free: dict[str, datetime] = {}
        self._all_free = self._began
        self._rests: dict[int, datetime] = {}
        self._failures: dict[int, int] = {}
        self._uncertain: set[int] = set()
        self.trouble: str | None = None
        """Why the newest attempt failed, while it is so."""

    async def work(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                await self.send_waiting()
            except StoreUnavailable as error:
                log.warning("outbox_waits_for_store", error=str(error))
            await self._clock.sleep(_LOOK_EVERY)

    async def send_waiting(self) -> None:
        """Send what can be sent now."""
        state = await self._store.outbox_state()
        self._metrics.outbox_waiting.set(state.waiting)
        age = (self._clock.now() - state.oldest).total_seconds() if state.oldest else 0
        self._metrics.outbox_age_seconds.set(max(age, 0))
        if not state.waiting:
            return
        for post in await self._store.waiting_posts(_BATCH):
            if post.key != PARENT and post.thread is None:
                continue  # its thread does not exist yet
            now = self._clock.now()
            free = max(self._all_free, self._channel_free.get(post.channel, now), self._rests.get(post.seq, now))
            if free <= now:
                await self._send(post)

    async def _send(self, post: QueuedPost) -> None:
        self._channel_free[post.channel] = self._clock.now() + self._interval
        try:
            ref = await self._deliver(post)
        except Transient as error:
            self._all_free = self._clock.now() + error.retry_after
            self._note_trouble(post, error, "delayed")
        except OutcomeUnknown as error:
            self._uncertain.add(post.seq)
            self._rest(post, at_least=_LANDING)
            self._note_trouble(post, error, "uncertain")
        except Failed as error:
            self._rest(post)
            self._note_trouble(post, error, "failed")
            await self._drop_hopeless_edit(post)
        else:
            await self._done(post, ref)

    async def _deliver(self, post: QueuedPost) -> str:
        """Send or edit; where the newest version stands afterwards."""
        outgoing = Outgoing(post.channel, post.message, post.thread, f"{post.run}/{post.key}", post.queued_at)
        if post.ref is not None:
            await self._chat.edit(outgoing, post.ref)
            return post.ref
        if post.seq not in self._uncertain and post.queued_at >= self._began:
            return await self._chat.post(outgoing)
        match await self._chat.find(outgoing):
            case Landed(ref=ref):
                await self._chat.edit(outgoing, ref)
                return ref
            case NotLanded():
                return await self._chat.post(outgoing)
            case CannotTell():
                return await self._chat.post(
                    Outgoing(post.channel, post.message, post.thread, outgoing.mark, post.queued_at, repeated=True)
                )

    async def _done(self, post: QueuedPost, ref: str) -> None:
        await self._store.note_sent(post.seq, post.version, ref)
        self._uncertain.discard(post.seq)
        self._rests.pop(post.seq, None)
        self._failures.pop(post.seq, None)
        self.trouble = None
        self._metrics.posts.labels("sent").inc()

    def _rest(self, post: QueuedPost, *, at_least: timedelta = timedelta(0)) -> None:
        count = self._failures[post.seq] = self._failures.get(post.seq, 0) + 1
        rest = min(timedelta(seconds=2 ** min(count, 10)), _LONGEST_REST)
        self._rests[post.seq] = self._clock.now() + max(rest, at_least)

    async def _drop_hopeless_edit(self, post: QueuedPost) -> None:
        """An edit of a message that is gone would be tried for ever; its story is told in the thread as well."""
        if post.ref is not None and self._failures[post.seq] >= _MOST_EDIT_FAILURES:
            log.error("edit_given_up", run_id=post.run, key=post.key)
            self._metrics.posts.labels("given_up").inc()
            await self._store.note_sent(post.seq, post.version, post.ref)

    def _note_trouble(self, post: QueuedPost, error: RemediatorError, result: str) -> None:
        self.trouble = str(error)
        self._metrics.posts.labels(result).inc()
        log.warning("post_not_sent", run_id=post.run, key=post.key, result=result, error=str(error))
