"""What follows for a run where a guard stands in the way: it is held and looked at again, or it ends.

Called by `deciding` and `acting` with what the guards have said. It asks no guard itself.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.wording import say_time
from remediator.model.facts import Ended, Planned, Voided
from remediator.model.outcome import Reason
from remediator.model.stage import has_begun, question_of, waits_since
from remediator.pipeline import outcome
from remediator.pipeline.guards import Case, Hold
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.turn import A_MOMENT, LOOK_AGAIN, Parked, note_held, until_looked_at
from remediator.storage.runs import Refusal

VOIDS = {Reason.PAUSED, Reason.PROTECTED}
"""What people, or the settings, stop is asked for anew when it goes on: whoever approved it knew nothing of that."""


class Holding:
    """Holds runs, and ends those that are held for too long or are let do no more."""

    def __init__(self, clock: Clock, metrics: Metrics, timeout: timedelta) -> None:
        """`timeout`: how long a plan that has not begun is held at the most."""
        self._clock = clock
        self._metrics = metrics
        self._timeout = timeout

    def heed(self, ledger: Ledger, planned: Planned, case: Case, refusal: Refusal) -> Parked | Ended:
        """What follows where the store refused a start."""
        now = self._clock.now()
        if refusal.reason is Reason.STORM:
            return Parked(now + A_MOMENT)  # the review says the same, and sees to it that people hear of it
        if refusal.until is not None and refusal.until <= now:  # it is no matter of time
            if case.begun:
                return self.refuse(case, refusal.reason, refusal.detail)
            return Parked(now + A_MOMENT)  # the review says the same, now that the journal has come so far
        hold = Hold(refusal.reason, refusal.until or now + LOOK_AGAIN, refusal.detail)
        return self.hold(ledger, planned, hold)

    def refuse(self, case: Case, reason: Reason, detail: str) -> Ended:
        """The end of a run that a guard lets do no more."""
        self._metrics.held.labels(reason.name.lower()).inc()
        end = outcome.rest_refused if case.begun else outcome.refused
        return end(self._clock.now(), reason, detail)

    def hold(self, ledger: Ledger, planned: Planned, hold: Hold) -> Parked | Ended:
        """Wait and be looked at again; told once for each reason, not at each look.

        A plan that was begun expires where its next step is looked at.
        """
        now = self._clock.now()
        until = until_looked_at(ledger, planned.round, hold, now)
        if not has_begun(ledger.run, planned):
            if hold.reason in VOIDS and (asked := question_of(ledger.run, planned)) is not None:
                ledger.note(Voided(now, asked.round, asked.revision, f"{hold.reason}: {hold.detail}"))
            expires = waits_since(ledger.run, planned) + self._timeout
            if now > expires:
                why = f"{hold.reason}: {hold.detail}" if hold.detail else str(hold.reason)
                return outcome.expired(now, f"held for too long (pipeline.hold_timeout): {why}")
            if hold.until > expires:
                hold = replace(hold, detail=_in_vain(hold.detail, expires))
            until = min(until, expires + A_MOMENT)
        until = until if until > now else now + A_MOMENT
        if note_held(ledger, planned.round, hold, now, until):
            self._metrics.held.labels(hold.reason.name.lower()).inc()
        return Parked(until)


def _in_vain(detail: str, expires: datetime) -> str:
    """What is told where a plan cannot be let go before it is too old."""
    what = f"the plan expires before that, {say_time(expires)} (pipeline.hold_timeout), and nothing is done then"
    return f"{detail}; {what}" if detail else what
