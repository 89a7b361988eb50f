"""The journal of changes: what was done to which target, by which rule and action, and what came of it.

A *change* is one plan carried out on one target: that is what budgets, cooldowns and attempts count. A plan of several
steps is one change of each of its targets, so that no limit can stop it half-way.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from remediator.model.ids import RuleId, RunId


class Ending(StrEnum):
    """What came of a change, as far as it is known."""

    DONE = "done"  # its steps were carried out, and whether it helped is not known yet
    HEALED = "healed"
    NOT_HEALED = "not healed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_BEGUN = "not begun"  # it is certain that nothing was done: no question finds it, as if it had not been entered

    @property
    def is_bad(self) -> bool:
        """Whether it is a reason to trust the rule, or the action, less."""
        return self in (Ending.NOT_HEALED, Ending.FAILED, Ending.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal."""

    run: RunId
    round: int
    rule: RuleId
    target: str
    """The target's stable name."""
    action: str
    """One of the plan's changing actions; a plan with several has an entry for each, and the first of them counts."""
    alert_at: datetime
    """When the alert of its run came in."""
    at: datetime
    """When its first step was started."""
    counts: bool = True
    """Whether it is the entry that counts: one for each plan and target."""
    ending: Ending | None = None
    ended_at: datetime | None = None
    seq: int = field(default=0, compare=False)
    """Its place in the journal, which tells what was begun later, whatever hosts' clocks say; 0 before it has one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of the changes of one round; of those by one action, where it is named."""

    round: int
    ending: Ending
    at: datetime
    action: str | None = None
    settles: bool = False
    """Whether it tells of a change that was unknown; one of which something else is known stays as it is."""
