"""`redis.config_set` on a real server: what it sets, what it refuses, and how it is put back."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.actions.redis_config import ConfigParams, ConfigSet, config_set, parameter_of
from remediator.clients import Clients
from remediator.errors import Conflicted, Failed, NotAllowed, TargetGone, Unavailable
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.remains import Now
from remediator.plugins import ActionContext
from remediator.settings import RedisSettings, Settings
from tests import services
from tests.integration.planned import Step

_MIB = 1024 * 1024


@pytest.fixture
def server() -> Iterator[services.Service]:
    services.requires("redis-server")
    with services.redis_server() as running:
        yield running


class Desk:
    """Plans a step, captures, and carries it out, against one server that the settings name `default`."""

    def __init__(self, address: str, **settings: Any) -> None:
        self.address = address
        given = RedisSettings.model_validate({"url": f"redis://{address}", "timeout": "2s", **settings})
        self.clients = Clients(Settings(redis={"default": given}))
        ends = datetime.now(UTC) + timedelta(minutes=1)
        self.bare = ActionContext(self.clients, SystemClock(), StepId("remediate.0.0"), ends)

    async def plan(self, parameter: str, value: int | str) -> Step[ConfigSet]:
        params = ConfigParams.model_validate({"parameter": parameter, "value": value})
        targets = await parameter_of(self.bare, params)
        context = ActionContext(self.clients, SystemClock(), self.bare.step, self.bare.deadline, targets)
        return Step(config_set, ConfigSet, context, params)

    def say(self, *words: str) -> str:
        """Send a command as a person would by telnet; the last line of its answer."""
        return services.ask_redis(self.address, *words)

    def now(self, parameter: str) -> str:
        return self.say("CONFIG", "GET", parameter)


@pytest.fixture
async def desk(server: services.Service) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        made = Desk(server.address)
        stack.push_async_callback(made.clients.close)
        yield made


@pytest.mark.parametrize(
    ("parameter", "value", "set_to", "before"),
    [
        ("maxmemory", "100m", str(100 * _MIB), "0"),
        ("timeout", 90, "90", "0"),
        ("slowlog-log-slower-than", "-1", "-1", "10000"),
        ("maxmemory-samples", 7, "7", "5"),
    ],
)
async def test_a_parameter_is_set_and_put_back(
    desk: Desk, parameter: str, value: int | str, set_to: str, before: str
) -> None:
    """And doing either a second time does nothing: a crash may have come between doing and noting."""
    step = await desk.plan(parameter, value)
    done, again, is_set = await step.do(), await (await desk.plan(parameter, value)).do(), desk.now(parameter)
    remains = await step.remains()
    first, second = await step.put_back(), await step.put_back()

    assert (set_to, Now.AS_SET) == (is_set, remains)
    assert (before, set_to, True, False) == (done.previous, done.value, done.changed, again.changed)
    assert before == desk.now(parameter)
    assert Now.AS_BEFORE == await step.remains()
    assert (True, False) == (first.changed, second.changed)


async def test_what_is_told_is_fit_for_people(desk: Desk) -> None:
    """Sizes as people write them, and that there was none."""
    step = await desk.plan("maxmemory", "1.5g")
    said = (await step.do()).brief(), (await (await desk.plan("maxmemory", "1536m")).do()).brief()

    assert "maxmemory of Redis server default is 1.5 GiB now, before it was no limit" == said[0]
    assert "maxmemory of Redis server default was 1.5 GiB already" == said[1]
    assert "maxmemory of Redis server default is no limit again" == (await step.put_back()).brief()


async def test_what_somebody_has_changed_since_is_left_alone(desk: Desk) -> None:
    """Whoever did it knew more than we do."""
    step = await desk.plan("timeout", 90)
    await step.do()
    desk.say("CONFIG", "SET", "timeout", "30")
    with pytest.raises(Conflicted) as refused:
        await step.put_back()

    what = "timeout of Redis server default is 30: somebody has changed that since"
    assert f"{what} (it was set to 90, before that it was 0); nothing was done" == str(refused.value)
    assert (Now.CHANGED, "30") == (await step.remains(), desk.now("timeout"))


async def test_a_restart_has_put_it_back_already() -> None:
    """What the server's file says counts then, and nobody has to undo anything."""
    services.requires("redis-server")
    port = services.free_port()
    with services.redis_server(port=port) as first:
        desk = Desk(first.address)
        step = await desk.plan("timeout", 90)
        await step.do()
    with services.redis_server(port=port, arguments=["--timeout", "60"]):
        remains = await step.remains()
        with pytest.raises(TargetGone, match="the server was restarted since the plan was made; it is 60 now"):
            await step.put_back()
        with pytest.raises(TargetGone):
            await step.do()
        now = desk.now("timeout")
    await desk.clients.close()

    assert (Now.GONE, "60") == (remains, now)


@pytest.mark.parametrize("allowed", [[], ["timeout"]])
async def test_only_what_the_settings_name_may_be_set(server: services.Service, allowed: list[str]) -> None:
    """It is refused when the plan is made, and again before acting: the settings may have changed meanwhile."""
    free, bound = Desk(server.address), Desk(server.address, config=allowed)
    step = await free.plan("maxmemory", "100m")
    step.context = replace(step.context, clients=bound.clients)
    for attempt in (bound.plan("maxmemory", "100m"), step.do()):
        with pytest.raises(NotAllowed, match=r"maxmemory must not be set .* add it to redis\.default\.config"):
            await attempt
    await free.clients.close()
    await bound.clients.close()

    assert "0" == free.now("maxmemory")


async def test_memory_is_not_limited_to_less_than_is_used(desk: Desk) -> None:
    """The server would delete keys at once, or refuse every write; that holds for putting back as well."""
    lower = await desk.plan("maxmemory", "100k")
    with pytest.raises(Failed, match="bytes of memory are in use, and the server would delete keys"):
        await lower.do()
    desk.say("CONFIG", "SET", "maxmemory", "4mb")
    step = await desk.plan("maxmemory", "100m")
    await step.do()
    desk.say("SETRANGE", "big", "8000000", "x")
    with pytest.raises(Failed, match="was not set to 4 MiB: "):
        await step.put_back()

    assert str(100 * _MIB) == desk.now("maxmemory")


async def test_a_user_who_may_not_is_told_what_to_allow(server: services.Service) -> None:
    """An operator has to give the right; the server's own words name only the command."""
    desk = Desk(server.address, username="watch", password="tiger-lily-81")
    desk.say("ACL", "SETUSER", "watch", "on", ">tiger-lily-81", "~*", "+ping", "+info", "+config|get", "+client")
    step = await desk.plan("timeout", 90)
    with pytest.raises(Failed, match=r"let it: ACL SETUSER watch \+config\|set"):
        await step.do()
    desk.say("ACL", "SETUSER", "watch", "-config|get")
    with pytest.raises(Failed, match=r"let it: ACL SETUSER watch \+config\|get"):
        await desk.plan("timeout", 90)
    denied = await desk.clients.redis("default").denials(["config|get", "config|set", "info"])
    await desk.clients.close()

    assert ["config|get", "config|set"] == [denial.command for denial in denied]
    assert "0" == desk.now("timeout")


async def test_without_info_a_limit_is_not_set_and_the_rest_is(server: services.Service) -> None:
    """What is used cannot be told then, and a restart is not noticed."""
    desk = Desk(server.address, username="blind", password="tiger-lily-81")
    desk.say("ACL", "SETUSER", "blind", "on", ">tiger-lily-81", "~*", "+ping", "+config|get", "+config|set", "+client")
    step = await desk.plan("timeout", 90)
    await step.do()
    with pytest.raises(Failed, match="how much is used is not known; let its user run INFO"):
        await (await desk.plan("maxmemory", "100m")).do()
    await desk.clients.close()

    assert ("", "90") == (step.context.target.incarnation, desk.now("timeout"))


async def test_a_server_that_is_away_was_told_nothing(server: services.Service) -> None:
    """Then it is certain that nothing was done."""
    desk = Desk(server.address)
    step = await desk.plan("timeout", 90)
    server.stop()
    with pytest.raises(Unavailable):
        await step.do()
    with pytest.raises(Unavailable):
        await desk.clients.redis("default").configure("timeout", "90")
    await desk.clients.close()
