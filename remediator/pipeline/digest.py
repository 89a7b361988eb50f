"""Says in one message that many plans of a rule wait for people, while each of them has its card in its own thread.

A background task of the process that leads. The message is a notice: it goes before all threads, is edited in place as
plans are decided, and begins anew, further down in the channel, when many wait once more. It decides nothing.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta

from remediator.kit.clock import Clock
from remediator.kit.wording import counted
from remediator.model.ids import RuleId
from remediator.model.message import Excerpt, Message, Text, Tone
from remediator.pipeline.rounds import look_again_and_again, survive
from remediator.storage.store import Store

MANY = 5
"""So many plans of one rule that wait are told together as well."""
_EVERY = timedelta(seconds=10)

Place = tuple[str, RuleId]
"""A channel, and whose plans wait in it."""


class QuestionDigest:
    """Looks now and then how many plans wait, and keeps the messages that say so up to date."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        channel: str,
        rules: Callable[[], Iterable[RuleId]],
        leads: Callable[[], bool],
        on_message: Callable[[], None],
    ) -> None:
        """`channel`: where runs are told; `rules`: those that are in force."""
        self._store = store
        self._clock = clock
        self._channel = channel
        self._rules = rules
        self._leads = leads
        self._on_message = on_message
        self._told: dict[Place, int] | None = None
        """How many were said to wait, by what this process knows; None before it has looked."""

    async def work(self) -> None:
        """Look until cancelled."""
        await look_again_and_again(self._look, every=_EVERY, clock=self._clock, waits="questions_wait_for_store")

    async def _look(self) -> None:
        await survive(self.look(), "questions_not_told")

    async def look(self) -> None:
        """Bring the messages up to date, where it is ours to do so. Raises StoreUnavailable."""
        if not self._leads():
            self._told = None
            return
        waiting = {(one.channel, one.rule): one.count for one in await self._store.open_questions()}
        if self._told is None:  # an earlier process may have said that some wait which do not any more
            rules = {(channel, key_of(rule)): rule for channel, rule in waiting}
            rules |= {(self._channel, key_of(rule)): rule for rule in self._rules()}
            found = await self._store.read_notices(list(rules))
            self._told = {(one.channel, rules[one.channel, one.key]): 1 for one in found}
        for place in {**self._told, **waiting}:
            await self._tell(self._told, place, waiting.get(place, 0))

    async def _tell(self, all_told: dict[Place, int], place: Place, count: int) -> None:
        (channel, rule), told = place, all_told.get(place, 0)
        is_new = count >= MANY and not told
        if count == told or not (told or is_new):
            return
        key = key_of(rule)
        before = await self._store.read_notices([(channel, key)]) if is_new else ()
        await self._store.notify(channel, key, message_of(rule, count), self._clock.now())
        for notice in before:
            await self._store.move_thread(notice.seq, channel)
        all_told[place] = count
        self._on_message()


def key_of(rule: RuleId) -> str:
    """The key of the notice for one rule's plans."""
    return f"waiting.{rule}"


def message_of(rule: RuleId, count: int) -> Message:
    """What is said of so many plans that wait."""
    if not count:
        return Message(Tone.NEUTRAL, f"No plan of {rule} waits for people any more")
    text = "Each has its card in its own thread. Those cards go before all else that is told of runs."
    how = f"remediator approvals list --rule {rule}\nremediator approve --rule {rule}\nremediator deny --rule {rule}"
    what = counted(count, "plan")
    title = f"{what} of {rule} {'waits' if count == 1 else 'wait'} for people"
    return Message(Tone.WAITING, title, (Text(text), Excerpt("To see and decide them together", f"{how} --reason '…'")))
