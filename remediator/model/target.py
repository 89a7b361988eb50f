"""The thing acted on, in canonical form: `docker:local/web@4f5e…`. Parts are escaped, so a label cannot forge one."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from remediator.model.escaping import escaped

SKIP = "remediator.dev/skip"
"""A label or an annotation by which a target itself says that it is not to be touched."""


@dataclass(frozen=True)
class Target:
    """A target as its action resolved it.

    `name` (the part before `@`) is stable over restarts and re-creations: locks, budgets and cooldowns use it.
    `incarnation` (a container's or object's id) is checked right before acting; empty where a system has none.
    """

    system: str
    parts: tuple[str, ...]
    incarnation: str = ""

    @cached_property
    def name(self) -> str:
        return f"{self.system}:" + "/".join(map(escaped, self.parts))

    def __str__(self) -> str:
        return f"{self.name}@{escaped(self.incarnation)}" if self.incarnation else self.name


def opts_out(marks: Mapping[str, str]) -> bool:
    """Whether labels or annotations say that their bearer is not to be touched: any value but `false`.

    No value does, too: `docker run --label remediator.dev/skip` gives none.
    """
    return marks.get(SKIP, "false") != "false"
