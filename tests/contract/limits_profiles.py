"""Limits that bind, and where: the tables of the machine in `limits_in_any_order.py`."""

from dataclasses import dataclass, replace
from datetime import timedelta

from remediator.model.budget import Budget, Share
from remediator.model.change import Ending
from remediator.model.facts import Proof, StepStatus
from remediator.model.limits import Limits
from tests.contract.asking import GATES
from tests.contract.counted_again import EVERYTHING
from tests.contract.replicas_at_work import MINUTE

HOUR = timedelta(hours=1)
RULES = ("web/down", "web/slow", "db/down", *GATES)
POOLS = {
    "solo": ("thing:a1",),
    "pair": ("thing:b1", "thing:b2"),
    "five": ("thing:c1", "thing:c2", "thing:c3", "thing:c4", "thing:c5"),
}
LEAST = {2: 1, 5: 3}
"""Of two one may go; of five 51 % are three."""
LONE = ("thing:d1",)
ON: dict[str, tuple[tuple[str, ...], ...]] = {
    "lone": (LONE, ("thing:e1",), ("thing:d1", "thing:e1"), ("thing:f1",), ("thing:g1",), ("thing:h1",)),
    "small": (("thing:a1",), ("thing:b1",), ("thing:b2",)),
    "five": (("thing:c1",), ("thing:c2",), ("thing:c3",), ("thing:c4",), ("thing:c5",), ("thing:c1", "thing:c2")),
    "one": (LONE,),
}
LOOSE = Limits(
    per_target=(),
    per_rule=(),
    overall=(),
    cooldown=timedelta(0),
    attempts=Budget(99, HOUR),
    flapping=Budget(99, HOUR),
    max_targets=Share(count=2),
    failures_in_row=99,
    failures_of_ten=99,
    storm_quiet=timedelta(0),
)
BUDGETS = replace(
    LOOSE,
    per_target=(Budget(2, HOUR),),
    per_rule=(Budget(3, HOUR), Budget(6, 6 * HOUR)),
    overall=(Budget(5, HOUR), Budget(9, 6 * HOUR)),
)
NOT_BEGUN = "not begun"
"""The step was found to be one that must not be done, or was too late: it is certain that nothing was done."""
How = StepStatus | Proof | str
WELL: tuple[How, ...] = (Proof.HEALED,)
BADLY: tuple[How, ...] = (Proof.NOT_HEALED, StepStatus.FAILED, StepStatus.UNKNOWN)
ANYHOW: tuple[How, ...] = (*Proof, StepStatus.FAILED, StepStatus.UNKNOWN, NOT_BEGUN)


@dataclass(frozen=True)
class Profile:
    """Limits that bind, where they do, how things go there, and what must have been seen in the end."""

    limits: Limits
    ons: tuple[str, ...]
    moods: tuple[tuple[How, ...], ...]
    sees: tuple[str, ...]


PROFILES = {
    "all": Profile(
        replace(BUDGETS, cooldown=5 * MINUTE, attempts=Budget(3, HOUR)),
        tuple(ON),
        (WELL, BADLY, ANYHOW),
        ("fenced", "approved by 2"),
    ),
    "budgets": Profile(BUDGETS, ("lone", "five"), (WELL, ANYHOW), ("BUDGET_USED",)),
    "targets": Profile(
        replace(LOOSE, per_target=(Budget(1, HOUR), Budget(2, 6 * HOUR))), ("one", "small"), (WELL,), ("BUDGET_USED",)
    ),
    "cooldown": Profile(replace(LOOSE, cooldown=10 * MINUTE), ("lone", "one"), (WELL, ANYHOW), ("COOLING_DOWN",)),
    "attempts": Profile(replace(LOOSE, attempts=Budget(2, HOUR)), ("lone", "one"), (BADLY, ANYHOW), ("QUARANTINED",)),
    "unseen": Profile(LOOSE, ("one", "small"), ((StepStatus.UNKNOWN, Proof.HEALED),), ("fenced",)),
    "floor": Profile(
        LOOSE,
        ("small", "five"),
        (WELL, ANYHOW),
        ("POOL_TOO_SMALL", "approved by 2"),
    ),
    "storms": Profile(
        replace(LOOSE, storm=Budget(3, 10 * MINUTE), storm_overall=Budget(999, HOUR), storm_quiet=10 * MINUTE),
        ("lone", "five"),
        (WELL,),
        ("STORM", "calm"),
    ),
}
"""Each limit by itself too, and where it is: with all of them at once the first one hides the others."""
ENDING_OF = {
    StepStatus.FAILED: Ending.FAILED,
    StepStatus.UNKNOWN: Ending.UNKNOWN,
    StepStatus.DONE: Ending.DONE,
    Proof.HEALED: Ending.HEALED,
    Proof.NOT_HEALED: Ending.NOT_HEALED,
    Proof.INCONCLUSIVE: Ending.INCONCLUSIVE,
}
SCOPES = (EVERYTHING, "pack:web", "rule:web/down", "action:thing.push", "target:thing:d1", "target:thing:c1")
