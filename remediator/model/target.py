"""The thing acted on, in canonical form: `docker:local/web@4f5e…`. Parts are escaped, so a label cannot forge one."""

from dataclasses import dataclass

from remediator.model.escaping import escaped


@dataclass(frozen=True, slots=True)
class Target:
    """A target as its action resolved it.

    `name` (the part before `@`) is stable over restarts and re-creations: locks, budgets and cooldowns use it.
    `incarnation` (a container's or object's id) is checked right before acting; empty where a system has none.
    """

    system: str
    parts: tuple[str, ...]
    incarnation: str = ""

    @property
    def name(self) -> str:
        return f"{self.system}:" + "/".join(map(escaped, self.parts))

    def __str__(self) -> str:
        return f"{self.name}@{escaped(self.incarnation)}" if self.incarnation else self.name
