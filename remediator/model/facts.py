"""What happened in a run, append-only. A fact is unique by (run, step, attempt, kind): `key` gives the last three.

The stage of a run is folded from these and from its signals (`stage.py`), so a restart is no special case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from remediator.model.ids import StepId
from remediator.model.message import Mention
from remediator.model.outcome import Concern, Outcome, Reason
from remediator.model.plan import Plan
from remediator.model.undo import Captured, Left, Undoing, Undone


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one diagnosis step found: its result, or why there is none. A failed one is evidence too."""

    action: str
    ok: bool
    result: Mapping[str, Any]
    brief: str  # one line for people; the error where it failed
    detail: str  # output worth reading, or empty
    seconds: float


@dataclass(frozen=True, slots=True)
class Examined:
    """The diagnosis of one round; each rung that is tried after another begins a new round."""

    at: datetime
    round: int
    evidence: Mapping[str, Evidence]
    kind: Literal["examined"] = "examined"

    @property
    def key(self) -> tuple[str, int]:
        return "", self.round


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of a round. A later one of the same round (`revision`) replaces it: the target has changed meanwhile."""

    at: datetime
    round: int
    revision: int
    plan: Plan
    alert_from: str = ""
    """Who is asked, right before each changing step, whether the alert still fires."""
    renews: tuple[int, int] | None = None
    """The round and revision of the plan that people were asked about and that this one equals, made anew since."""
    differs: str = ""
    """What is other than in the plan that a person has approved before: so this one is asked for anew."""
    stated_by: str = ""
    """Who has started the run by hand: then their word counts, and nobody is asked whether an alert fires."""
    kind: Literal["planned"] = "planned"

    @property
    def key(self) -> tuple[str, int]:
        return f"round.{self.round}", self.revision

    @property
    def says_alert(self) -> str:
        """What there is to say of its alert, for people; empty where nothing is."""
        if self.stated_by:
            return f"{self.stated_by} has started it by hand: their word counts, nobody is asked whether an alert fires"
        return f"has to fire still right before each change, by {self.alert_from}" if self.alert_from else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A person was asked to decide on a plan, until a time."""

    at: datetime
    round: int
    revision: int
    until: datetime
    why: str = ""
    """Why a guard wants a person to decide; empty where the mode or the plan itself asks for one."""
    reasons: tuple[Reason, ...] = ()
    """What `why` tells of: an approval covers no other."""
    subjects: tuple[str, ...] = ()
    """What each of these is about, in the same order; an approval covers it for nothing else."""
    approvers: tuple[str, ...] = ()
    """Groups of people who may decide; without any, everybody who may decide at all."""
    quorum: int = 1
    """How many different people have to approve."""
    on_timeout: str = "deny"
    """What happens when nobody has decided in time: `deny`, `escalate` or `auto`."""
    reminders: tuple[datetime, ...] = ()
    """When people are reminded, as long as they have not decided."""
    rule_now: str = ""
    """The digest of the rule as it was in force then: where it has changed since, the approval is void."""
    record: str = ""
    """What came of the rule's last plans, for people."""
    touches: str = ""
    """How much of the service the plan touches, for people."""
    before: Mapping[str, str] = field(default_factory=dict)
    """Of each step that can be put back the digest of what it would change, as that was then."""
    kind: Literal["asked"] = "asked"

    @property
    def key(self) -> tuple[str, int]:
        return f"round.{self.round}", self.revision

    @property
    def concerns(self) -> tuple[Concern, ...]:
        """The reasons, each with what it is about."""
        subjects = (*self.subjects, *("" for _ in self.reasons[len(self.subjects) :]))
        return tuple(Concern(reason, subject) for reason, subject in zip(self.reasons, subjects, strict=False))


@dataclass(frozen=True, slots=True)
class Prolonged:
    """Nobody has decided in time: the next level is told, and there is as much time again."""

    at: datetime
    round: int
    revision: int
    until: datetime
    reminders: tuple[datetime, ...] = ()
    count: int = 1
    kind: Literal["prolonged"] = "prolonged"

    @property
    def key(self) -> tuple[str, int]:
        return f"round.{self.round}.{self.revision}", self.count


@dataclass(frozen=True, slots=True)
class Reminded:
    """People were reminded that a plan waits for them."""

    at: datetime
    round: int
    revision: int
    count: int
    kind: Literal["reminded"] = "reminded"

    @property
    def key(self) -> tuple[str, int]:
        return f"round.{self.round}.{self.revision}", self.count


@dataclass(frozen=True, slots=True)
class Voided:
    """What was asked for cannot be approved any more; asked anew, it is another question."""

    at: datetime
    round: int
    revision: int
    why: str
    kind: Literal["voided"] = "voided"

    @property
    def key(self) -> tuple[str, int]:
        return f"round.{self.round}", self.revision


@dataclass(frozen=True, slots=True)
class Held:
    """A guard holds the plan for now."""

    at: datetime
    round: int
    count: int
    reason: Reason
    detail: str
    until: datetime
    kind: Literal["held"] = "held"

    @property
    def key(self) -> tuple[str, int]:
        return f"round.{self.round}", self.count


@dataclass(frozen=True, slots=True)
class Started:
    """A step is about to act; written before the call, with the time by which the call has surely ended."""

    at: datetime
    round: int
    step: StepId
    attempt: int
    epoch: int
    deadline: datetime
    kind: Literal["started"] = "started"

    @property
    def key(self) -> tuple[str, int]:
        return self.step, self.attempt


class StepStatus(StrEnum):
    """How a step's call ended."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finished:
    """A step's call has ended, or a takeover found it without an end (`unknown`)."""

    at: datetime
    round: int
    step: StepId
    attempt: int
    status: StepStatus
    brief: str
    detail: str
    seconds: float
    begun: bool = True
    """False where it failed before it could begin: it is certain that nothing was done."""
    kind: Literal["finished"] = "finished"

    @property
    def key(self) -> tuple[str, int]:
        return self.step, self.attempt


@dataclass(frozen=True, slots=True)
class LateFinished:
    """A call that had been given up as unknown has ended after all. It settles what happened and starts nothing."""

    at: datetime
    step: StepId
    attempt: int
    status: StepStatus
    brief: str
    kind: Literal["late_finished"] = "late_finished"

    @property
    def key(self) -> tuple[str, int]:
        return self.step, self.attempt


@dataclass(frozen=True, slots=True)
class Settled:
    """A person has said whether an unknown step was done. It settles what happened and starts nothing."""

    at: datetime
    step: StepId
    attempt: int
    done: bool
    by: str
    reason: str
    kind: Literal["settled"] = "settled"

    @property
    def key(self) -> tuple[str, int]:
        return self.step, self.attempt


class Proof(StrEnum):
    """What verification found."""

    HEALED = "healed"
    NOT_HEALED = "not healed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Verified:
    """The end of a round's verification."""

    at: datetime
    round: int
    proof: Proof
    samples: int
    brief: str
    kind: Literal["verified"] = "verified"

    @property
    def key(self) -> tuple[str, int]:
        return "", self.round


@dataclass(frozen=True, slots=True)
class Ended:
    """The run's outcome, with the reason in words."""

    at: datetime
    outcome: Outcome
    brief: str
    kind: Literal["ended"] = "ended"

    @property
    def key(self) -> tuple[str, int]:
        return "", 1


@dataclass(frozen=True, slots=True)
class Closed:
    """The alert's end was heard after the run's own, and was told."""

    at: datetime
    brief: str
    kind: Literal["closed"] = "closed"

    @property
    def key(self) -> tuple[str, int]:
        return "", 1


@dataclass(frozen=True, slots=True)
class Escalated:
    """The problem has lasted so long that the next level of the rule's escalation is told."""

    at: datetime
    level: int
    """From 1, in the order of the rule."""
    to: str
    """The level's name in the settings."""
    after: timedelta
    channels: tuple[str, ...] = ()
    """Where it is told; nowhere but in the run's own thread where the settings do not have this level."""
    mention: Mention | None = None
    """Who is pinged there."""
    kind: Literal["escalated"] = "escalated"

    @property
    def key(self) -> tuple[str, int]:
        return "", self.level


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A person has taken the problem on: nobody else is told of it any more."""

    at: datetime
    by: str
    reason: str
    count: int = 1
    """More than 1 where it was taken over."""
    taken_from: str = ""
    """Whose it was before; empty where it was nobody's."""
    kind: Literal["acknowledged"] = "acknowledged"

    @property
    def key(self) -> tuple[str, int]:
        return "", self.count


@dataclass(frozen=True, slots=True)
class Silenced:
    """The noise of the run's own alert is silenced in Alertmanager while it acts."""

    at: datetime
    count: int
    silence: str
    """Its id there."""
    until: datetime
    """When it ends by itself, whatever becomes of the run."""
    fingerprint: str = ""
    """Of the alert that it silences."""
    kind: Literal["silenced"] = "silenced"

    @property
    def key(self) -> tuple[str, int]:
        return "silence", self.count


@dataclass(frozen=True, slots=True)
class Unsilenced:
    """That silence is over, or could not be ended for now; where there is none of its count, it could not be made."""

    at: datetime
    count: int
    ended: bool
    brief: str
    tries: int = 0
    """Which try to end it this was; 0 where it is over, and where it could not be made."""
    kind: Literal["unsilenced"] = "unsilenced"

    @property
    def key(self) -> tuple[str, int]:
        return f"silence.{self.tries}" if self.tries else "silence", self.count


Aside = Captured | Undoing | Undone | Left | Silenced | Unsilenced | Escalated | Acknowledged | Reminded
"""What goes on beside the stages of a run, and moves it to no other."""

Fact = (
    Examined
    | Planned
    | Asked
    | Prolonged
    | Voided
    | Held
    | Started
    | Finished
    | LateFinished
    | Settled
    | Verified
    | Ended
    | Closed
    | Captured
    | Undoing
    | Undone
    | Left
    | Silenced
    | Unsilenced
    | Escalated
    | Acknowledged
    | Reminded
)
