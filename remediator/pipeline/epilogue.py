"""What comes after the end of a run: its alert is over too, a person settles what was unknown, its changes go back.

Called by the flow for runs that have ended. It begins no undoing by itself: it notes that one is due, and the flow goes
on with that.
"""

from datetime import datetime

from remediator.kit.clock import Clock
from remediator.model.facts import Closed, Ended
from remediator.model.outcome import Outcome
from remediator.model.stage import Over, resolved
from remediator.pipeline.execution import Execution, locked_until
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.settling import note_settlement
from remediator.pipeline.silencing.silencing import Silencing
from remediator.pipeline.timers import next_timer
from remediator.pipeline.turn import Left, Parked
from remediator.pipeline.undo.timing import due_undoing
from remediator.rules.book import Rule


class Epilogue:
    """Sees to runs that have ended."""

    def __init__(self, silencing: Silencing, execution: Execution, clock: Clock) -> None:
        self._silencing = silencing
        self._execution = execution
        self._clock = clock

    async def see_to(self, ledger: Ledger, rule: Rule, stage: Over) -> Parked | Left | None:
        """News of a run that has ended: the alert's own end is told once, and so is what a person has settled.

        And what it has changed is put back, where it is time or where a person asks for it.
        """
        await self._silencing.lift(ledger)
        if not stage.closed:
            note_end_of_alert(ledger, stage.ended, self._clock.now())
        if note_settlement(ledger):
            return await self.end_again(ledger, rule, stage.ended)
        if (undoing := due_undoing(ledger.run, self._clock.now())) is not None:
            ledger.note(undoing)
            return None
        return Parked(None)

    async def end_again(self, ledger: Ledger, rule: Rule, ended: Ended) -> Left | None:
        """Have a run rest again that had ended before; its targets may be free now."""
        until = next_timer(ledger.run, rule)
        rests = await ledger.end(ended, keep_locks_until=locked_until(ledger.run), wake_at=until)
        self._execution.let_go(ledger.run)
        if rests:
            return Left(until)
        await ledger.read_signals()
        return None


def note_end_of_alert(ledger: Ledger, ended: Ended, now: datetime) -> None:
    """Have it told that the alert is over too, unless that is what has ended the run."""
    word = resolved(ledger.run)
    if word is not None and ended.outcome is not Outcome.RESOLVED_BY_ITSELF:
        brief = "its resolution was never heard" if word.missed else "Alertmanager says that it has resolved"
        if word.anew:
            brief = f"it fires still, and {word.anew} has had another run begun for it"
        ledger.note(Closed(now, brief))
