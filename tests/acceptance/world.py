"""OctoLLM in small, on real services: a service in a container, three databases behind it, and all that watches them.

PostgreSQL and Redis are the real programs, in containers that see this machine's folders of programs, read-only: the
only image that can be had here is a busybox. Qdrant is a web server at its port.
"""

import pwd
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests import services
from tests.served import ROOT, Served

SERVICE = "orchestrator"
DATABASES = ("postgres", "redis", "qdrant")
_PROGRAMS = {folder: {"bind": folder, "mode": "ro"} for folder in ("/usr", "/lib", "/lib64", "/etc")}
_WATCHING = """
mkdir -p /tmp/www; echo listening on {port}
while true; do
  well=yes
  for port in {behind}; do /bin/busybox nc -w 1 127.0.0.1 $port </dev/null >/dev/null 2>&1 || well=no; done
  if [ $well = yes ]; then echo fine >/tmp/www/health; echo 'up_and_running 1' >/tmp/www/metrics
  else /bin/busybox rm -f /tmp/www/health /tmp/www/metrics; fi
  sleep 0.3
done &
"""
SERVING = _WATCHING + "exec httpd -f -p 127.0.0.1:{port} -h /tmp/www"
"""A service whose health page is there as long as every database takes connections."""

LEAKING = (
    _WATCHING
    + """
httpd -f -p 127.0.0.1:{port} -h /tmp/www &
while [ ! -e /tmp/leak ]; do sleep 0.2; done
x=$(head -c 50000000 /dev/zero | /bin/busybox tr '\\000' x)
while true; do sleep 1; done
"""
)
"""The same, which takes some 150 MiB once there is a file /tmp/leak, and keeps them."""

MISCONFIGURED = """
echo "starting"; echo "invalid value for environment variable WORKER_LIMIT: 'hunter2-is-no-number'" >&2
echo "Missing required environment variable: DATABASE_URL" >&2; exit 1
"""


@dataclass
class World:
    """Everything that takes part, and what a test may do to it."""

    engine: str
    ports: Mapping[str, int]
    served: Served

    def inspect(self, container: str) -> dict[str, Any]:
        with services.docker_api(self.engine) as api:
            return dict(api.inspect_container(container))

    def kill(self, container: str) -> None:
        """The fault: its process is killed behind our back, and nothing starts it again."""
        with services.docker_api(self.engine) as api:
            api.kill(container, "SIGKILL")

    def run_in(self, container: str, *command: str) -> None:
        with services.docker_api(self.engine) as api:
            api.exec_start(api.exec_create(container, list(command))["Id"])

    def is_well(self) -> bool:
        """Whether the service's health page is there."""
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.ports[SERVICE]}/health", timeout=2) as page,
        ):
            return bool(page.status == 200)
        return False

    def outcome(self) -> str | None:
        """How the one run ended; None while there is none, or it has not."""
        runs = self.served.runs()
        assert len(runs) <= 1, [run["id"] for run in runs]
        return runs[0]["outcome"] if runs else None


@contextmanager
def octollm(
    engine: str, folder: Path, command: str, *, is_well_first: bool = True, **host_config: Any
) -> Iterator[World]:
    """The world up to the point where the service is well, or at least was started, and everybody watches it."""
    services.requires("prometheus", "prometheus-alertmanager", "redis-server", "postgres", "initdb")
    ports = {name: services.free_port() for name in (SERVICE, *DATABASES)}
    served = Served(folder)
    world = World(engine, ports, served)
    with ExitStack() as stack:
        stack.callback(_remove, engine)
        _run_databases(world, stack.enter_context(services.data_folder("octollm")))
        services.wait_until(lambda: all(services.is_taken(ports[name]) for name in DATABASES), "the databases")
        behind = " ".join(str(ports[name]) for name in DATABASES)
        text = command.replace("{port}", str(ports[SERVICE])).replace("{behind}", behind)
        _run(engine, SERVICE, ["/bin/sh", "-c", text], **host_config)
        if is_well_first:
            services.wait_until(world.is_well, "the service to be well")
        (folder / "rules").mkdir()
        (folder / "rules" / "octollm.yaml").write_text(_pack(ports))
        alertmanager = stack.enter_context(
            services.alertmanager(webhook=f"{served.url}/api/v1/alerts", route={"group_by": ["..."]})
        )
        (folder / "remediator.yaml").write_text(yaml.safe_dump(_settings(world, alertmanager.address)))
        stack.callback(served.end)
        served.start()
        stack.enter_context(
            services.prometheus(
                rules=_alert_rules(),
                alertmanagers=[alertmanager.address.removeprefix("http://")],
                scrape=[f"127.0.0.1:{ports[SERVICE]}"],
                labels={"service": SERVICE, "namespace": "octollm"},
            )
        )
        yield world
        served.stop()


def _run(engine: str, name: str, command: list[str], *, user: str = "", **host_config: Any) -> None:
    with services.docker_api(engine) as api:
        made = api.create_container(
            "busybox",
            command=command,
            name=name,
            user=user or None,
            host_config=api.create_host_config(network_mode="host", **host_config),
        )
        api.start(made["Id"])


def _run_databases(world: World, folder: Path) -> None:
    postgres, data = services.postgres_program("postgres"), folder / "data"
    services.init_postgres(data)
    owner = pwd.getpwnam("postgres")
    _run(
        world.engine,
        "postgres",
        [postgres, "-D", "/data", "-p", str(world.ports["postgres"]), "-k", "", "-c", "fsync=off"],
        user=f"{owner.pw_uid}:{owner.pw_gid}",
        binds={**_PROGRAMS, str(data): {"bind": "/data", "mode": "rw"}},
    )
    redis = ["/usr/bin/redis-server", "--port", str(world.ports["redis"]), "--bind", "127.0.0.1", "--save", ""]
    _run(world.engine, "redis", redis, binds=_PROGRAMS)
    _run(world.engine, "qdrant", ["/bin/busybox", "httpd", "-f", "-p", f"127.0.0.1:{world.ports['qdrant']}"])


def _remove(engine: str) -> None:
    with services.docker_api(engine) as api:
        for name in (SERVICE, *DATABASES):
            with suppress(Exception):
                api.remove_container(name, force=True)


def _pack(ports: Mapping[str, int]) -> str:
    """The shipped pack with this world's addresses and shorter times; what it does and when is as it is shipped."""
    pack: dict[str, Any] = yaml.safe_load((ROOT / "rules" / "octollm.yaml").read_text())
    pack["vars"]["services"][SERVICE]["health"] = f"http://127.0.0.1:{ports[SERVICE]}/health"
    for name in DATABASES:
        pack["vars"][name]["port"] = ports[name]
    (rule,) = [rule for rule in pack["rules"] if rule["name"] == "service-down"]
    rule["mode"] = "auto"
    rule["verify"] |= {"settle": "500ms", "sustain": "2s", "within": "60s", "every": "500ms"}
    return yaml.safe_dump(pack, sort_keys=False)


def _settings(world: World, alertmanager: str) -> dict[str, Any]:
    return {
        "listen": f"127.0.0.1:{world.served.port}",
        "rules": [str(world.served.folder / "rules")],
        "mode_ceiling": "auto",
        "limits": {"cooldown_after_deploy": "0s"},  # all containers here are minutes old
        "store": {"directory": str(world.served.folder / "store")},
        "docker": {"engines": {"local": world.engine}},
        "http": {"allow": ["127.0.0.0/8"]},
        "tcp": {"allow": ["127.0.0.0/8"]},
        "redis": {"default": {"url": f"redis://127.0.0.1:{world.ports['redis']}"}},
        "postgres": {"default": {"port": world.ports["postgres"]}},
        "alertmanager": {"url": alertmanager},
        "log": {"style": "json"},
    }


def _alert_rules() -> dict[str, Any]:
    """The shipped alert rules, fired after a second instead of thirty."""
    rules: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "octollm.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "1s"
    return rules
