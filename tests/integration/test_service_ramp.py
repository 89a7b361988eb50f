"""The whole service restarts seven real containers in waves of 1, 2 and 4, and stops at the first that fails.

All built-in actions act on one target, so the action comes from a package of its own, as a user's would. What was
touched is not what the service says, but what the engine's own events say.
"""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.served import ROOT, Served

PLUGIN = '''
from datetime import timedelta

from remediator.errors import Failed
from remediator.plugins import ActionContext, Effect, Member, Params, Pool, Result, System, Target, action


class Service(Params):
    """The containers of a service, or some of them."""

    service: str
    only: tuple[str, ...] = ()


class Restarted(Result):
    names: tuple[str, ...]


async def containers(ctx, params):
    engine = ctx.clients.docker("local")
    listed = await engine.labelled({"shop.service": params.service})
    return tuple(
        Target("docker", ("local", one.name), incarnation=one.id)
        for one in listed
        if not params.only or one.name in params.only
    )


async def pool(ctx, params):
    ours = {target.incarnation for target in ctx.targets}
    listed = await ctx.clients.docker("local").labelled({"shop.service": params.service})
    members = tuple(Member(f"docker:local/{one.name}", one.is_well, one.id in ours) for one in listed)
    return Pool(params.service, members)


def narrowed(params, targets):
    return params.model_copy(update={"only": tuple(target.parts[1] for target in targets)})


@action(
    "shop.restart",
    effect=Effect.CHANGE,
    targets=containers,
    pool=pool,
    system=lambda params: System("docker", ("local",)),
    for_targets=narrowed,
    timeout=timedelta(seconds=60),
)
async def restart(ctx: ActionContext, params: Service) -> Restarted:
    """Restart the containers of a service, and see that each of them stays up."""
    engine = ctx.clients.docker("local")
    for target in ctx.targets:
        await engine.restart(target.incarnation, stop_timeout=2, within=timedelta(seconds=20))
        await ctx.clock.sleep(timedelta(seconds=0.5))
        if not (await engine.inspect(target.incarnation)).is_well:
            raise Failed(f"{target.parts[1]} did not stay up")
    return Restarted(names=tuple(target.parts[1] for target in ctx.targets))
'''

RULES = """
pack: shop
rules:
  - name: down
    match: ['alertname="Down"']
    mode: auto
    limits: {max_targets: 7, min_healthy: 1}
    remediate: [{name: restart all of it, do: [{shop.restart: {service: shop}}]}]
    verify:
      settle: 100ms
      sustain: 200ms
      within: 10m
      every: 100ms
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]
"""

WAVES = (("shop-a",), ("shop-b", "shop-c"), ("shop-d", "shop-e", "shop-f", "shop-g"))
SEVEN = tuple(name for wave in WAVES for name in wave)
_FOREVER = "[ ! -e /srv/broken ] || exit 1; trap 'exit 0' TERM; sleep 1000 & wait"


@dataclass
class Shop:
    """The service, and the seven containers whose programs are in folders of this machine."""

    served: Served
    engine: str
    folder: Path
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def open(self) -> None:
        for name in SEVEN:
            self._run(name)
        services.wait_until(lambda: set(SEVEN) == self.running(), "all containers to run")
        self.began = datetime.now(UTC)
        self.served.configure(
            docker={"engines": {"local": self.engine}}, commands={"look": {"argv": ["true"], "effect": "read"}}
        )
        (self.served.folder / "rules.yaml").write_text(RULES)
        self.served.wrapper = ("env", f"PYTHONPATH={ROOT}:{self._plugin()}")
        self.served.start()

    def _run(self, name: str) -> None:
        program = shutil.which("busybox")
        assert program is not None
        (self.folder / name).mkdir()
        shutil.copy(program, self.folder / name / "busybox")
        with services.docker_api(self.engine) as api:
            made = api.create_container(
                "busybox",
                command=["/srv/busybox", "sh", "-c", _FOREVER],
                name=name,
                labels={"shop.service": "shop"},
                host_config=api.create_host_config(network_mode="none", binds=[f"{self.folder / name}:/srv"]),
            )
            api.start(made["Id"])

    def _plugin(self) -> Path:
        """A folder with a package as pip would have installed it."""
        folder = self.folder / "site"
        told = folder / "shop_actions-1.0.dist-info"
        told.mkdir(parents=True)
        (folder / "shop_actions.py").write_text(PLUGIN)
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-actions\nVersion: 1.0\n")
        (told / "entry_points.txt").write_text("[remediator.actions]\nshop = shop_actions\n")
        return folder

    def lose_program(self, name: str) -> None:
        """It runs on, and cannot be started again."""
        (self.folder / name / "busybox").unlink()

    def break_program(self, name: str) -> None:
        """It runs on, and the next start of it ends at once."""
        (self.folder / name / "broken").touch()

    def remedy(self) -> dict[str, Any]:
        """The run of the alert, when it has ended."""
        sent = self.served.command("send", "Down", "-l", "service=shop")
        assert 0 == sent.returncode, sent.stderr
        services.wait_until(lambda: [run["outcome"] for run in self.served.runs()] not in ([], [None]), "the end")
        return self.served.run()

    def events(self) -> list[tuple[str, str, datetime]]:
        """What the engine has done since to which container, and when, as it says itself."""
        with services.docker_api(self.engine) as api:
            told = api.events(
                since=self.began.timestamp(), until=time.time(), filters={"type": "container"}, decode=True
            )
            found = [
                (one["Actor"]["Attributes"]["name"], one["Action"], datetime.fromtimestamp(one["timeNano"] / 1e9, UTC))
                for one in told
            ]
        return [event for event in found if event[2] >= self.began]  # the engine knows whole seconds only

    def told(self) -> str:
        """The thread, as chat has it."""
        return (self.served.folder / "out-1").read_text()

    def running(self) -> set[str]:
        with services.docker_api(self.engine) as api:
            return {name for name in SEVEN if api.inspect_container(name)["State"]["Running"]}


@pytest.fixture
def shop(docker_engine: str, tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "served").mkdir()
    served = Served(tmp_path / "served")
    made = Shop(served, docker_engine, tmp_path)
    made.open()
    yield made
    served.end()


def times(run: dict[str, Any], kind: str) -> list[datetime]:
    return [datetime.fromisoformat(fact["at"]) for fact in run["timeline"] if fact["kind"] == kind]


def test_seven_containers_are_restarted_one_then_two_then_four(shop: Shop) -> None:
    """No wave begins before the one before it has ended."""
    run = shop.remedy()
    stops = [(name, at) for name, action, at in shop.events() if action == "die"]
    starts, ends = times(run, "started"), times(run, "finished")
    within = [tuple(name for name, at in stops if began <= at <= end) for began, end in zip(starts, ends, strict=True)]

    assert "healed" == run["outcome"], run["timeline"]
    assert list(WAVES) == within
    assert SEVEN == tuple(name for name, _ in stops)
    assert starts[1] >= ends[0]
    assert starts[2] >= ends[1]
    assert set(SEVEN) == shop.running()


@pytest.mark.parametrize(
    ("fault", "why"),
    [(Shop.lose_program, "/srv/busybox"), (Shop.break_program, "shop-c did not stay up")],
    ids=["its program is gone", "it ends at once"],
)
def test_the_first_container_that_cannot_be_restarted_is_the_last_one_that_is_touched(
    shop: Shop, fault: Any, why: str
) -> None:
    """What would have taken down the rest has taken down one, and people read which."""
    fault(shop, "shop-c")
    run = shop.remedy()
    touched = [name for name, action, _ in shop.events() if action in ("kill", "die", "stop", "start", "restart")]
    shown = shop.served.command("runs", "show", run["id"]).stdout
    steps = [fact["kind"] for fact in run["timeline"] if fact["kind"] in ("started", "finished")]
    first, second, third = (
        f"wave {n} of 3 ({', '.join(f'docker:local/{name}' for name in WAVES[n - 1])})" for n in (1, 2, 3)
    )
    services.wait_until(lambda: "the plan ends here" in " ".join(shop.told().split()), "the thread to tell the end")
    told = " ".join(shop.told().split())

    assert "failed" == run["outcome"]
    assert ["shop-a", "shop-b", "shop-c"] == list(dict.fromkeys(touched))
    assert set(SEVEN) - {"shop-c"} == shop.running()
    assert ["started", "finished"] * 2 == steps
    assert f"“{first}: shop.restart service='shop', only=['shop-a']” done" in shown
    assert re.search(rf"“{re.escape(second)}: .*” failed after .*{why}", shown)
    assert f"started “{third}" not in shown
    assert f"Done: {first}" in told
    assert re.search(
        rf"Failed: {re.escape(second)}: .*{why}.* Not begun, as the plan ends here: {re.escape(third)}", told
    )
