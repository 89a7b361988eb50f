"""How a run ended, and why a plan was held or refused. Both texts are shown to people as they stand."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a run ended."""

    HEALED = "healed"
    NOT_HEALED = "not healed"
    INCONCLUSIVE = "inconclusive"
    RESOLVED_BY_ITSELF = "resolved by itself"
    TOLD = "told"
    REFUSED = "refused"
    DENIED = "denied"
    EXPIRED = "expired"
    FAILED = "failed"
    UNKNOWN = "unknown"
    ROLLED_BACK = "rolled back"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a plan waits or stops."""

    NEEDS_APPROVAL = "a person has to approve this plan"
    TARGET_BUSY = "another run is acting on this target"
    NO_TARGET = "the step found no target to act on"
    TOO_MANY_TARGETS = "more targets than the rule may touch at once"
    NO_RAMP = "several targets would be acted on at once"
    LABEL_MISSING = "a label that the step needs is not on the alert"
    CANNOT_RENDER = "the step's parameters could not be worked out"
    TARGET_UNCERTAIN = "the target could not be looked up"
    NOT_BUILT = "the rule asks for what this version cannot do yet"  # no guard says so any more; older runs were held
    PAUSED = "changes are paused"
    BUDGET_USED = "this was changed as often as the limits allow"
    COOLING_DOWN = "the target was changed a short time ago"
    QUARANTINED = "what was tried on this target did not help, again and again"
    FLAPPING = "what was healed comes back again and again"
    BREAKER_OPEN = "the rule, or one of its actions, has failed too often"
    DEMOTED = "the rule may not act by itself any more"
    STORM = "too many targets are in trouble at once"
    FROZEN = "changes are frozen at this time"
    PROTECTED = "this target is not to be touched"
    NOT_FIRING = "the alert does not fire any more"
    ALERT_UNCERTAIN = "whether the alert still fires could not be found out"
    SILENCED = "the alert is silenced or inhibited in Alertmanager"
    POOL_TOO_SMALL = "too few of the pool would stay healthy"
    POOL_UNCERTAIN = "how much of the pool is healthy could not be counted"
    LAST_OF_POOL = "nothing of the pool would stay healthy meanwhile"
    DEPENDENCY_DOWN = "something that it depends on is down"
    DEPENDENCY_UNCERTAIN = "whether what it depends on is up could not be found out"
    CANNOT_TELL = "nobody could be told of it"
    CANNOT_VERIFY = "whether it helps could not be found out"
    RECURS = "it is carried out again as long as the alert fires"
    CANNOT_PUT_BACK = "what it does for a while could not be put back"
    SIGNALLED = "something about the run has changed"


@dataclass(frozen=True, slots=True)
class Concern:
    """Why a person has to decide, and about what. Who was told of one has not been told of another."""

    reason: Reason
    subject: str = ""
    """What it is about, by a name that stays as it is while figures change: a pool, a freeze, a deploy."""
