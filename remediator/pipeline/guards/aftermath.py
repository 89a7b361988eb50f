"""What has to stand in the way from now on, after what a round, or a refused plan, has shown.

Called by the flow whenever a round has ended and its ending is stored, and whenever a plan was refused. It may be
called again, after a restart too: it says the same then. Pure; the flow puts the stops and tells them.
"""

from collections.abc import Iterator

from remediator.model.history import Known, Question
from remediator.model.plan import Mode
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import attempts, breaking, demotion, flapping
from remediator.pipeline.guards.attempts import BY
from remediator.pipeline.guards.guard import Case
from remediator.pipeline.guards.standing import last_stop
from remediator.pipeline.guards.tries import of_rule, of_targets


def asks(case: Case) -> tuple[Question, ...]:
    """What `consequences` and `lapsed` have to know."""
    questions = (*of_targets(case), *breaking.questions(case), of_rule(case))
    return tuple(dict.fromkeys(questions))


def consequences(case: Case, known: Known) -> tuple[Stop, ...]:
    """The stops that have to stand now, those that stand already among them. `case.at` is now."""
    return tuple(_consequences(case, known))


def lapsed(case: Case, known: Known) -> tuple[Stop, ...]:
    """The stops that have done their part, each with the `until` at which it is to be lifted.

    They are those of breakers that a good trial has closed. What has ended since must go on counting, so that time is
    the trial's end and not now.
    """
    return breaking.lapsed_stops(case, known)


def _consequences(case: Case, known: Known) -> Iterator[Stop]:
    demoted = _demotion(case, known)
    if demoted is not None:
        yield demoted
    for target in case.targets:
        for stop in (attempts.quarantine_of(target, case, known), flapping.flapping_of(target, case, known)):
            if stop is not None:
                yield stop
    for breaker in breaking.open_breakers(case, known):
        yield _shown(breaker, case, known)


def _shown(breaker: breaking.Breaker, case: Case, known: Known) -> Stop:
    """The stop of an open breaker that stands already, else the one to be put."""
    stop = last_stop(known, StopKind.BREAKER, breaker.scope)
    return stop if stop is not None and not stop.is_over(case.at) else breaker.stop


def _demotion(case: Case, known: Known) -> Stop | None:
    """That the rule may not act by itself any more, where what it did in this round is a reason for it."""
    scope = f"rule:{case.run.rule}"
    if case.mode is not Mode.AUTO:
        return None
    ended = demotion.ended_since_promotion(case, known)
    own = next((one for one in ended if one.key == (case.run.id, case.round)), None)
    why = None if own is None else demotion.why_demoted(own, ended, case.limits)
    return None if own is None or why is None else Stop(StopKind.DEMOTION, scope, why, BY, own.known_at)
