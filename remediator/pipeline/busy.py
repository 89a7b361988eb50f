"""Who waits for a target that another run holds: whoever has waited longest is woken as soon as it is free.

Execution lines a run up before it tries to take its targets, and says when a run has given its targets back: at its
end, or where it begins anew. It is a hint for this process alone and decides nothing: the store does. A run that nobody
wakes looks again by itself after some seconds, which is how it hears of what another process has freed.
"""

from dataclasses import dataclass
from datetime import datetime

from remediator.kit.clock import Clock
from remediator.model.facts import Held, Planned
from remediator.model.ids import RunId
from remediator.model.outcome import Reason
from remediator.model.priority import priority_of
from remediator.model.run import Run
from remediator.pipeline.dispatch import Dispatcher

_FORGOTTEN_AFTER = 60.0  # seconds; who still waits here has looked again by then, else another process has it


@dataclass(frozen=True, slots=True)
class _Waiting:
    run: Run
    targets: tuple[str, ...]
    seen: float


class BusyTargets:
    """The runs of this process that wait for targets."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._waiting: dict[RunId, _Waiting] = {}  # in the order in which they have looked
        self._lines: dict[str, dict[RunId, datetime]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def line_up(self, run: Run, targets: tuple[str, ...]) -> None:
        """The run is about to try to take these targets; it keeps the place that it has had before."""
        self.leave(run.id)
        self._forget_old()
        since = self._since(run)
        self._waiting[run.id] = _Waiting(run, targets, self._clock.monotonic())
        for target in targets:
            self._lines.setdefault(target, {})[run.id] = since

    def leave(self, run: RunId) -> None:
        """The run does not wait, or not any more."""
        waiting = self._waiting.pop(run, None)
        for target in waiting.targets if waiting else ():
            line = self._lines[target]
            del line[run]
            if not line:
                del self._lines[target]

    def free(self, run: Run) -> None:
        """The run has its targets no more: for each that it may have had, the one that has waited longest tries now."""
        self.leave(run.id)
        if not self._lines:
            return
        freed = {name for fact in run.facts if isinstance(fact, Planned) for name in fact.plan.locks}
        lines = [line for name in sorted(freed) if (line := self._lines.get(name)) is not None]
        for first in dict.fromkeys(min(line, key=lambda one: (line[one], one)) for line in lines):
            waiting = self._waiting[first].run
            self.leave(first)
            self._dispatcher.wake(first, self._clock.now(), priority_of(waiting.alert.labels), waiting.rule)

    def _since(self, run: Run) -> datetime:
        """Since when it has waited: since it was first held for this in the round, or from now on."""
        since = self._clock.now()
        for fact in reversed(run.facts):
            if isinstance(fact, Held) and fact.reason is Reason.TARGET_BUSY:
                since = fact.at
            elif not isinstance(fact, Held | Planned):
                break
        return since

    def _forget_old(self) -> None:
        before = self._clock.monotonic() - _FORGOTTEN_AFTER
        while self._waiting and next(iter(self._waiting.values())).seen < before:
            self.leave(next(iter(self._waiting)))
