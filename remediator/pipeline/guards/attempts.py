"""Stops trying on a target when what was tried did not help, again and again: it is in quarantine until it is cleared.

The journal alone shows it, so that it holds from the very ending on that was one too many. That a stop is put as well
lets people see and lift it; what came before it was lifted does not count any more.
"""

from collections.abc import Sequence

from remediator.kit.wording import say_time
from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.guard import Allow, Case, Refuse, Review, together
from remediator.pipeline.guards.settled import settled_since
from remediator.pipeline.guards.standing import last_stop, lifted_at
from remediator.pipeline.guards.tries import Try, of_target, of_targets, tries_of
from remediator.pipeline.stops import how_to_lift

BY = "remediator"


class Attempts:
    """No target of the plan may be in quarantine. What has been begun is ended."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return () if case.begun else of_targets(case)

    def judge(self, case: Case, known: Known) -> Review:
        if case.begun:
            return Allow()
        return together([_judge(target, case, known) for target in case.targets])


def quarantine_of(target: str, case: Case, known: Known) -> Stop | None:
    """The quarantine that a target is in: the one that stands, else the one that the journal shows."""
    scope = f"target:{target}"
    stop = last_stop(known, StopKind.QUARANTINE, scope)
    if stop is not None and not stop.is_over(case.at):
        return stop
    cleared = lifted_at(known, StopKind.QUARANTINE, scope, case.at)
    bad = [one for one in tries_of(known.latest(of_target(case, target))) if one.ending and one.ending.is_bad]
    straws = _too_many([one for one in bad if cleared is None or one.known_at > cleared], case)
    if not straws:
        return None
    runs = ", ".join(dict.fromkeys(one.run for one in straws))
    since = say_time(straws[0].at)
    reason = f"{len(straws)} changes since {since} did not help (run {runs}); the limit is {case.limits.attempts}"
    return Stop(StopKind.QUARANTINE, scope, reason, BY, max(one.known_at for one in straws))


def _too_many(bad: Sequence[Try], case: Case) -> Sequence[Try]:
    """The first that were as many as the limit within its time; none where they never were."""
    count, window = max(case.limits.attempts.count, 1), case.limits.attempts.window
    for last in range(count - 1, len(bad)):
        first = last - count + 1
        if bad[last].at - bad[first].at < window:
            return bad[first : last + 1]
    return ()


def _judge(target: str, case: Case, known: Known) -> Review:
    stop = quarantine_of(target, case, known)
    if stop is None:
        return Allow()
    until = f"until {say_time(stop.until)}" if stop.until else "until somebody has looked at it and cleared it"
    settled = settled_since(stop, known.latest(of_target(case, target)))
    why = f"{stop.reason}; {settled}" if settled else stop.reason
    detail = f"{target}: {why}; in quarantine since {say_time(stop.at)}, {until}: {how_to_lift(stop)}"
    return Refuse(Reason.QUARANTINED, detail)
