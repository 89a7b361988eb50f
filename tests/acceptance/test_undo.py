"""Putting back on real services: a container's memory, a silence, a parameter of Redis; never over other changes."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.testing.slack import SlackStandIn
from tests import services
from tests.acceptance import story
from tests.served import WIDE, Served

MIB = 1024 * 1024
CONTAINER = "cramped"
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"


@dataclass
class Scene:
    """The service with one rule, and a person beside it."""

    served: Served
    slack: SlackStandIn

    def send(self, *options: str) -> None:
        sent = self.served.command("send", "Slow", "-l", "service=web", *options)
        assert 0 == sent.returncode, sent.stderr

    def run_until(self, outcome: str) -> dict[str, Any]:
        """The one run, once it has ended so."""
        services.wait_until(lambda: bool(self.served.runs()) and self.served.run()["outcome"], "the run to end")
        run = self.served.run()
        assert outcome == run["outcome"], "\n".join(fact["text"] for fact in run["timeline"])
        return run

    def undo(self, *options: str) -> tuple[int, str, str]:
        """The exit code of `remediator undo`, and what it says on standard output and on standard error."""
        done = self.served.command("undo", self.served.run()["id"], *options)
        return done.returncode, done.stdout, done.stderr

    def stands(self) -> list[str]:
        return [change["stands"] for change in self.served.run()["changes"]]

    def until_stands(self, *expected: str) -> dict[str, Any]:
        services.wait_until(lambda: list(expected) == self.stands(), f"the changes to stand at {expected}")
        return self.served.run()

    def shown(self) -> str:
        return self.served.command("runs", "show", self.served.run()["id"]).stdout

    def until_told(self, *words: str) -> None:
        """Wait until the thread has each of these."""

        def missing() -> list[str]:
            thread = "\n".join(message.shown for message in self.slack.messages[story.CHANNEL])
            return [word for word in words if word not in thread]

        services.wait_until(lambda: not missing(), f"the thread to say {missing()}")


@contextmanager
def playing(
    folder: Path,
    slack: SlackStandIn,
    remedy: dict[str, Any],
    check: dict[str, Any],
    *,
    port: int | None = None,
    **settings: Any,
) -> Iterator[Scene]:
    """The service, with a rule that carries out this remedy and proves it by this check."""
    served = Served(folder, port or services.free_port())
    times = {"settle": "100ms", "sustain": "300ms", "every": "100ms", "within": "5s"}
    rule = {
        "name": "slow",
        "summary": "{{ labels.service }} is slow",
        "match": ['alertname="Slow"'],
        "mode": "auto",
        "remediate": [remedy],
        "verify": {**times, "checks": [check]},
    }
    (folder / "rules.yaml").write_text(yaml.safe_dump({"pack": "shop", "rules": [rule]}))
    needed = {
        "listen": f"127.0.0.1:{served.port}",
        "rules": [str(folder / "rules.yaml")],
        "mode_ceiling": "auto",
        "limits": WIDE,
        "store": {"directory": str(folder / "store")},
        "slack": {
            "token": story.TOKEN,
            "channel": slack.channel_id(story.CHANNEL),
            "base_url": slack.base_url,
            "post_interval": "50ms",
        },
        "log": {"style": "json"},
    }
    (folder / "remediator.yaml").write_text(yaml.safe_dump({**needed, **settings}))
    served.start()
    try:
        yield Scene(served, slack)
    finally:
        served.end()


@pytest.fixture
def cramped(docker_engine: str) -> Iterator[str]:
    """An engine with a container that may use 64 MiB."""
    services.run_container(docker_engine, CONTAINER, _FOREVER, mem_limit=64 * MIB, memswap_limit=64 * MIB)
    yield docker_engine
    with services.docker_api(docker_engine) as api, suppress(Exception):
        api.remove_container(CONTAINER, force=True)


def limits(engine: str) -> tuple[int, int]:
    """What the container may use now, in MiB: memory, and memory together with swap."""
    with services.docker_api(engine) as api:
        config = api.inspect_container(CONTAINER)["HostConfig"]
    return config["Memory"] // MIB, config["MemorySwap"] // MIB


def more_memory(**remedy: Any) -> dict[str, Any]:
    return {"name": "more", "do": [{"docker.set_memory": {"container": CONTAINER, "limit": "128m"}}], **remedy}


def has_memory(*, at_least: int = 128) -> dict[str, Any]:
    return {"docker.inspect": {"container": CONTAINER}, "expect": f"result.memory_limit >= {at_least * MIB}"}


def test_a_person_has_the_old_limit_of_memory_put_back(cramped: str, tmp_path: Path, slack: SlackStandIn) -> None:
    """The whole way: it heals, is looked at, is put back, and that is told; a second time there is nothing to do."""
    with playing(tmp_path, slack, more_memory(), has_memory(), docker={"engines": {"local": cramped}}) as scene:
        scene.send()
        scene.run_until("healed")
        raised, looked, unchanged = limits(cramped), scene.undo("--show"), limits(cramped)
        asked = scene.undo("--reason", "the leak is mended")
        run = scene.until_stands("was put back")
        again = scene.undo()
        shown = scene.shown()

        assert [(128, 128), (128, 128), (64, 64)] == [raised, unchanged, limits(cramped)]
        assert (0, 0, 1) == (looked[0], asked[0], again[0])
        assert "can be put back" in looked[1]
        assert "everything that this run has changed is put back already" in again[2]
        assert "healed" == run["outcome"]
        assert "putting back “" in shown
        assert "the leak is mended" in json.dumps(run["signals"])
        scene.until_told("What was changed is put back", "the leak is mended")


def test_what_has_not_helped_is_put_back_by_itself(cramped: str, tmp_path: Path, slack: SlackStandIn) -> None:
    """The next remedy, or the person who is told, finds it as it was."""
    check = has_memory(at_least=256)
    with playing(tmp_path, slack, more_memory(), check, docker={"engines": {"local": cramped}}) as scene:
        scene.send()
        run = scene.run_until("not healed")

        assert (["was put back"], (64, 64)) == ([change["stands"] for change in run["changes"]], limits(cramped))


def test_a_change_for_a_while_ends_with_its_alert(cramped: str, tmp_path: Path, slack: SlackStandIn) -> None:
    """It was for as long as it is needed."""
    remedy = more_memory(**{"for": "1h"})
    with playing(tmp_path, slack, remedy, has_memory(), docker={"engines": {"local": cramped}}) as scene:
        scene.send()
        (change,) = scene.run_until("healed")["changes"]
        raised = limits(cramped)
        scene.send("--resolved")
        scene.until_stands("was put back")

        assert datetime.now(UTC) + timedelta(minutes=50) < datetime.fromisoformat(change["until"])
        assert [(128, 128), (64, 64)] == [raised, limits(cramped)]


def test_a_change_for_a_while_ends_in_time_though_the_service_was_killed(
    cramped: str, tmp_path: Path, slack: SlackStandIn
) -> None:
    """The time is over while nobody is there: it is put back at the next start."""
    remedy = more_memory(**{"for": "5s"})
    with playing(tmp_path, slack, remedy, has_memory(), docker={"engines": {"local": cramped}}) as scene:
        scene.send()
        (change,) = scene.run_until("healed")["changes"]
        scene.served.kill()
        until = datetime.fromisoformat(change["until"]).timestamp()
        services.wait_until(lambda: time.time() > until, "the time to be over")
        meanwhile = limits(cramped)
        scene.served.start()
        scene.until_stands("was put back")

        assert [(128, 128), (64, 64)] == [meanwhile, limits(cramped)]


def ask_alertmanager(url: str, path: str, body: Any = None) -> Any:
    data, headers = (None, {}) if body is None else (json.dumps(body).encode(), {"Content-Type": "application/json"})
    request = urllib.request.Request(f"{url}/api/v2/{path}", data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def test_an_undo_ends_the_silence(tmp_path: Path, slack: SlackStandIn) -> None:
    """In the real Alertmanager, which told of the alert as well."""
    services.requires("prometheus-alertmanager")
    port = services.free_port()
    webhook = f"http://127.0.0.1:{port}/api/v1/alerts"
    silence = {"alertmanager.silence": {"labels": {"alertname": "Noise"}, "duration": "30m"}}
    check = {"command.run": {"command": "look"}, "expect": "result.exit_code == 0"}
    with (
        services.alertmanager(webhook=webhook, route={"group_by": ["..."]}) as alertmanager,
        playing(
            tmp_path,
            slack,
            {"name": "hush", "do": [silence]},
            check,
            port=port,
            commands={"look": {"argv": ["true"], "effect": "read"}},
            alertmanager={"url": alertmanager.address},
        ) as scene,
    ):

        def states() -> list[str]:
            return [one["status"]["state"] for one in ask_alertmanager(alertmanager.address, "silences")]

        alert = {"labels": {"alertname": "Slow", "service": "web"}}
        ask_alertmanager(alertmanager.address, "alerts", [alert])
        scene.run_until("healed")
        silenced = states()
        code, _, _ = scene.undo()
        scene.until_stands("was put back")

        assert (["active"], 0, ["expired"]) == (silenced, code, states())


def test_what_somebody_has_changed_meanwhile_is_not_overwritten(tmp_path: Path, slack: SlackStandIn) -> None:
    """The command line and the thread say what was found; set back to what it was set to, it is put back after all."""
    services.requires("redis-server")
    step = {"redis.config_set": {"parameter": "maxclients", "value": 200}}
    check = {"redis.ping": {}, "expect": "result.answers"}
    with services.redis_server(arguments=["--maxclients", "100"]) as server:

        def maxclients() -> str:
            return services.ask_redis(server.address, "CONFIG", "GET", "maxclients")

        redis = {"default": {"url": f"redis://{server.address}", "config": ["maxclients"]}}
        with playing(tmp_path, slack, {"name": "more clients", "do": [step]}, check, redis=redis) as scene:
            scene.send()
            scene.run_until("healed")
            raised = maxclients()
            services.ask_redis(server.address, "CONFIG", "SET", "maxclients", "150")
            refused = scene.undo()
            scene.until_stands("needs a person")
            left, shown = maxclients(), scene.shown()
            scene.until_told("Not put back: please look", "somebody has changed", "150")
            services.ask_redis(server.address, "CONFIG", "SET", "maxclients", "200")
            again = scene.undo()
            scene.until_stands("was put back")

            assert ["200", "150", "100"] == [raised, left, maxclients()]
            assert (1, 0) == (refused[0], again[0])
            assert all("somebody has changed" in said and "150" in said for said in (refused[1], shown))
            assert "150" in shown[shown.index("Changed, the last first:") :]
