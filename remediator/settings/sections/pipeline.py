"""The settings of how runs are worked on, and of how the systems are spared that their steps talk to."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from remediator.model.duration import Duration
from remediator.settings.sections.section import Section


class PipelineSettings(Section):
    """How runs are worked on."""

    runs_at_once: Annotated[int, Field(ge=1, le=1000)] = 100
    """Runs worked on at the same time. A run that waits for a person, a settle time or its turn to change something
    does not count."""
    runs_at_once_per_rule: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many of them may be of one rule, so that a storm of its alerts leaves places to others; three quarters of
    them where it is not set. The others of that rule wait without keeping anybody behind them waiting. Give more than
    `changes_at_once`, or what is wrong with its next alert is found out only when one of its remedies has ended."""
    changes_at_once: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many of them may be carrying out a plan; half of them where it is not set. A change may take minutes, and
    what finds out what is wrong with the next alert must not wait for it."""
    hold_timeout: Duration = timedelta(hours=1)
    """How long a plan may be held by guards before the run ends as expired: work too old to make sense is dropped. A
    run whose turn comes later than this after its alert (the service was down, or had too much to do) gathers its
    evidence, but does nothing by itself any more; where its plan needs a person anyway, people are asked."""
    stop_grace: Duration = timedelta(seconds=20)
    """How long a stopping process waits for steps that are acting; what is still not ended then is shown as unknown."""

    @model_validator(mode="after")
    def _parts_of_a_whole(self) -> Self:
        for name in ("runs_at_once_per_rule", "changes_at_once"):
            if (getattr(self, name) or 0) > self.runs_at_once:
                raise ValueError(f"{name} is more than runs_at_once ({self.runs_at_once}); give at most that")
        return self

    @property
    def most_of_one_rule(self) -> int:
        """How many runs of one rule may be worked on at the same time."""
        return self.runs_at_once_per_rule or max(self.runs_at_once * 3 // 4, 1)

    @property
    def most_changes(self) -> int:
        """How many runs may be carrying out their plans at the same time."""
        return self.changes_at_once or max(self.runs_at_once // 2, 1)


class SystemSettings(Section):
    """How the systems are spared that steps talk to: each Docker engine, Redis server, host and port, …, by itself."""

    calls_at_once: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many calls there may be to one system at the same time. Others wait, within the time limit of their step, and
    a change for half of it at the most."""
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 5
    """After so many calls in a row that a system did not answer, it is left alone: calls to it fail at once. Refusals
    count as answers. Files and commands of this machine are never left alone."""
    breaker_pause: Annotated[Duration, Field(ge=timedelta(milliseconds=100))] = timedelta(seconds=5)
    """How long it is left alone before one call finds out whether it answers again; twice as long each time that it
    does not."""
    breaker_longest_pause: Annotated[Duration, Field(ge=timedelta(milliseconds=100))] = timedelta(minutes=1)
    """The longest that this becomes. A system that nobody has asked for twice as long after that is tried again as any
    other."""
