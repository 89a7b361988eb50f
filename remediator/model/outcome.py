"""How a run ended, and why a plan was held or refused. Both texts are shown to people as they stand."""

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
    LABEL_MISSING = "a label that the step needs is not on the alert"
    CANNOT_RENDER = "the step's parameters could not be worked out"
    TARGET_UNCERTAIN = "the target could not be looked up"
    NOT_BUILT = "the rule asks for what this version cannot do yet"
    SIGNALLED = "something about the run has changed"
