"""Nothing is done by itself right after somebody else has deployed a target; who is asked anyway is told of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from remediator.clients import Clients
from remediator.errors import Failed, TargetGone
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.change import Ending
from remediator.model.history import Known
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Allow, Ask, Case, Guards, Hold
from remediator.pipeline.guards.deploys import Deploys
from remediator.plugins import ActionContext, Actions, Deployed, Effect, Params, Result, Target, action
from remediator.settings import Settings
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.journal import T0, WEB, Journal
from tests.unit.pipeline.guards.probing import SECOND, a_case, a_step

MINUTE = timedelta(minutes=1)
SHOP = "made from image shop:2"


class Name(Params):
    name: str


class Done(Result):
    pass


@dataclass
class Site:
    """What the targets' system tells, and what our journal does."""

    deployed: list[Deployed] = field(default_factory=list)
    trouble: Exception | None = None
    journal: Journal = field(default_factory=Journal)
    asked: int = 0

    async def known(self, questions: Any) -> Known:
        return self.journal.known(questions)

    @property
    def actions(self) -> Actions:
        async def targets(ctx: ActionContext, params: Name) -> tuple[Target, ...]:
            return ctx.targets

        async def deploys(ctx: ActionContext, params: Name) -> tuple[Deployed, ...]:
            self.asked += 1
            if self.trouble is not None:
                raise self.trouble
            return tuple(one for one in self.deployed if one.target in {target.name for target in ctx.targets})

        @action("test.bump", effect=Effect.CHANGE, targets=targets, deployed=deploys)
        async def bump(ctx: ActionContext, params: Name) -> Done:
            """Bump a thing."""
            return Done()

        @action("test.blind", effect=Effect.CHANGE, targets=targets)
        async def blind(ctx: ActionContext, params: Name) -> Done:
            """Bump a thing whose system tells nothing."""
            return Done()

        return Actions({"test.bump": bump, "test.blind": blind})

    def case(self, *names: str, act: str = "test.bump", mode: Mode = Mode.AUTO, **changes: Any) -> Case:
        """A plan with a step on each of these things."""
        names = names or ("web",)
        steps = [a_step(n, action=act, targets=(Target("thing", (name,)),)) for n, name in enumerate(names)]
        rule = {"remediate": [{"do": [{act: {"name": name}} for name in names]}]}
        return replace(a_case(rule=rule, actions=self.actions, steps=steps, **changes), mode=mode)


@pytest.fixture
def site() -> Site:
    return Site([Deployed(WEB, T0 - 3 * MINUTE, SHOP)])


@pytest.fixture
async def guard(site: Site) -> AsyncIterator[Deploys]:
    clients = Clients(Settings())
    yield Deploys(Calls(clients, VirtualClock(T0), Redactor(), Metrics()), site.known)
    await clients.close()


TOLD = (
    f"{WEB}: somebody else has deployed it at 2026-01-01 11:57:00 UTC, 3m before the alert came in ({SHOP}); "
    "the cooldown of 10m (limits.cooldown_after_deploy) is over at 2026-01-01 12:07:00 UTC"
)


async def test_what_would_go_by_itself_waits_until_the_cooldown_is_over(guard: Deploys, site: Site) -> None:
    """A restart minutes after a deploy hides from people that the deploy was bad."""
    assert Hold(Reason.COOLING_DOWN, T0 + 7 * MINUTE, TOLD) == await guard.look(site.case())
    assert isinstance(await guard.look(replace(site.case(), at=T0 + 7 * MINUTE - SECOND)), Hold)
    assert Allow() == await guard.look(replace(site.case(), at=T0 + 7 * MINUTE))


async def test_it_is_told_in_the_same_words_at_each_look(guard: Deploys, site: Site) -> None:
    """Else people would hear of it at each look."""
    first, second = await guard.look(site.case()), await guard.look(replace(site.case(), at=T0 + MINUTE))

    assert first == second


async def test_who_decides_anyway_is_asked_at_once_and_told(guard: Deploys, site: Site) -> None:
    """It is what the person on call wants to know, and they need not wait for it."""
    subject = f"{WEB} at 2026-01-01 11:57:00 UTC"

    assert Ask(Reason.COOLING_DOWN, TOLD, subject=subject) == await guard.look(site.case(mode=Mode.GATED))


async def test_an_approval_covers_the_deploy_that_was_told_and_no_later_one(guard: Deploys, site: Site) -> None:
    """Somebody who deploys again after the question has made it another one."""
    guards, case = Guards([], site.known, [guard]), site.case(mode=Mode.GATED)
    asked = await guards.review(case)
    assert isinstance(asked, Ask)
    case = replace(case, approved=True, told=frozenset(asked.concerns))
    site.deployed = [Deployed(WEB, T0 + MINUTE, SHOP)]
    later = await guards.review(replace(case, at=T0 + 2 * MINUTE))

    assert case.has_approved(asked)
    assert isinstance(later, Ask)
    assert not case.has_approved(later)
    assert "1m after the alert came in" in later.detail


@pytest.mark.parametrize(("mode", "expected"), [(Mode.AUTO, Hold), (Mode.GATED, Ask)])
async def test_a_rollout_that_goes_on_is_waited_for(
    guard: Deploys, site: Site, mode: Mode, expected: type[Hold | Ask]
) -> None:
    """However long ago it began; the cooldown counts from its end."""
    site.deployed = [Deployed(WEB, T0 - timedelta(hours=2), "2 of 5 replicas are new", by="ann", is_underway=True)]

    said = await guard.look(site.case(mode=mode))

    assert isinstance(said, expected)
    told = f"{WEB}: ann is deploying it since 2026-01-01 10:00:00 UTC, 2h before the alert came in"
    assert (
        f"{told} (2 of 5 replicas are new); the cooldown of 10m (limits.cooldown_after_deploy) begins when it ends"
        == said.detail
    )
    assert not isinstance(said, Hold) or said.until == T0 + 30 * SECOND


@pytest.mark.parametrize(
    ("ago", "ending", "lasts", "expected"),
    [
        (4 * MINUTE, Ending.HEALED, 2 * MINUTE, Allow),
        (4 * MINUTE, None, MINUTE, Allow),
        (2 * MINUTE, Ending.HEALED, MINUTE, Hold),
        (9 * MINUTE, Ending.HEALED, 4 * MINUTE, Hold),
        (9 * MINUTE, Ending.NOT_HEALED, 8 * MINUTE, Hold),
    ],
    ids=["our change", "one that goes on", "before our change", "after our change", "while its proof was looked for"],
)
async def test_what_a_run_of_ours_has_deployed_is_not_somebody_elses(
    guard: Deploys,
    site: Site,
    ago: timedelta,
    ending: Ending | None,
    lasts: timedelta,
    expected: type[Allow | Hold],
) -> None:
    """A command of ours may make a container anew; the cooldown after our own changes is another guard's."""
    site.journal.happened("r-other", ending, T0 - ago, lasts=lasts)

    assert isinstance(await guard.look(site.case()), expected)


async def test_our_change_of_another_target_is_no_excuse(guard: Deploys, site: Site) -> None:
    """Only what we have done to this one."""
    site.journal.happened("r-other", Ending.HEALED, T0 - 4 * MINUTE, targets=["thing:db"])

    assert isinstance(await guard.look(site.case()), Hold)


async def test_each_target_counts(guard: Deploys, site: Site) -> None:
    """The second step of a plan may be on what was deployed."""
    assert isinstance(await guard.look(site.case("db", "web")), Hold)
    assert Allow() == await guard.look(site.case("db"))


async def test_a_system_that_does_not_show_deploys_stops_nothing(guard: Deploys, site: Site) -> None:
    """What cannot be known is not guessed from times that anything may touch."""
    assert Allow() == await guard.look(site.case(act="test.blind"))


@pytest.mark.parametrize("changes", [{"begun": True}, {"limits": Limits(cooldown_after_deploy=timedelta(0))}], ids=str)
async def test_nobody_looks_where_it_does_not_count(guard: Deploys, site: Site, changes: dict[str, Any]) -> None:
    """What has been begun is ended, and a cooldown of nothing needs no call."""
    assert (Allow(), 0) == (await guard.look(site.case(**changes)), site.asked)


@pytest.mark.parametrize(
    ("trouble", "told", "outdated"),
    [
        (Failed("no answer"), "no answer", False),
        (TargetGone("no such container: web"), "no such container: web", True),
        (ZeroDivisionError("x"), "the action broke when it looked for deploys: ZeroDivisionError: x", False),
    ],
    ids=["away", "gone", "broken"],
)
async def test_what_cannot_be_looked_at_holds(
    guard: Deploys, site: Site, trouble: Exception, told: str, *, outdated: bool
) -> None:
    """Not to know is not to know that nobody has deployed."""
    site.trouble = trouble

    what = f"step 0: whether somebody has deployed it could not be found out: {told}"
    assert Hold(Reason.TARGET_UNCERTAIN, T0 + 30 * SECOND, what, is_outdated=outdated) == await guard.look(site.case())
