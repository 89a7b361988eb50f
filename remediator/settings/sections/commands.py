"""The settings of the commands that rules may run."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from remediator.model.duration import Duration
from remediator.model.plan import Effect
from remediator.settings.addresses import not_a_string
from remediator.settings.sections.section import Section


class CommandParameter(Section):
    """One parameter of a command."""

    pattern: str = r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9_-]"
    """What a value must match as a whole. The default lets names pass, and nothing that a program could take for an
    option or a path; nor may they end in a dot, which often says the same name once more."""


class PutBackSettings(Section):
    """How what a command sets is put back: by the same command, with the value that was there before."""

    parameter: str
    """The parameter that takes the value."""
    shown_by: str
    """The command that prints the value as it is now, and nothing else; its effect is `read`. It gets those of the
    other parameters that it declares as well."""


class CommandSettings(Section):
    """A command that rules may run. Only what is named here runs, never a shell."""

    argv: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(not_a_string)]
    """The program and its arguments; `{name}` stands for a parameter's value."""
    parameters: dict[str, CommandParameter] = {}
    """The parameters that a rule may give."""
    effect: Effect
    """`read`, `change` or `destroy`: what it does to the world. There is no default: only you know."""
    idempotent: bool = False
    """Whether running it twice is the same as once; only then is it ever repeated by itself."""
    target: str = ""
    """The stable name of the thing acted on, in which `{name}` stands for a parameter's value. Needed unless
    it only reads."""
    environment: dict[str, str] = {}
    """Variables that it gets. Nothing of the service's own environment is passed on; unless set here, PATH is
    `/bin:/usr/bin` and LANG is `C.UTF-8`."""
    directory: Path = Path("/")
    """Its working directory."""
    timeout: Duration = timedelta(seconds=30)
    """After this its whole process group is ended."""
    put_back: PutBackSettings | None = None
    """How what it sets is put back, so that rules may set it for a while (`for`). Without it, it cannot be."""

    @model_validator(mode="after")
    def _name_a_target(self) -> Self:
        if self.effect is not Effect.READ and not self.target:
            raise ValueError("a command that changes something needs a target: what is it that it acts on?")
        return self

    @model_validator(mode="after")
    def _can_be_put_back(self) -> Self:
        if self.put_back is None:
            return self
        if self.effect is not Effect.CHANGE:
            raise ValueError(f"only what a `change` does can be put back, and its effect is `{self.effect}`")
        if self.put_back.parameter not in self.parameters:
            raise ValueError(f"put_back.parameter: it has no parameter {self.put_back.parameter!r}")
        return self
