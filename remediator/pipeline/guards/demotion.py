"""A rule that has failed may not act by itself until a person promotes it again: its plans are asked for.

The stop says so, which `Lessons` puts after an ending. The journal alone shows it before that: an ending of which no
conclusions were drawn, as the process was killed or hangs, asks for the next plan all the same. That is over once a
plan that was begun afterwards, which a person has approved, ends well.
"""

from collections.abc import Sequence

from remediator.kit.wording import say_time
from remediator.model.change import Ending
from remediator.model.history import Known, Question
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.guard import Allow, Ask, Case, Review, together
from remediator.pipeline.guards.settled import settled_since
from remediator.pipeline.guards.standing import lifted_at, stops_of
from remediator.pipeline.guards.tries import Try, of_rule, tries_of
from remediator.pipeline.stops import how_to_lift


class Demotion:
    """Lowers `auto` to `gated`; lower modes ask a person anyway. What has been begun is ended."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return (case.standing, of_rule(case)) if _concerns(case) else ()

    def judge(self, case: Case, known: Known) -> Review:
        if not _concerns(case):
            return Allow()
        past = known.latest(of_rule(case))
        stops = stops_of(case, known, StopKind.DEMOTION)
        return together([_ask(stop, settled_since(stop, past)) for stop in stops] or _asks_by_journal(case, known))


def ended_since_promotion(case: Case, known: Known) -> Sequence[Try]:
    """The rule's plans of which it is known what came of them, the first to be known first."""
    promoted = lifted_at(known, StopKind.DEMOTION, f"rule:{case.run.rule}", case.at)
    ended = [one for one in tries_of(known.latest(of_rule(case))) if one.ending not in (None, Ending.DONE)]
    return sorted((one for one in ended if promoted is None or one.known_at > promoted), key=lambda one: one.known_at)


def why_demoted(own: Try, ended: Sequence[Try], limits: Limits) -> str | None:
    """What makes a plan's ending, after those before it, a reason to demote its rule; None where it is none."""
    match own.ending:
        case Ending.FAILED:
            count, what, whats = limits.gated_after_failures, "a step failed", "changes in a row failed"
        case Ending.UNKNOWN:
            count, what = limits.gated_after_failures, "whether a step was done is not known"
            whats = "changes in a row failed, or whether they did is not known"
        case Ending.NOT_HEALED:
            count, what = limits.gated_after_not_healed, "a change did not help"
            whats = "changes in a row did not help"
        case _:
            return None
    told = [one for one in ended if one.ending is not Ending.INCONCLUSIVE]
    row = told[: told.index(own) + 1][-count:]
    if len(row) < count or not all(one.ending is not None and one.ending.is_bad for one in row):
        return None
    if count == 1:
        return f"{what} in run {own.run}"
    return f"{count} {whats} (run {' and '.join(dict.fromkeys(one.run for one in row))})"


def _asks_by_journal(case: Case, known: Known) -> list[Ask]:
    """For the newest ending that is a reason, until a plan that was begun after it has ended well."""
    ended = ended_since_promotion(case, known)
    for own in reversed(ended):
        if (why := why_demoted(own, ended, case.limits)) is None:
            continue
        if any(one.at > own.known_at and one.ending and not one.ending.is_bad for one in ended):
            return []
        since = f"known since {say_time(own.known_at)}"
        first = "a change has to go well first, with the approval of a person"
        scope = f"rule:{case.run.rule}"
        return [Ask(Reason.DEMOTED, f"{scope}: {why}, {since}; {first}", subject=scope)]
    return []


def _concerns(case: Case) -> bool:
    return case.mode is Mode.AUTO and not case.begun


def _ask(stop: Stop, settled: str) -> Ask:
    why = f"{stop.reason}; {settled}" if settled else stop.reason
    detail = f"{stop.scope}: {why}; gated since {say_time(stop.at)}, until {how_to_lift(stop)}"
    return Ask(Reason.DEMOTED, detail, subject=stop.scope)
