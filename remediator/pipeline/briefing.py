"""What people are told with a question, besides the plan: how much of a service it touches, and how its rule has done.

Called by the flow when it asks. It reads the journal of changes and counts pools; it changes nothing, and what cannot
be found out is told to be so: a question is asked all the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from remediator.kit.redaction import shorten
from remediator.kit.wording import counted
from remediator.model.change import Ending
from remediator.model.plan import Plan
from remediator.model.pool import Pool
from remediator.pipeline.guards.guard import Case
from remediator.pipeline.guards.tries import of_rule, tries_of
from remediator.storage.journal import JournalStore

LAST = 10
"""So many of the rule's last plans are told of."""

_MOST_SAID = 400
_WORDS = {
    Ending.HEALED: "healed",
    Ending.NOT_HEALED: "not healed",
    Ending.FAILED: "failed",
    Ending.UNKNOWN: "unknown",
    Ending.INCONCLUSIVE: "inconclusive",
    Ending.DONE: "done",
    None: "not over yet",
}


@dataclass(frozen=True, slots=True)
class Uncounted:
    """A pool that could not be counted."""

    why: str


async def record_of(store: JournalStore, case: Case) -> str:
    """What came of the last plans of the case's rule, in a line. Raises StoreUnavailable."""
    question = of_rule(case, if_bad=False)
    tries = tries_of((await store.known([question])).latest(question))
    endings = [one.ending for one in tries if one.key != (case.run.id, case.round)]
    return say_record(endings[-LAST:])


def say_record(endings: Sequence[Ending | None]) -> str:
    """So many plans came to this, and so many to that, in a line."""
    counts: Counter[Ending | None] = Counter(ending for ending in endings if ending is not Ending.NOT_BEGUN)
    if not counts:
        return "nothing was changed by it in the last 30 days"
    said = ", ".join(f"{counts[ending]} {word}" for ending, word in _WORDS.items() if counts[ending])
    total = counts.total()
    return f"of its last {counted(total, 'plan')}: {said}" if total > 1 else f"its last plan: {said.partition(' ')[2]}"


def touches(plan: Plan, pools: Sequence[Pool | Uncounted]) -> str:
    """How many targets a plan has, and what part they are of what does the same work; empty for one that is of none."""
    said = dict.fromkeys(_say(pool) for pool in pools)
    number = len({target.name for target in plan.targets})
    return shorten("; ".join((counted(number, "target"), *said)), _MOST_SAID) if said or number > 1 else ""


def _say(pool: Pool | Uncounted) -> str:
    if isinstance(pool, Uncounted):
        return f"what they are a part of could not be counted: {pool.why}"
    if pool.size == 1:
        return f"all of {pool.name}" + ("" if pool.healthy else ", which is not healthy now")
    stay = f"{pool.healthy} of them healthy now, {pool.left} meanwhile"
    return f"{pool.targets} of the {pool.size} of {pool.name} ({stay})"
