"""Which stops stand in the way of a case, and when an earlier one was lifted. For the guards that ask for stops; pure.

The answers hold stops whose time is over as well: what was counted before one was lifted does not count any more.
"""

from datetime import datetime

from remediator.model.history import Known
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.guard import Case


def stops_of(case: Case, known: Known, kind: StopKind) -> tuple[Stop, ...]:
    """Those of a kind that stand in the way of this case now."""
    scopes = case.standing.scopes
    return tuple(s for s in known.stops if s.kind is kind and s.scope in scopes and not s.is_over(case.at))


def last_stop(known: Known, kind: StopKind, scope: str) -> Stop | None:
    """The one of a kind for a scope, whether it stands or is over."""
    return next((stop for stop in known.stops if (stop.kind, stop.scope) == (kind, scope)), None)


def lifted_at(known: Known, kind: StopKind, scope: str, at: datetime) -> datetime | None:
    """Up to when things belong to the last one of a kind for a scope; None where there was none, or where it stands."""
    stop = last_stop(known, kind, scope)
    return end_of(stop) if stop is not None and stop.is_over(at) else None


def end_of(stop: Stop) -> datetime:
    """Up to when things belong to one that is over: also those that a clock that was ahead has dated later."""
    return max(stop.at, stop.until or stop.at)
