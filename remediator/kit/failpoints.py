"""Named places around every commit and every effect, where a crash test can have the process killed, frozen or failed.

Called by whatever commits or acts. In production nothing is ever armed, and no setting or variable can arm it: only a
test's own program does, which starts the service. It must never do anything else, and cost next to nothing.
"""

from collections.abc import Callable
from typing import Final

Deed = Callable[[], None]

POINTS: Final = (
    "accept.stored",  # a delivery, or a run begun by hand, is on disk, and not answered yet
    "store.commit.before",
    "store.commit.after",  # on disk, and nobody was told
    "decision.judged",  # a person's word counts, which is not on disk
    "decision.stored",  # it is, and nobody was told
    "run.claimed",  # free runs are ours, and nobody here knows yet
    "run.taken",  # a run is ours, and nothing was done with it
    "run.parked",  # a run rests, and the worker does not know yet
    "step.started",  # on disk; before the last look at the time
    "step.call",  # right before the call
    "step.answered",  # the call has ended, which is not on disk
    "step.recorded",
    "post.attempt",  # that a message is being sent is on disk, and it is not sent
    "post.sent",  # it has landed, which is not on disk
    "post.noted",
)
"""Every place that there is."""

_armed: dict[str, Deed] = {}


def hit(name: str) -> None:
    """The process has come to this place."""
    if _armed and (deed := _armed.get(name)) is not None:
        deed()


def arm(name: str, deed: Deed, *, after: int = 0) -> None:
    """Have `deed` done when the process comes to a place, once, passing `after` times before. Raises KeyError."""
    if name not in POINTS:
        raise KeyError(f"there is no failpoint {name}; there are {', '.join(POINTS)}")
    left = after

    def when_it_is_time() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            del _armed[name]
            deed()

    _armed[name] = when_it_is_time


def disarm() -> None:
    """Let the process pass everywhere again."""
    _armed.clear()
