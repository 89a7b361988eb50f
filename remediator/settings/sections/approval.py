"""The settings of who people are, and of how they are asked before something is changed."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from remediator.model.duration import Duration
from remediator.model.person import ADMIN, SERVICE
from remediator.settings.sections.section import Section

_NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"


def _is_free(name: str) -> str:
    if name in (ADMIN, SERVICE.name):
        raise ValueError(f"nobody can be called {name!r} here: that is whoever holds the admin token, or the service")
    return name


PersonName = Annotated[str, Field(pattern=_NAME), AfterValidator(_is_free)]
GroupName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


def _slack_user(text: str | None) -> str | None:
    if text is not None and not (text[:1] in "UW" and text.isascii() and text.isalnum() and text.isupper()):
        raise ValueError("this takes a person's member id in Slack (U… or W…); it is in the menu of their profile")
    return text


class PersonSettings(Section):
    """One person, and how they are known in each place from which they decide."""

    slack: Annotated[str | None, AfterValidator(_slack_user)] = None
    """The member id in Slack (`U…`)."""
    token: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """The subject of their API tokens; their name here where it is left out."""


class ApprovalSettings(Section):
    """How people are asked before something is changed. What a rule's `gate` says goes before it."""

    groups: dict[GroupName, tuple[PersonName, ...]] = {}
    """Groups of people who may decide, by name: the names in `people`. A rule names groups by `approvers`."""
    approvers: tuple[GroupName, ...] = ()
    """The groups that may decide where a rule names none; without any, everybody in `people`, and every token with the
    scope `decide`."""
    quorum: Annotated[int, Field(ge=1, le=100)] = 1
    """How many different people have to approve."""
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(minutes=15)
    """How long a plan waits for a person."""
    on_timeout: Literal["deny", "escalate"] = "deny"
    """What happens when nobody has decided by then: the run ends (`deny`), or the next level of the rule's escalation
    is told and there is as much time again (`escalate`). That a plan goes by itself then only a rule may say."""
    remind: tuple[Duration, ...] = (timedelta(minutes=5),)
    """How long before the end people are reminded in the thread; none with an empty list."""
    hours: tuple[str, ...] = ()
    """Names of `calendar.time_intervals` in which people are there: outside of them the time to decide does not run."""
    admin_decides: bool = True
    """Whether the admin token, as the terminal of the service's own machine uses it, may decide on everything, also in
    place of a group. It counts as one person, whatever name is given with it. Without people and tokens it is the only
    way to approve."""

    @model_validator(mode="after")
    def _groups_are_there(self) -> Self:
        for name in self.approvers:
            if name not in self.groups:
                raise ValueError(f"approvers: there is no group {name!r}; name one of `groups`, or add it there")
        return self
