"""The public API for authors of actions. Built-in actions use it like anybody's.

An action is one async function with typed parameters and a typed result, declared by `@action`:

    class Where(Params):
        host: str

    class Answer(Result):
        milliseconds: float

    @action("example.ping", effect=Effect.READ)
    async def ping(ctx: ActionContext, params: Where) -> Answer:
        \"\"\"How long a host takes to answer.\"\"\"

A package offers its actions by an entry point of the group `remediator.actions` that names the module they stand in.
Time limits, retries, redaction and logging are not an action's business: whoever executes it sees to them. An action
raises the errors of `remediator.errors`; a change that may or may not have happened raises OutcomeUnknown. Where what
it would change has labels or annotations, it raises Protected if these opt out (`opts_out`): when the targets are
found, and again right before it acts.

Calls to one system share a limit of how many there may be at once, and a circuit breaker: what has not answered several
times in a row (Transient, OutcomeUnknown, no answer in time) is left alone for a while. `system` says which one a step
talks to; without it, all actions with the same text before the dot share one.

What a change takes out of service often has others beside it that carry on meanwhile: `pool` counts them, right before
the act, so that enough of them stay healthy. It is asked with the plan's targets in `ctx.targets`, and answers None
where the step takes nothing out of service. A change without it is not held to any floor; a rule may destroy something
without it only where it says `min_healthy: 0`.

Where the system shows when a target was last deployed, `deployed` tells it: right after that nothing is done by itself.
It is asked with the plan's targets in `ctx.targets`, and tells only what is known to be a deploy, or another change by
whomever: that something has crashed and was started again is none, nor is a time that anything may have touched.

A change that can be put back declares its `inverse`. `capture` reads what is there before the change; it is kept with
the step, as JSON, until the change is put back, which may be weeks later and in another process. So it holds what
putting back takes and nothing else, and never a secret. `remains` looks how it is now, and `restore` puts it back: it
looks once more right before, raises Conflicted where somebody has changed it since, and does nothing where it is as
before already. All three get the step's parameters, and its targets in `ctx.targets`:

    class LimitBefore(Before):
        limit: int

    @action("example.limit", effect=Effect.CHANGE, targets=..., inverse=Inverse(capture, remains, restore))

What the settings forbid is found out when it is needed, and then it is refused. `forbids` says it before, to the
commands `check` and `doctor`, by the parameters that are known without an alert; and `known_target` names the target
that they lead to, so that these tell where the settings protect it.

A step of several targets is carried out in waves of 1, 2, 4, 8 … of them, each a call of its own that acts on no
others. `for_targets` gives the parameters of such a call: those of the step, narrowed to these targets. `targets` must
find exactly these with them, which is looked up for each wave when the plan is made. An action without it is never
called for more than one target; a plan that would is refused:

    class Machines(Params):
        service: str
        only: tuple[str, ...] = ()

    def narrow(params: Machines, targets: tuple[Target, ...]) -> Machines:
        return params.model_copy(update={"only": tuple(target.parts[0] for target in targets)})

    @action("example.reboot", effect=Effect.CHANGE, targets=..., for_targets=narrow)
"""

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict

from remediator.clients import Clients
from remediator.documents import Described
from remediator.errors import Failed
from remediator.kit.clock import Clock
from remediator.model.deployed import Deployed
from remediator.model.ids import StepId
from remediator.model.plan import Effect
from remediator.model.pool import Member, Pool
from remediator.model.remains import Now, Remains
from remediator.model.system import System
from remediator.model.target import SKIP, Target, opts_out
from remediator.settings import Settings

__all__ = [
    "SKIP",
    "Action",
    "ActionContext",
    "Actions",
    "Before",
    "Deployed",
    "Effect",
    "Forbidden",
    "Inverse",
    "Known",
    "Member",
    "Nature",
    "Now",
    "Params",
    "Permission",
    "Pool",
    "Remains",
    "Restored",
    "Result",
    "System",
    "Target",
    "Unknown",
    "WrittenIn",
    "action",
    "opts_out",
]

GROUP = "remediator.actions"


@dataclass(frozen=True, slots=True)
class WrittenIn:
    """Says of a parameter that its text is in a language: a label in it must pass one of these filters.

    `query: Annotated[str, WrittenIn("PromQL", ("promql",))]`. Rules that leave it out are refused when they are loaded.
    """

    language: str
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Permission:
    """Something that the other side has to let an action do; `remediator doctor` asks whether it does.

    It is named in the words of the system that the action's name begins with: a call of Docker's API
    (`POST /containers/{id}/start`) or of Alertmanager's (`POST /api/v2/silences`), a command of Redis (`info`), a role
    of PostgreSQL (`pg_read_all_stats`).
    """

    name: str
    without: str = ""
    """What is missing without it, where the action is of use all the same; empty where it is of none."""


class Params(Described):
    """Parameters of an action: typed, closed, frozen. A field's docstring is what the documentation shows."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Result(Described):
    """What an action found or did. Its fields are what rules refer to as `steps.<id>.<field>` and `result.<field>`."""

    model_config = ConfigDict(frozen=True)

    def brief(self) -> str:
        """One line for people."""
        shown = ((name, value) for name, value in self if value is not None and value != "")
        return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in shown)

    def detail(self) -> str:
        """Output worth reading as it stands (log lines, a body), or nothing."""
        return ""


class Before(Described):
    """What was there before a change: all that it takes to put that back. It is stored as JSON, and holds no secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Restored(Result):
    """What came of putting something back."""

    said: str
    """What is as before now, in words."""
    changed: bool
    """Whether anything was done; it may have been as before already."""

    def brief(self) -> str:
        return self.said


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action may use, and what it must heed."""

    clients: Clients
    clock: Clock
    step: StepId
    deadline: datetime
    """When its time is over; nothing may be begun after it."""
    targets: tuple[Target, ...] = ()
    """For a change: the targets as they were seen when the plan was made. It acts on these or raises TargetGone."""

    @property
    def target(self) -> Target:
        """The one target of a step that has one."""
        if len(self.targets) != 1:
            raise Failed(f"{self.step}: one target is needed, and there are {len(self.targets)}")
        return self.targets[0]


@dataclass(frozen=True, slots=True)
class Nature:
    """What a step does, where that depends on its parameters (a command's is declared in the settings)."""

    effect: Effect
    idempotent: bool
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Why the settings never let a step do what a rule says, and what to do about it."""

    what: str
    """As it goes on after the action's name: `may not set maxclients at Redis server cache`."""
    remedy: str


class Unknown:
    """Stands for a value that only an alert, or a look at the world, can tell."""


Known = Mapping[str, Any]
"""Parameters as far as they are known without an alert, as the rule writes them (`30m`, not a timedelta); those that
are not, are left out. Within a mapping or a list such a value is an `Unknown`."""

Perform = Callable[[ActionContext, Any], Awaitable[Result]]
ResolveTargets = Callable[[ActionContext, Any], Awaitable[tuple[Target, ...]]]
LookForDeploys = Callable[[ActionContext, Any], Awaitable[tuple[Deployed, ...]]]
CountPool = Callable[[ActionContext, Any], Awaitable[Pool | None]]
NatureOf = Callable[[Clients, Any], Nature]
Forbids = Callable[[Settings, Known], Forbidden | None]
NameTarget = Callable[[Settings, Known], Target | None]
Say = Callable[[Any], str]
Where = Callable[[Clients, Any], str]
Narrow = Callable[[Any, tuple[Target, ...]], Params]


P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)
B = TypeVar("B", bound=Before)


@dataclass(frozen=True, slots=True)
class Inverse(Generic[P, B]):
    """How a change is put back. None of the three may do anything else."""

    capture: Callable[[ActionContext, P], Awaitable[B]]
    """Reads what is there before the change. Raises what an action raises; then the change is not made."""
    remains: Callable[[ActionContext, P, B], Awaitable[Remains]]
    """Looks how it is now. Raises Unavailable where that cannot be told, never a guess."""
    restore: Callable[[ActionContext, P, B], Awaitable[Restored]]
    """Puts it back. Raises Conflicted where somebody has changed it since, and TargetGone where it is not there any
    more; OutcomeUnknown as any change does."""
    stays: Callable[[Clients, P], str] | None = None
    """Why a step with these parameters cannot be put back all the same, as the settings are; empty where it can."""
    same: Callable[[Clients, P, P], bool] | None = None
    """Whether two steps on one target change the same thing; None where the target says what is changed."""

    @property
    def before(self) -> type[Before]:
        """The model of what is captured."""
        found: type[Before] = typing.get_type_hints(self.capture)["return"]
        return found


@dataclass(frozen=True, slots=True)
class Action:
    """A registered kind of step."""

    name: str
    effect: Effect
    """The most that it can do; `nature` may say less for given parameters."""
    idempotent: bool
    timeout: timedelta
    params: type[Params]
    result: type[Result]
    sentence: str
    perform: Perform
    resolve: ResolveTargets | None
    nature: NatureOf | None
    say: Say | None
    may_only_read: bool = False
    """Whether `nature` may find that a step only reads, though the action can do more."""
    permissions: tuple[Permission, ...] = ()
    """All that the other side has to let it do, beyond logging in."""
    where: Where | None = None
    system: Callable[[Any], System] | None = None
    away: Callable[[Any], bool] | None = None
    """Whether a result says that the system does not answer. One that has it asks for nothing else, so that it is
    carried out, or answered with what was just found, while the system's breaker is open."""
    pool: CountPool | None = None
    """Counts what does the same work as the targets."""
    deployed: LookForDeploys | None = None
    """Tells when the targets were last deployed; None where their system does not show it."""
    inverse: Inverse[Any, Any] | None = None
    """How it is put back; None where it cannot be."""
    forbids: Forbids | None = None
    """Why the settings never allow a step with these parameters, so that `check` and `doctor` tell it before it is
    needed; None where they allow it, or where that cannot be told yet. What is not there at all is told elsewhere."""
    known_target: NameTarget | None = None
    """The one target that these parameters lead to, whatever is there; None where that cannot be told yet."""
    for_targets: Narrow | None = None
    """Narrows parameters to some of the targets that they lead to; None where it acts on all of them or none."""

    def system_of(self, params: Params) -> System:
        """What a step with these parameters talks to. Raises Failed where they name nothing that could be."""
        return System(self.name.partition(".")[0]) if self.system is None else self.system(params)

    @property
    def changes(self) -> bool:
        """Whether every step of it changes something."""
        return self.effect is not Effect.READ and not self.may_only_read

    @property
    def stays_always(self) -> bool:
        """Whether it may change something that can never be put back."""
        return self.effect is not Effect.READ and self.inverse is None

    def nature_of(self, clients: Clients, params: Params) -> Nature:
        """What a step with these parameters does. Raises Failed where the parameters name something unknown."""
        if self.nature is not None:
            return self.nature(clients, params)
        return Nature(self.effect, self.idempotent, self.timeout)

    def place_of(self, clients: Clients, params: Params) -> str:
        """The address that a step with these parameters asks, without secrets; nothing where it names none."""
        return "" if self.where is None else self.where(clients, params)

    def stays(self, clients: Clients, params: Params) -> str:
        """Why a step with these parameters cannot be put back; empty where it can, and where it changes nothing.

        Raises Failed where the parameters name something unknown.
        """
        if self.nature_of(clients, params).effect is Effect.READ:
            return ""
        if self.inverse is None:
            return f"{self.name} has no inverse"
        return "" if self.inverse.stays is None else self.inverse.stays(clients, params)

    def describe(self, params: Params) -> str:
        """What a step with these parameters would do, in one sentence for people, on one line whatever stands in it."""
        if self.say is not None:
            return " ".join(self.say(params).splitlines())
        given = ", ".join(f"{k}={v!r}" for k, v in params.model_dump(mode="json", exclude_defaults=True).items())
        return f"{self.name} {given}".strip()


def action(
    name: str,
    *,
    effect: Effect,
    targets: Callable[[ActionContext, P], Awaitable[tuple[Target, ...]]] | None = None,
    idempotent: bool = False,
    timeout: timedelta = timedelta(seconds=30),
    nature: Callable[[Clients, P], Nature] | None = None,
    may_only_read: bool = False,
    say: Callable[[P], str] | None = None,
    permissions: tuple[Permission, ...] = (),
    where: Callable[[Clients, P], str] | None = None,
    system: Callable[[P], System] | None = None,
    away: Callable[[Any], bool] | None = None,  # with R, checkers could infer neither type where it is left out
    pool: Callable[[ActionContext, P], Awaitable[Pool | None]] | None = None,
    deployed: Callable[[ActionContext, P], Awaitable[tuple[Deployed, ...]]] | None = None,
    inverse: Inverse[P, Any] | None = None,
    forbids: Forbids | None = None,
    known_target: NameTarget | None = None,
    for_targets: Callable[[P, tuple[Target, ...]], P] | None = None,
) -> Callable[[Callable[[ActionContext, P], Awaitable[R]]], Action]:
    """Declare an action. A changing one must say how its `targets` are found; reading is always idempotent.

    `where` gives the address that is asked, without secrets: it is told where no answer comes in time.

    Raises TypeError, when the module is imported, where the declaration is incomplete.
    """

    def declare(perform: Callable[[ActionContext, P], Awaitable[R]]) -> Action:
        if effect is not Effect.READ and targets is None:
            raise TypeError(f"action {name}: a {effect} must say how its targets are found")
        if effect is not Effect.CHANGE and inverse is not None and nature is None:
            raise TypeError(f"action {name}: only a {Effect.CHANGE} has an inverse, and it is a {effect}")
        if effect is Effect.READ and for_targets is not None:
            raise TypeError(f"action {name}: a {effect} has no targets, so it cannot be narrowed to some of them")
        if not inspect.getdoc(perform):
            raise TypeError(f"action {name}: it needs a docstring, the sentence that is shown for it")
        hints = typing.get_type_hints(perform)
        return Action(
            name=name,
            effect=effect,
            idempotent=idempotent or effect is Effect.READ,
            timeout=timeout,
            params=hints["params"],
            result=hints["return"],
            sentence=str(inspect.getdoc(perform)).split("\n\n")[0],
            perform=perform,
            resolve=targets,
            nature=nature,
            say=say,
            may_only_read=may_only_read,
            permissions=permissions,
            where=where,
            system=system,
            away=away,
            pool=pool,
            deployed=deployed,
            inverse=inverse,
            forbids=forbids,
            known_target=known_target,
            for_targets=for_targets,
        )

    return declare


class Actions(Mapping[str, Action]):
    """The registered actions by name."""

    def __init__(self, found: Mapping[str, Action]) -> None:
        self._found = dict(sorted(found.items()))

    def __getitem__(self, name: str) -> Action:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @classmethod
    def installed(cls) -> "Actions":
        """Those of every installed package. Raises Failed where two have the same name or one cannot be imported."""
        found: dict[str, Action] = {}
        for point in entry_points(group=GROUP):
            try:
                module = point.load()
            except Exception as error:
                raise Failed(f"actions of {point.value} cannot be loaded: {error}") from error
            for item in vars(module).values():
                if not isinstance(item, Action):
                    continue
                if item.name in found and found[item.name] is not item:
                    raise Failed(f"two packages offer an action named {item.name}; remove one of them")
                found[item.name] = item
        return cls(found)
