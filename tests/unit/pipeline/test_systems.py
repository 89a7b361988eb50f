"""Calls to one system: how many at once, when it is left alone, and that what labels decide fills no memory."""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from remediator.errors import (
    Failed,
    Mistaken,
    NotAllowed,
    NotAsked,
    OutcomeUnknown,
    TargetGone,
    Transient,
    Unavailable,
)
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.system import Stand, System
from remediator.pipeline.systems import Manner, Systems
from remediator.settings import SystemSettings
from remediator.testing.clock import VirtualClock

REDIS, OTHER = System("redis", ("cache",)), System("redis", ("other",))
SECOND = timedelta(seconds=1)


class World:
    """Systems in virtual time, with what is measured of them."""

    def __init__(self, **settings: object) -> None:
        self.clock = VirtualClock()
        self.metrics = Metrics()
        given = {"breaker_failures": 3, "calls_at_once": 2, **settings}
        self.systems = Systems(
            SystemSettings.model_validate(given), self.clock, self.metrics, Redactor(["s3cr3t-s3cr3t"])
        )

    async def call(
        self,
        outcome: BaseException | None = None,
        *,
        system: System = REDIS,
        manner: Manner = Manner.ORDINARY,
        away: str = "",
    ) -> None:
        """A call that ends so."""
        async with self.systems.visit(system, manner, patience=1) as visit:
            visit.away = away
            if outcome is not None:
                raise outcome

    async def fail(self, times: int, *, system: System = REDIS, manner: Manner = Manner.ORDINARY) -> None:
        for _ in range(times):
            with suppress(Unavailable):
                await self.call(Unavailable("refused"), system=system, manner=manner)

    def stand(self, system: System = REDIS) -> Stand | None:
        return next(state.stand for state in self.systems.states() if state.name == system.name)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def world() -> World:
    return World()


# -- breakers --


@pytest.mark.parametrize(
    ("outcome", "stand"),
    [
        (Unavailable("refused"), Stand.OPEN),
        (Transient("busy"), Stand.OPEN),
        (OutcomeUnknown("it broke off"), Stand.OPEN),
        (TimeoutError(), Stand.OPEN),
        (Failed("no such container"), Stand.CLOSED),
        (TargetGone("gone"), Stand.CLOSED),
        (NotAllowed("not in the settings"), Stand.CLOSED),
        (Mistaken("nonsense"), Stand.CLOSED),
        (KeyError("a mistake of the action's"), Stand.CLOSED),
        (None, Stand.CLOSED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_only_what_does_not_answer_is_left_alone(world: World, outcome: Exception | None, stand: Stand) -> None:
    """A no is an answer, and our own mistakes say nothing of a system."""
    for _ in range(3):
        with suppress(Exception):
            await world.call(outcome)

    assert stand is world.stand()


async def test_a_call_is_refused_at_once_and_says_why(world: World) -> None:
    """Whoever reads it in a thread has to know that nothing was done, for how long, and where to look."""
    for _ in range(3):
        with suppress(Unavailable):
            await world.call(Unavailable("refused,\nthe password is s3cr3t-s3cr3t"))
    await world.clock.advance(2 * SECOND)

    with pytest.raises(NotAsked) as raised:
        await world.call()

    said = str(raised.value)
    assert said.startswith(
        "not done: redis:cache did not answer 3 times in a row, so it is left alone; it is asked again in 3.0 s. "
        "The last time: refused, the password is "
    )
    assert "s3cr3t" not in said
    assert 1 == world.value("remediator_calls_not_made_total", family="redis", reason="away")


async def test_other_systems_are_not_touched(world: World) -> None:
    """One Redis away is no reason not to ask the other."""
    await world.fail(3)
    await world.call(system=OTHER)

    assert (Stand.OPEN, Stand.CLOSED) == (world.stand(), world.stand(OTHER))


async def test_after_the_pause_one_call_goes_through_and_closes_it(world: World) -> None:
    """It comes back by itself."""
    await world.fail(3)
    await world.clock.advance(5 * SECOND)
    async with world.systems.visit(REDIS, Manner.ORDINARY, patience=1):
        with pytest.raises(NotAsked, match="one call asks it just now"):
            await world.call()
    await world.call()

    assert Stand.CLOSED is world.stand()


async def test_a_call_that_is_cancelled_lets_the_next_one_find_out(world: World) -> None:
    """Else nobody would ever ask again."""
    await world.fail(3)
    await world.clock.advance(5 * SECOND)
    with suppress(asyncio.CancelledError):
        await world.call(asyncio.CancelledError())
    stood = world.stand()
    await world.call()

    assert (Stand.HALF_OPEN, Stand.CLOSED) == (stood, world.stand())


async def test_a_check_of_a_remedy_is_never_refused(world: World) -> None:
    """It has to see at once that the remedy has helped; that it has not yet is no news."""
    await world.fail(10, manner=Manner.WATCHING)
    unimpressed = world.stand()
    await world.fail(3)
    await world.fail(1, manner=Manner.WATCHING)
    still = world.stand()
    await world.call(manner=Manner.WATCHING)

    assert [Stand.CLOSED, Stand.OPEN, Stand.CLOSED] == [unimpressed, still, world.stand()]


async def test_a_question_whether_it_answers_is_never_refused_and_counts(world: World) -> None:
    """`redis.ping` is asked for nothing else; its no opens the breaker for others, and its yes closes it."""
    for _ in range(3):
        await world.call(manner=Manner.PROBING, away="connection refused")
    opened = world.stand()
    await world.call(manner=Manner.PROBING, away="connection refused")
    with pytest.raises(NotAsked):
        await world.call()
    await world.call(manner=Manner.PROBING)

    assert (Stand.OPEN, Stand.CLOSED) == (opened, world.stand())


async def test_this_machine_is_never_away(world: World) -> None:
    """A command that fails five times is a command that fails, and no outage."""
    here = System("command", ("look",), is_here=True)
    await world.fail(10, system=here)
    await world.call(system=here)

    assert world.stand(here) is None
    assert not world.systems.reset("command:look", by="ann")
    assert world.value("remediator_breakers_open", family="command") is None


async def test_a_breaker_is_told_when_it_opens_and_when_it_closes(world: World) -> None:
    """Once each, however often it is asked meanwhile."""
    with capture_logs() as logs:
        await world.call(system=OTHER)
        none = world.systems.summary(), world.value("remediator_breakers_open", family="redis")
        await world.fail(5)
        one = world.systems.summary(), world.value("remediator_breakers_open", family="redis")
        await world.clock.advance(5 * SECOND)
        await world.fail(1)
        await world.clock.advance(10 * SECOND)
        await world.call()
        after = world.systems.summary(), world.value("remediator_breakers_open", family="redis")

    assert ((False, "none is away"), 0) == none == after
    assert ((True, "redis: 1 breaker open; see: remediator breaker list"), 1) == one
    assert [
        {"event": "breaker_opened", "system": "redis:cache", "failures": 3, "reason": "refused"},
        {"event": "breaker_closed", "system": "redis:cache", "reason": "it answers", "seconds": 15.0},
    ] == [{name: value for name, value in line.items() if name != "log_level"} for line in logs]


async def test_a_reset_closes_it_at_once_and_is_logged_with_who(world: World) -> None:
    """Who has mended it need not wait."""
    await world.fail(3)
    with capture_logs() as logs:
        known = world.systems.reset("redis:cache", by="ann")
    (state,) = world.systems.states()
    await world.call()

    assert known
    assert "" == state.trouble  # whether it is mended is not known, but that is no reason any more
    assert not world.systems.reset("redis:nobody", by="ann")
    assert not world.systems.reset("nonsense", by="ann")
    assert [("breaker_reset", "ann"), ("breaker_closed", None)] == [(line["event"], line.get("by")) for line in logs]


async def test_what_nobody_asks_for_is_not_counted_as_away_for_ever(world: World) -> None:
    """The alert about it would never end; the look at readiness notices it."""
    await world.fail(3)
    await world.clock.advance(timedelta(minutes=3))
    with capture_logs() as logs:
        told = world.systems.summary()

    assert (False, "none is away") == told
    assert ["nobody has asked for it since"] == [line["reason"] for line in logs]
    assert 0 == world.value("remediator_breakers_open", family="redis")


# -- places --


async def hold(world: World, release: asyncio.Event, began: list[str], name: str, system: System = REDIS) -> None:
    async with world.systems.visit(system, Manner.ORDINARY, patience=30):
        began.append(name)
        await release.wait()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_only_so_many_calls_are_made_at_once_and_others_wait_in_turn(world: World) -> None:
    """A storm must not be passed on to the system that is the cause of it."""
    release, began = asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(hold(world, release, began, name))
        group.create_task(hold(world, release, began, "other", OTHER))
        await turns()
        first, waiting = [*began], world.value("remediator_calls_waiting", family="redis")
        said = world.systems.summary()
        state = world.systems.states()[0]
        release.set()

    assert ["a", "b", "other"] == first
    assert 2 == waiting
    assert (False, "redis: 2 calls waiting for a place") == said
    assert ("redis:cache", 2, 2) == (state.name, state.calls, state.waiting)
    assert ["a", "b", "other", "c", "d"] == began
    assert 0 == world.value("remediator_calls_waiting", family="redis")


async def test_a_call_that_gets_no_place_is_not_made(world: World) -> None:
    """It has to be known for sure that nothing was done."""
    release, began = asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(hold(world, release, began, name))
        await turns()
        with pytest.raises(NotAsked, match=r"^not done: redis:cache has 2 calls at once already, .* 0\.01 s"):
            async with world.systems.visit(REDIS, Manner.ORDINARY, patience=0.01):
                began.append("c")
        release.set()
    await world.call()

    assert ["a", "b"] == began
    assert 1 == world.value("remediator_calls_not_made_total", family="redis", reason="busy")
    assert Stand.CLOSED is world.stand()


async def test_a_place_that_comes_too_late_is_not_taken(world: World) -> None:
    """Where the whole process stood still meanwhile, a change would begin after its deadline."""
    began = list[str]()

    async def late() -> None:
        async with world.systems.visit(REDIS, Manner.ORDINARY, patience=0.05):
            began.append("late")

    async with (
        world.systems.visit(REDIS, Manner.ORDINARY, patience=1),
        world.systems.visit(REDIS, Manner.ORDINARY, patience=1),
    ):
        task = asyncio.create_task(late())
        await turns()
        time.sleep(0.1)  # nothing else can run, as when the process is frozen
    with pytest.raises(NotAsked, match="at once already"):
        await task

    assert [] == began
    assert (0, 0) == (world.systems.states()[0].calls, world.systems.states()[0].waiting)


async def test_who_waits_is_refused_as_soon_as_the_system_is_known_to_be_away(world: World) -> None:
    """A hundred that wait for a system that hangs would each wait for its time limit, two by two."""
    hung, calls = asyncio.Event(), 0

    async def one() -> str:
        nonlocal calls
        try:
            async with world.systems.visit(REDIS, Manner.ORDINARY, patience=30):
                calls += 1
                await hang()
        except Unavailable as error:
            return type(error).__name__
        return ""

    async def hang() -> None:
        await hung.wait()
        raise Unavailable("no answer")

    tasks = [asyncio.create_task(one()) for _ in range(100)]
    await turns()
    hung.set()
    ended = await asyncio.gather(*tasks)

    assert 4 >= calls
    assert 96 <= ended.count("NotAsked")


# -- what is remembered --


async def test_hosts_that_labels_name_are_forgotten_and_push_out_nobody_else(world: World) -> None:
    """An attacker who sends ten thousand hosts fills neither the memory nor the metrics, and closes no breaker."""
    await world.fail(3)
    away = System("http", ("away", "80"))
    await world.fail(3, system=away)
    for number in range(1000):
        await world.call(system=System("http", (f"host-{number}", "80")))
    families = {state.family for state in world.systems.states()}
    series = [line for line in world.metrics.exposition().decode().splitlines() if "host-" in line]

    assert 201 == len(world.systems.states())
    assert {"redis", "http"} == families
    assert (Stand.OPEN, Stand.OPEN) == (world.stand(), world.stand(away))
    assert [] == series


async def test_when_all_are_away_the_oldest_is_forgotten(world: World) -> None:
    """And is counted no more."""
    for number in range(300):
        await world.fail(3, system=System("tcp", (f"host-{number}", "80")))

    assert 200 == len(world.systems.states())
    assert 200 == world.value("remediator_breakers_open", family="tcp")


async def test_what_is_in_use_is_never_forgotten(world: World) -> None:
    """Its limit would be another one's then."""
    release, began = asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as group:
        for number in range(250):
            group.create_task(hold(world, release, began, str(number), System("tcp", (f"host-{number}", "80"))))
        await turns()
        counted = len(world.systems.states())
        release.set()

    assert 250 == counted
