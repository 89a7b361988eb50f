"""Sends what waits in the store's outbox to chat: in order, paced for each channel, and never lost.

A post that may have landed (the connection broke, or an earlier process died while it sent it) is looked for before it
is sent again; where it cannot be looked for, it is sent with a note that it may be a repeat. What cannot be sent rests
and lets others pass: nothing that is stuck keeps another thread or another channel waiting.
A question gets its buttons right before it is sent: their tokens go to the chat alone, and to the store their digests,
which are on disk before the message leaves.
Levels of escalations, and other places, are told so often at the most as their limit says: the last message of a
channel that there may be tells all that wait for it at once. That they are told by it is stored together with it,
before it is sent.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

import structlog

from remediator.chat.chat import Buttons, CannotTell, Chat, Landed, NotLanded, Outgoing
from remediator.errors import Failed, OutcomeUnknown, StoreUnavailable, Transient, Unavailable
from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.budget import Budget
from remediator.model.message import LEVEL, NEWS, Choice, Message, QueuedPost
from remediator.pipeline import notifying
from remediator.pipeline.dispatch import wait_for_event
from remediator.pipeline.escalation import gathering
from remediator.pipeline.escalation.gathering import MOST, Allowance
from remediator.pipeline.rounds import survive
from remediator.storage.buttons import Button
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(milliseconds=500)
_LONGEST_REST = 300.0  # seconds
_LONGEST_PAUSE = 1.0  # seconds between two looks
_COUNT_EVERY = 1.0  # seconds
_BREATH = 1.0  # seconds that a channel rests after a failure
_LANDING = 12.0  # seconds; a post that was given up may still land, and looking for it earlier would not find it
_MOST_FAILURES = 5  # then an edit is given up, and replies no longer wait for the one before them
_MOST_LEVELS = Budget(10, timedelta(minutes=1))  # for one channel, where the settings say nothing else
_TOKEN_BYTES = 24  # of a button: 192 bits, which nobody guesses
_AFTER_MISTAKE = timedelta(seconds=10)  # of ours: it is told in the log each time
_PATIENCE = 3  # how often a post may be held up while others are sent, before it counts as its own trouble


@dataclass(frozen=True, slots=True)
class Tries:
    """How often this process has tried in vain to send a post, and why the newest try failed. It has no secret."""

    count: int
    error: str


class Outbox:
    """Posts for one process; each version of each post once. Its times are monotonic: the wall clock may jump."""

    def __init__(
        self,
        *,
        store: Store,
        chat: Chat,
        clock: Clock,
        metrics: Metrics,
        interval: timedelta,
        moved: Callable[[str], str | None] = lambda _channel: None,
        leads: Callable[[], bool] = lambda: True,
        limits: Mapping[str, Budget] = MappingProxyType({}),
        has_buttons: Callable[[str], bool] = lambda _channel: False,
        rests: Callable[[str], float] = lambda _channel: 0,
    ) -> None:
        """`moved`: for a channel that this chat does not have, the one where its threads begin anew.

        `leads`: whether it is this process that posts, at this moment. `limits`: how many messages of levels, by their
        channels. `has_buttons`: whether a question is shown with buttons in a channel. `rests`: for how many seconds a
        channel is left alone, as it has failed: nothing is tried there meanwhile, and all that comes is told together.
        """
        self._store = store
        self._moved = moved
        self._chat = chat
        self._clock = clock
        self._news = asyncio.Event()
        self._metrics = metrics
        self._interval = interval.total_seconds()
        self._leads = leads
        self._limits = limits
        self._has_buttons = has_buttons
        self._channel_rests = rests
        self._allowances: dict[str, Allowance] = {}
        self._led = True
        self._are_waiting = False
        self._look_took = 0.0  # seconds
        self._count_from = clock.monotonic()
        self._to_note: dict[int, tuple[int, str]] = {}  # sent, and not noted in the store yet
        self.trouble: str | None = None
        """Why the newest attempt failed, while it is so."""
        self._begin()

    def _begin(self) -> None:
        """Know nothing of what was tried: it was another process that posted until now."""
        now = self._clock.monotonic()
        self._all_free = now
        self._look_from = now + _LANDING  # for what that one was sending when it died
        self._channel_free: dict[str, float] = {}
        self._rests: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._tries: dict[int, Tries] = {}
        self._buttons: dict[int, tuple[int, Buttons]] = {}  # by post, with the version that they are for
        self._absent: set[int] = set()  # our last try of these did certainly not land
        self._held_up: set[int] = set()  # by a chat that took nothing, since something was sent last

    async def work(self) -> None:
        """Send until cancelled.

        Where thousands wait for their channel, each look goes through all of them: it is followed by a pause, so that
        looking takes a tenth of the time at the most.
        """
        while True:
            try:
                error = await survive(self.send_waiting(), "outbox_broken")
                if error is not None:
                    self.trouble = str(error) or type(error).__name__
                    await self._clock.sleep(_AFTER_MISTAKE)
            except StoreUnavailable as away:
                log.warning("outbox_waits_for_store", error=str(away))
            if self._are_waiting:
                await self._clock.sleep(timedelta(seconds=min(9 * self._look_took, _LONGEST_PAUSE)))
            await wait_for_event(self._news, _LOOK_EVERY, self._clock)
            self._news.clear()

    def tries(self, seq: int) -> Tries | None:
        """How often a post that waits was tried here; None where it was not, and where another process posts."""
        return self._tries.get(seq)

    def nudge(self) -> None:
        """Look now: something was queued that people wait for."""
        self._news.set()

    async def send_waiting(self) -> None:
        """Send what can be sent now, where it is ours to send. Raises StoreUnavailable."""
        await self._note_sent()
        if self._leads() and not self._led:
            self._begin()
        self._led = self._leads()
        await self._count()
        if not self._led:
            self.trouble = None
            return
        while self._leads() and self._all_free <= self._clock.monotonic():
            post = await self._next()
            if post is None:
                break
            await self._send(post)

    async def _count(self) -> None:
        """Tell from time to time how much waits; where much does, counting takes a while."""
        if self._clock.monotonic() < self._count_from:
            return
        state = await self._store.outbox_state()
        self._count_from = self._clock.monotonic() + _COUNT_EVERY
        self._are_waiting = bool(state.waiting or state.minor)
        if not self._are_waiting:
            self.trouble = None
        self._metrics.outbox_waiting.set(state.waiting)
        self._metrics.outbox_minor.set(state.minor)
        age = (self._clock.now() - state.oldest).total_seconds() if state.oldest else 0
        self._metrics.outbox_age_seconds.set(max(age, 0))

    async def _next(self) -> QueuedPost | None:
        """The oldest post whose time it is; one that was held up lately only where there is no other."""
        now = self._clock.monotonic()
        resting = {seq for seq, until in self._rests.items() if until > now}
        busy = [channel for channel, free in self._channel_free.items() if free > now]
        passed = [seq for seq, count in self._failures.items() if count >= _MOST_FAILURES]
        full = [channel for channel, allowance in self._allowances.items() if not allowance.left(now)]
        post = await self._store.next_post(resting=resting | self._held_up, busy=busy, passed=passed, full=full)
        if post is None and self._held_up:
            post = await self._store.next_post(resting=resting, busy=busy, passed=passed, full=full)
        self._look_took = self._clock.monotonic() - now
        return post

    async def _send(self, post: QueuedPost) -> None:
        now = self._clock.monotonic()
        if (there := self._moved(post.channel)) is not None:
            await self._store.move_thread(post.seq, there)
            return
        if self._may_have_landed(post) and now < self._look_from:
            self._rests[post.seq] = self._look_from
            return
        if _tells_level(post) and await self._is_gathered(post):
            return
        self._channel_free[post.channel] = now + self._interval
        try:
            ref = await self._deliver(post)
        except StoreUnavailable:
            raise
        except Transient as error:
            self._all_free = self._clock.monotonic() + max(error.retry_after.total_seconds(), 1)
            self._held_up.add(post.seq)
            self._note_trouble(post, error, "delayed")
        except OutcomeUnknown as error:
            self._rest_after_failure(post, at_least=_LANDING)
            self._note_trouble(post, error, "uncertain")
        except Failed as error:
            self._rest_after_failure(post)
            self._note_trouble(post, error, "failed")
            await self._drop_hopeless_edit(post)
        except Exception as error:
            # One message that cannot be made must not end the process, which heals more than it tells.
            log.exception("post_broken", run_id=post.run, key=post.key)
            self._rest_after_failure(post)
            self._note_trouble(post, error, "failed")
        else:
            self._to_note[post.seq] = post.version, ref
            self._metrics.posts.labels("sent").inc()
            self._forget(post.seq)
            self._count_held_up()
            self.trouble = None
            failpoints.hit("post.sent")
            await self._note_sent()
            failpoints.hit("post.noted")

    async def _is_gathered(self, post: QueuedPost) -> bool:
        """Whether this is told together with others that wait for the channel: where it is the last there may be.

        What may have landed already is looked for by itself. What was tried in vain was counted then: a channel that
        was away must not be told later for it.
        """
        if post.attempted:
            return False
        limit = self._limits.get(post.channel, _MOST_LEVELS)
        allowance = self._allowances.setdefault(post.channel, Allowance(limit))
        now = self._clock.monotonic()
        if allowance.left(now) == 1:
            waiting = await self._store.waiting_levels(post.channel, MOST)
            together = [one for one in waiting if not self._may_have_landed(one)]
            if len(together) > 1:
                await self._store.gather(together, *_in_one(together, limit), self._clock.now())
                for one in together:
                    self._forget(one.seq)
                allowance.take(now)
                return True
        allowance.take(now)
        return False

    async def _deliver(self, post: QueuedPost) -> str:
        """Send or edit; where the newest version stands afterwards."""
        buttons = await self._buttons_for(post)
        outgoing = Outgoing(post.channel, post.message, post.thread, post.mark, post.queued_at, buttons=buttons)
        if post.ref is not None:
            await self._chat.edit(outgoing, post.ref)
            return post.ref
        if not self._may_have_landed(post):
            return await self._post(post, outgoing)
        match await self._chat.find(outgoing):
            case Landed(ref=ref):
                await self._store.note_sent(post.seq, 0, ref)  # which version it was is not known
                self._forget(post.seq)
                await self._chat.edit(outgoing, ref)
                return ref
            case NotLanded():
                return await self._post(post, outgoing)
            case CannotTell():
                return await self._chat.post(replace(outgoing, repeated=True))

    async def _buttons_for(self, post: QueuedPost) -> Buttons | None:
        """The buttons of a question, the same for each try to send it. The store knows them before anybody sees them.

        Those of an earlier version stay good, as the newer one may not arrive.
        """
        choice = post.message.choice
        if choice is None or post.run is None or not self._has_buttons(post.channel):
            return None
        version, buttons = self._buttons.get(post.seq, (0, None))
        if buttons is None or version != post.version:
            buttons = Buttons(secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_urlsafe(_TOKEN_BYTES))
            await self._store.keep_buttons(_kept(choice, buttons, post.seq, self._clock.now()))
            self._buttons[post.seq] = post.version, buttons
        return buttons

    def _may_have_landed(self, post: QueuedPost) -> bool:
        return post.ref is None and post.attempted and post.seq not in self._absent

    async def _post(self, post: QueuedPost, outgoing: Outgoing) -> str:
        """Send a message of which no earlier try has landed. That it is tried is on disk before."""
        if not post.attempted and not await self._store.note_attempt(post.seq):
            raise OutcomeUnknown("another process may be sending it")
        self._absent.discard(post.seq)
        try:
            failpoints.hit("post.attempt")
            if not self._leads():  # this process may have been frozen until now
                raise Unavailable("another process posts now")
            return await self._chat.post(outgoing)
        except (Transient, Failed):
            self._absent.add(post.seq)
            raise

    async def _note_sent(self) -> None:
        """Have it in the store what was sent. Until that has succeeded nothing else is sent, and nothing twice."""
        for seq, (version, ref) in list(self._to_note.items()):
            await self._store.note_sent(seq, version, ref)
            del self._to_note[seq]

    def _rest_after_failure(self, post: QueuedPost, *, at_least: float = 0) -> None:
        """Let the post rest, and its channel a moment: thousands may wait there that fail in the same way."""
        self._rest(post.seq, at_least=at_least)
        rest = max(self._interval, _BREATH, self._channel_rests(post.channel))
        self._channel_free[post.channel] = self._clock.monotonic() + rest

    def _rest(self, seq: int, *, at_least: float = 0) -> None:
        count = self._failures[seq] = self._failures.get(seq, 0) + 1
        rest = min(2.0 ** min(count, 10), _LONGEST_REST)
        self._rests[seq] = self._clock.monotonic() + max(rest, at_least)

    def _count_held_up(self) -> None:
        """The chat takes messages: whatever it has just held up again and again is a trouble of that post alone."""
        for seq in self._held_up:
            if self._failures.get(seq, 0) + 1 >= _PATIENCE:
                self._rest(seq)
            else:
                self._failures[seq] = self._failures.get(seq, 0) + 1
        self._held_up.clear()

    def _forget(self, seq: int) -> None:
        self._rests.pop(seq, None)
        self._failures.pop(seq, None)
        self._tries.pop(seq, None)
        self._buttons.pop(seq, None)
        self._absent.discard(seq)
        self._held_up.discard(seq)

    async def _drop_hopeless_edit(self, post: QueuedPost) -> None:
        """An edit of a message that is gone would be tried for ever.

        The story of a run is told in its thread as well; a notice has nothing but its message, and is sent anew.
        """
        if post.ref is not None and self._failures[post.seq] >= _MOST_FAILURES:
            log.error("edit_given_up", run_id=post.run, key=post.key)
            self._metrics.posts.labels("given_up").inc()
            self._forget(post.seq)
            if post.run is None:
                await self._store.move_thread(post.seq, post.channel)
            else:
                await self._store.note_sent(post.seq, post.version, post.ref)

    def _note_trouble(self, post: QueuedPost, error: Exception, result: str) -> None:
        self.trouble = str(error) or type(error).__name__
        before = self._tries.get(post.seq)
        self._tries[post.seq] = Tries(1 if before is None else before.count + 1, self.trouble)
        self._metrics.posts.labels(result).inc()
        log.warning("post_not_sent", run_id=post.run, key=post.key, result=result, error=self.trouble)


def _tells_level(post: QueuedPost) -> bool:
    """Whether it is a new message of one run to a level, or to another place: an edit calls nobody."""
    return post.run is None and post.ref is None and post.key.startswith((LEVEL, NEWS))


def _in_one(posts: Sequence[QueuedPost], limit: Budget) -> tuple[str, Message]:
    """The one message in the place of all of these, which are for one channel, and its key."""
    if posts[0].key.startswith(NEWS):
        return notifying.key_of(posts), notifying.gathered(posts, limit)
    return gathering.key_of(posts), gathering.gathered(posts, limit)


def _kept(choice: Choice, buttons: Buttons, post: int, at: datetime) -> tuple[Button, ...]:
    """What the store keeps of buttons: of the tokens their digests alone."""
    return tuple(
        Button(
            digest=hashlib.sha256(token.encode()).digest(),
            run=choice.run,
            round=choice.round,
            revision=choice.revision,
            plan=choice.plan,
            approves=approves,
            post=post,
            made_at=at,
        )
        for token, approves in ((buttons.approve, True), (buttons.deny, False))
    )
