"""One message in the place of many: what a level is told when very many problems escalate at once. Pure.

Called by the outbox for notices that wait for one channel while its limit is used up. It is made of those notices
alone, which are redacted already; it lists all of them for programs, and as many as people can read.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from remediator.model.budget import Budget
from remediator.model.message import Excerpt, Fields, Mention, Message, Part, QueuedPost, Text, Tone

MOST = 200
"""How many problems one message tells of at the most."""
_LISTED = 20  # of them, for people
_OPEN = "escalated"
_EACH = (
    *("event", "level", "number", "run", "rule", "alert", "severity", "summary"),
    *("taken_on_by", "stopped", "alert_fires", "acknowledge"),
)
_WORDS = {
    _OPEN: "escalated",
    "acknowledged": "taken on",
    "stopped": "stopped, though they still fire",
    "over": "over",
}


class Allowance:
    """How many messages may go to one channel now. Its times are seconds, of a clock that only goes on."""

    def __init__(self, limit: Budget) -> None:
        self._most = limit.count
        self._window = limit.window.total_seconds()
        self._sent: deque[float] = deque()

    def left(self, now: float) -> int:
        """How many more may be sent now."""
        while self._sent and self._sent[0] + self._window <= now:
            self._sent.popleft()
        return max(self._most - len(self._sent), 0)

    def free_at(self, now: float) -> float:
        """When one more may be sent."""
        return now if self.left(now) else self._sent[0] + self._window

    def take(self, now: float) -> None:
        """One is sent."""
        self._sent.append(now)


def key_of(posts: Sequence[QueuedPost]) -> str:
    """The key of the message that tells of all of them: each version of each is told in one such at the most."""
    return f"escalations.{posts[0].seq}.{posts[0].version}"


def gathered(posts: Sequence[QueuedPost], limit: Budget) -> Message:
    """The one message that tells what all of them tell; of those to whom nobody has seen yet first."""
    told = sorted((dict(post.message.data) for post in posts), key=lambda one: one.get("event") != _OPEN)
    events = Counter(one.get("event", _OPEN) for one in told)
    levels = tuple(dict.fromkeys(one.get("level", "") for one in told))
    data = (
        ("event", "several"),
        ("level", ", ".join(levels)),
        ("count", str(len(told))),
        *((event, str(events[event])) for event in _WORDS),
    )
    open_ = [one.get("run", "") for one in told if one.get("event") == _OPEN]
    title = f"{len(told)} problems at once for {', '.join(levels)}: " + ", ".join(
        f"{events[event]} {words}" for event, words in _WORDS.items() if events[event]
    )
    message = Message(Tone.FIRING if open_ else Tone.NEUTRAL, title, tuple(_parts(told, open_, limit)), None, data)
    problems = tuple(tuple((name, one.get(name, "")) for name in _EACH) for one in told)
    return replace(message, mention=_mention(posts) if open_ else None, problems=problems)


def _parts(told: Sequence[dict[str, str]], open_: Sequence[str], limit: Budget) -> Iterable[Part]:
    yield Text(
        f"There may be {limit} messages here, so these are told together; what becomes of each is told again. "
        "All that are open: remediator escalation list"
    )
    rules = Counter(one.get("rule", "") for one in told)
    yield Fields(tuple((rule, str(count)) for rule, count in rules.most_common(_LISTED)))
    lines = [f"{one.get('run')} {one.get('event')}: {one.get('summary')}" for one in told[:_LISTED]]
    if (more := len(told) - len(lines)) > 0:
        lines.append(f"… and {more} more")
    yield Excerpt("Problems", "\n".join(lines))
    if open_:
        listed = " ".join(open_[:_LISTED])
        yield Excerpt("To take them on", f"remediator escalation ack {listed} --reason '…'")


def _mention(posts: Sequence[QueuedPost]) -> Mention | None:
    return next((post.message.mention for post in posts if post.message.mention is not None), None)
