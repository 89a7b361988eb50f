"""A call of an action and the system behind it: its place, its breaker, its time limit, and what is said of each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from remediator.clients import Clients
from remediator.errors import Failed, NotAsked, OutcomeUnknown, RemediatorError, Unavailable
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.facts import StepStatus
from remediator.model.ids import StepId
from remediator.model.plan import PlannedStep
from remediator.model.system import Stand, SystemState
from remediator.pipeline.answer import Answer
from remediator.pipeline.calls import Calls
from remediator.pipeline.systems import Systems
from remediator.plugins import Action, ActionContext, Effect, Params, Result, System, Target, action
from remediator.settings import Settings, SystemSettings

STEP = StepId("do.it")
SECOND = timedelta(seconds=1)


class What(Params):
    name: str = "one"


class Found(Result):
    answers: bool = True

    def brief(self) -> str:
        return "it answers" if self.answers else "no answer: refused"


class World:
    """Actions on one kind of system that do what a test says, and the calls to them."""

    def __init__(self) -> None:
        settings = SystemSettings(breaker_failures=2, calls_at_once=1)
        clients, clock, metrics, redactor = Clients(Settings()), SystemClock(), Metrics(), Redactor()
        self.clients = clients
        self.systems = Systems(settings, clock, metrics, redactor)
        self.calls = Calls(clients, clock, redactor, metrics, self.systems)
        self.performed = 0
        self.body: Callable[[ActionContext], Awaitable[Found]] = self.answer
        self.look, self.probe, self.act, self.set = self._actions()

    async def answer(self, ctx: ActionContext) -> Found:
        return Found()

    def fail_with(self, error: Exception) -> None:
        async def fail(ctx: ActionContext) -> Found:
            raise error

        self.body = fail

    def _actions(self) -> tuple[Action, Action, Action, Action]:
        async def perform(ctx: ActionContext) -> Found:
            self.performed += 1
            return await self.body(ctx)

        async def targets(ctx: ActionContext, params: What) -> tuple[Target, ...]:
            await perform(ctx)
            return (Target("test", (params.name,)),)

        def system(params: What) -> System:
            if params.name == "broken":
                raise KeyError(params.name)
            if params.name == "bad":
                raise Failed("'bad' is no name")
            return System("test", (params.name,))

        def is_away(found: Found) -> bool:
            return not found.answers

        @action("test.look", effect=Effect.READ, system=system)
        async def look(ctx: ActionContext, params: What) -> Found:
            """Looks."""
            return await perform(ctx)

        @action("test.probe", effect=Effect.READ, system=system, away=is_away)
        async def probe(ctx: ActionContext, params: What) -> Found:
            """Asks whether it answers."""
            return await perform(ctx)

        @action("test.act", effect=Effect.CHANGE, targets=targets, system=system)
        async def act(ctx: ActionContext, params: What) -> Found:
            """Acts."""
            return await perform(ctx)

        @action("test.set", effect=Effect.CHANGE, targets=targets, system=system, idempotent=True)
        async def set_(ctx: ActionContext, params: What) -> Found:
            """Sets."""
            return await perform(ctx)

        return look, probe, act, set_

    async def read(self, which: Action, name: str = "one", *, within: float = 10, watching: bool = False) -> Answer:
        return await self.calls.read(STEP, which, What(name=name), within * SECOND, watching=watching)

    async def change(self, which: Action, name: str = "one", *, within: float = 10) -> Answer:
        step = PlannedStep(
            id=STEP,
            action=which.name,
            params={"name": name},
            effect=Effect.CHANGE,
            idempotent=which.idempotent,
            targets=(Target("test", (name,)),),
            timeout=within * SECOND,
            sentence="",
        )
        return await self.calls.change(step, which, may_retry=True)

    async def open_breaker(self) -> None:
        """As two calls do that find nobody there."""
        self.fail_with(Unavailable("refused"))
        for _ in range(2):
            await self.change(self.act)
        self.body, self.performed = self.answer, 0

    @property
    def state(self) -> SystemState:
        (state,) = self.systems.states()
        return state


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.clients.close()


async def test_a_change_of_what_is_away_was_not_done(world: World) -> None:
    """Not unknown: nobody has to look what became of it, and its target need not stay locked."""
    await world.open_breaker()
    answer = await world.change(world.act)

    assert (StepStatus.FAILED, 0) == (answer.status, world.performed)
    assert answer.brief.startswith("not done: test:one did not answer 2 times in a row, so it is left alone; ")
    assert answer.seconds < 10


async def test_a_read_of_what_is_away_fails_at_once(world: World) -> None:
    """It is evidence too, and costs no time limit."""
    await world.open_breaker()
    answer = await world.read(world.look)

    assert (StepStatus.FAILED, 0, True) == (answer.status, world.performed, answer.seconds < 10)
    assert "test:one did not answer" in answer.brief


async def test_a_target_of_what_is_away_is_not_looked_up(world: World) -> None:
    """The plan is refused, with the reason."""
    await world.open_breaker()
    with pytest.raises(NotAsked, match=r"^not done: test:one did not answer"):
        await world.calls.resolve(STEP, world.act, What(), SECOND)

    assert 0 == world.performed


async def test_looking_targets_up_finds_out_too(world: World) -> None:
    """A hanging engine is met there first."""

    async def hang(ctx: ActionContext) -> Found:
        await asyncio.Event().wait()
        raise AssertionError

    world.body = hang
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"^the target was not found within 0\.01 s$"):
            await world.calls.resolve(STEP, world.act, What(), SECOND / 100)

    assert (Stand.OPEN, "the target was not found within 0.01 s") == (world.state.stand, world.state.trouble)


async def test_the_tries_of_one_call_count_as_one(world: World) -> None:
    """Else two calls that are tried three times would open a breaker of five."""
    world.fail_with(Unavailable("refused"))
    await world.read(world.look)

    assert (3, 1, Stand.CLOSED) == (world.performed, world.state.failures, world.state.stand)


@pytest.mark.parametrize("effect", [Effect.READ, Effect.CHANGE])
async def test_a_call_that_hangs_counts_as_no_answer(world: World, effect: Effect) -> None:
    """That is how most systems are away."""

    async def hang(ctx: ActionContext) -> Found:
        await asyncio.Event().wait()
        raise AssertionError

    world.body = hang
    for _ in range(2):
        await (world.read(world.look, within=0.05) if effect is Effect.READ else world.change(world.act, within=0.05))

    assert Stand.OPEN is world.state.stand


@pytest.mark.parametrize(
    ("error", "status"),
    [(OutcomeUnknown("broke off"), StepStatus.UNKNOWN), (KeyError("x"), StepStatus.UNKNOWN)],
    ids=["broke off", "a mistake"],
)
async def test_what_was_begun_stays_unknown(world: World, error: Exception, status: StepStatus) -> None:
    """Only what was surely not begun is told as not done."""
    world.fail_with(error)

    assert status is (await world.change(world.act)).status


async def test_a_change_that_gets_no_place_in_half_its_time_is_not_done(world: World) -> None:
    """One that begins right before its deadline would be cut off, and nobody would know what happened."""
    release, began = asyncio.Event(), asyncio.Event()

    async def wait(ctx: ActionContext) -> Found:
        began.set()
        await release.wait()
        return Found()

    world.body = wait
    first = asyncio.create_task(world.change(world.act))
    await began.wait()
    second = await world.change(world.act, within=0.2)
    release.set()
    await first

    assert (StepStatus.FAILED, 1) == (second.status, world.performed)
    assert second.brief.startswith("not done: test:one has 1 call at once already, and none ended within 0.1 s")
    assert Stand.CLOSED is world.state.stand


async def test_waiting_for_a_place_counts_in_the_time_limit(world: World) -> None:
    """A step is over when it should be: what is left after waiting is what the call gets."""
    found: list[tuple[StepStatus, int, bool]] = []
    while not found or (found[-1] != (StepStatus.FAILED, 2, True) and len(found) < 5):
        found.append(await waited_for_a_place(world))  # once more where this process stood still meanwhile

    assert (StepStatus.FAILED, 2, True) == found[-1]


async def waited_for_a_place(world: World) -> tuple[StepStatus, int, bool]:
    """How a call within a second ends that got its place after 0.7, how many began, and whether it was in time."""
    release, began, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    world.performed = 0

    async def wait(ctx: ActionContext) -> Found:
        began.set()
        await (release if world.performed == 1 else asyncio.Event()).wait()
        return Found()

    world.body = wait
    first = asyncio.create_task(world.read(world.look))
    await began.wait()
    start = loop.time()
    second = asyncio.create_task(world.read(world.look, within=1))
    loop.call_later(0.7, release.set)
    await first
    answer = await second
    return answer.status, world.performed, 0.9 < loop.time() - start < 1.6


async def test_a_check_of_a_remedy_is_made_whatever_is_known(world: World) -> None:
    """The remedy may just have brought it back, and the first to see that lets everybody ask again."""
    await world.open_breaker()
    answer = await world.read(world.look, watching=True)

    assert (StepStatus.DONE, 1, Stand.CLOSED) == (answer.status, world.performed, world.state.stand)


async def test_not_answering_is_found_once_and_told_to_all_who_ask_at_once(world: World) -> None:
    """A `when` reads it, so it must be no failure; and a storm of runs must not wait for a Redis that hangs."""

    async def say_no(ctx: ActionContext) -> Found:
        return Found(answers=False)

    world.body = say_no
    asked = [await world.read(world.probe) for _ in range(2)]
    opened, performed = world.state, world.performed
    told = await world.read(world.probe)
    other = await world.read(world.look)

    assert (Stand.OPEN, "no answer: refused", 2) == (opened.stand, opened.trouble, performed)
    assert [StepStatus.DONE] * 3 == [one.status for one in (*asked, told)]
    assert {"answers": False} == dict(told.result)
    assert told.brief.startswith("no answer: refused (so it was 0.")
    assert (2, StepStatus.FAILED) == (world.performed, other.status)


async def test_a_check_is_never_answered_with_what_was_found_before(world: World) -> None:
    """It would not see that the remedy has helped."""

    async def say_no(ctx: ActionContext) -> Found:
        return Found(answers=False)

    world.body = say_no
    for _ in range(3):
        await world.read(world.probe)
    world.body = world.answer
    answer = await world.read(world.probe, watching=True)

    assert ({"answers": True}, Stand.CLOSED) == (dict(answer.result), world.state.stand)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bad", "'bad' is no name"),
        ("broken", "not done: the action broke when it was to say what it talks to: KeyError: 'broken'"),
    ],
)
async def test_an_action_that_cannot_name_its_system_is_not_called(world: World, name: str, said: str) -> None:
    """A URL made of a label may be none; and a plug-in may have mistakes."""
    answers = [await world.read(world.look, name), await world.change(world.act, name)]
    with pytest.raises(RemediatorError) as raised:
        await world.calls.resolve(STEP, world.act, What(name=name), SECOND)

    assert [(StepStatus.FAILED, said)] * 2 == [(one.status, one.brief) for one in answers]
    assert (said, 0) == (str(raised.value), world.performed)
