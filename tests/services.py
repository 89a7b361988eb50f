"""Private copies of real services for tests: each on a free port or socket, its data in a temporary folder.

Each is a context manager that ends, by its own process id, what it has started. Used by fixtures; nothing here
touches a service that runs on the machine already.
"""

import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_START_LIMIT = 150.0  # longer than two rounds of what the service does once a minute
_STOP_LIMIT = 30.0


def requires(*binaries: str) -> None:
    """Skip the test where a program is missing; where CI=true nothing may be missing, so there it fails."""
    missing = [name for name in binaries if shutil.which(name, path=_path()) is None]
    if not missing:
        return
    reason = f"needs {', '.join(missing)}, which this machine has not"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; in CI every service has to be there", pytrace=False)
    pytest.skip(reason)


_FIRST_PORT, _PORTS, _MOST_WORKERS = 12_000, 2_000, 10
_PORT = count(secrets.randbelow(_PORTS))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now.

    It is below those that the system gives to connections, and of this process alone: what is started there a moment
    later finds it free.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = _FIRST_PORT + worker % _MOST_WORKERS * _PORTS + next(_PORT) % _PORTS
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(is_so: Callable[[], bool], what: str, *, limit: float = _START_LIMIT) -> None:
    """Poll until `is_so()`; raises AssertionError, naming `what`, when `limit` seconds have passed."""
    end = time.monotonic() + limit
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit:g} s in vain: {what}")
        time.sleep(0.05)


@dataclass(frozen=True)
class Service:
    """A running service: where it answers, and the process that it is."""

    address: str
    process: "subprocess.Popen[bytes]"
    ending: signal.Signals = field(default=signal.SIGTERM, kw_only=True)

    def freeze(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        if self.process.poll() is not None:
            return
        self.thaw()
        self.process.send_signal(self.ending)
        try:
            self.process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_STOP_LIMIT)


@contextmanager
def _running(
    argv: Sequence[str],
    *,
    address: str,
    answers: Callable[[], bool],
    log: Path,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator[Service]:
    """A process that is waited for until it answers, and ended at last."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": _path()},
            start_new_session=True,  # so that Ctrl-C ends the tests first, and they end it
        )
    service = Service(address, process, ending=ending)

    def is_up() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"{argv[0]} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        return answers()

    try:
        wait_until(is_up, f"{argv[0]} to answer at {address}")
        yield service
    finally:
        service.stop()


@contextmanager
def _folder(kind: str) -> Iterator[Path]:
    """A short path: a Unix socket's may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix=f"remediator-{kind}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def dockerd() -> Iterator[Service]:
    """A Docker engine without networks; its address is `unix://…`. Its containers are removed at the end."""
    with _folder("docker") as folder, _no_mounts_left(folder):
        path = folder / "docker.sock"
        argv = [
            "dockerd",
            *("--data-root", str(folder / "data")),
            *("--exec-root", str(folder / "exec")),
            *("--pidfile", str(folder / "pid")),
            *("--host", f"unix://{path}"),
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
        ]
        address = f"unix://{path}"
        with _running(argv, address=address, answers=lambda: _is_engine_up(path), log=folder / "log") as service:
            try:
                yield service
            finally:
                service.thaw()
                if service.process.poll() is None:
                    _remove_all_containers(address)


@contextmanager
def _no_mounts_left(folder: Path) -> Iterator[None]:
    """Unmount, at the end, what is mounted beneath a folder: an engine leaves the network of its host there."""
    try:
        yield
    finally:
        points = [line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for point in sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True):
            subprocess.run(["umount", point], check=True, env={"PATH": _path()})


def _is_engine_up(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as link:
        link.settimeout(5)
        link.connect(str(path))
        link.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
        return b"200 OK" in link.recv(100)
    return False


def _remove_all_containers(address: str) -> None:
    with docker_api(address) as api:
        for container in api.containers(all=True):
            api.remove_container(container["Id"], force=True)


@contextmanager
def docker_api(address: str) -> Iterator[Any]:
    """The SDK's low-level client of an engine: for what tests do to containers behind our back."""
    from docker import APIClient

    api = APIClient(address, version="auto", timeout=60)
    try:
        yield api
    finally:
        api.close()


def import_busybox_image(address: str, name: str) -> None:
    """Make an image of a single static busybox, as no registry can be reached."""
    busybox = shutil.which("busybox", path=_path())
    assert busybox is not None, "busybox is missing; install busybox-static"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(busybox, arcname="bin/busybox")
        for applet in (
            "sh",
            "sleep",
            "echo",
            "cat",
            "kill",
            "true",
            "false",
            "seq",
            "httpd",
            "dd",
            "head",
            "tail",
        ):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for folder in ("tmp", "dev", "proc", "sys", "etc"):
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(made)
    with docker_api(address) as api:
        api.import_image_from_data(packed.getvalue(), repository=name, tag="latest")


def run_container(
    address: str,
    name: str,
    command: str,
    *,
    image: str = "busybox",
    labels: Mapping[str, str] | None = None,
    healthcheck: Mapping[str, Any] | None = None,
    **host_config: Any,
) -> str:
    """Create and start a container that runs a shell command; returns its id."""
    with docker_api(address) as api:
        made = api.create_container(
            image,
            command=["/bin/sh", "-c", command],
            name=name,
            labels=dict(labels or {}),
            healthcheck=healthcheck,
            host_config=api.create_host_config(network_mode="none", **host_config),
        )
        api.start(made["Id"])
    return str(made["Id"])


def remove_containers(address: str) -> None:
    """Remove every container, also those that run."""
    from docker.errors import NotFound

    with docker_api(address) as api:
        for container in api.containers(all=True):
            with suppress(NotFound):  # it was to be removed when it ended
                api.remove_container(container["Id"], force=True)


@contextmanager
def prometheus(
    *,
    rules: Mapping[str, Any] | None = None,
    alertmanagers: Sequence[str] = (),
    scrape: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Service]:
    """A Prometheus that scrapes itself, and the `host:port` of `scrape`, every second; `address` is its URL.

    `labels` are given to what `scrape` names. `rules` is the content of a rule file; `alertmanagers` are the
    `host:port` of those to alert; `arguments` are added to its own.
    """
    with _folder("prometheus") as folder:
        port = free_port()
        (folder / "rules.json").write_text(json.dumps(rules or {"groups": []}))
        (folder / "config.json").write_text(
            json.dumps(  # every JSON is YAML
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(folder / "rules.json")],
                    "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
                    "scrape_configs": [
                        {"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
                        {
                            "job_name": "given",
                            "static_configs": [{"targets": list(scrape), "labels": dict(labels or {})}],
                        },
                    ],
                }
            )
        )
        argv = [
            "prometheus",
            f"--config.file={folder / 'config.json'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle",
            *arguments,
        ]
        url = f"http://127.0.0.1:{port}"
        with _running(argv, address=url, answers=lambda: _is_ready(url), log=folder / "log") as service:
            yield service


@contextmanager
def alertmanager(
    *,
    webhook: str = "",
    route: Mapping[str, Any] | None = None,
    receiver: str = "remediator",
    max_alerts: int = 0,
    inhibit: Sequence[Mapping[str, Any]] = (),
    time_intervals: Sequence[Mapping[str, Any]] = (),
    cluster: Sequence[str] = ("--cluster.listen-address=",),
) -> Iterator[Service]:
    """An Alertmanager whose one receiver posts to `webhook`; `address` is its URL.

    `route` changes the root route, which groups nothing and waits for nothing; `inhibit` are its inhibitions, and
    `time_intervals` those that routes may name. `cluster` are its arguments about that: by default it is alone.
    """
    with _folder("alertmanager") as folder:
        port = free_port()
        hooks = [{"url": webhook, "send_resolved": True, "max_alerts": max_alerts}] if webhook else []
        root = {"receiver": receiver, "group_wait": "0s", "group_interval": "1s", **(route or {})}
        receivers = [{"name": receiver, "webhook_configs": hooks}]
        config = {
            "route": root,
            "receivers": receivers,
            "inhibit_rules": list(inhibit),
            "time_intervals": list(time_intervals),
        }
        (folder / "config.json").write_text(json.dumps(config))
        argv = [
            "prometheus-alertmanager",
            f"--config.file={folder / 'config.json'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            *cluster,
        ]
        url = f"http://127.0.0.1:{port}"
        with _running(argv, address=url, answers=lambda: _is_ready(url), log=folder / "log") as service:
            yield service


def ask_redis(address: str, *words: str) -> str:
    """Give a command as a person would by telnet; the last line of its answer."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as link, link.makefile("rb") as answers:
        link.sendall((" ".join(words) + "\r\nPING\r\n").encode())
        lines = [answers.readline().decode().strip()]
        while lines[-1] != "+PONG":
            lines.append(answers.readline().decode().strip())
    return lines[-2]


@contextmanager
def redis_server(*, password: str = "", arguments: Sequence[str] = (), port: int | None = None) -> Iterator[Service]:
    """A Redis server that keeps nothing on disk; `address` is its `host:port`. `arguments` are added to its own."""
    with _folder("redis") as folder:
        port = port or free_port()
        argv = [
            "redis-server",
            *("--port", str(port), "--bind", "127.0.0.1"),
            *("--dir", str(folder), "--save", ""),
            *(("--requirepass", password) if password else ()),
            *arguments,
        ]
        with _running(argv, address=f"127.0.0.1:{port}", answers=lambda: is_taken(port), log=folder / "log") as service:
            yield service


def is_taken(port: int) -> bool:
    """Whether somebody takes connections at a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@dataclass(frozen=True)
class Postgres(Service):
    """A running PostgreSQL: its port, and the folder of its data."""

    port: int
    folder: Path

    def sql(self, *statements: str) -> str:
        """What psql prints for statements, as the superuser, over the Unix socket."""
        argv = ["psql", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-X", "-q", "-At"]
        given = [part for statement in statements for part in ("-c", statement)]
        done = subprocess.run(
            [*as_postgres(), *argv, *given], check=True, capture_output=True, text=True, cwd="/", env=_clean()
        )
        return done.stdout.strip()

    def shut_down(self, how: str = "fast") -> None:
        """Let it shut down: `smart` waits for every client to leave, `fast` throws them out."""
        self.process.send_signal(signal.SIGTERM if how == "smart" else signal.SIGINT)


@contextmanager
def postgresql(*, password: str = "", arguments: Sequence[str] = (), rejecting: bool = False) -> Iterator[Postgres]:
    """A PostgreSQL on a port of 127.0.0.1; `address` is its `host:port`, the superuser `postgres`.

    With a password it asks for that on TCP; without one it trusts everybody. `arguments` are added to its own. One
    that is `rejecting` never gets done with starting up: it waits for a primary that is not there.
    """
    with data_folder("postgres") as folder:
        init_postgres(folder / "data", password=password)
        if rejecting:
            (folder / "data" / "standby.signal").touch()
        with _postgres_on(folder, free_port(), arguments, rejecting=rejecting) as server:
            yield server


@contextmanager
def postgresql_again(stopped: Postgres) -> Iterator[Postgres]:
    """The same PostgreSQL once more, on its data and its port, after it was stopped."""
    with _postgres_on(stopped.folder, stopped.port) as server:
        yield server


@contextmanager
def _postgres_on(
    folder: Path, port: int, arguments: Sequence[str] = (), *, rejecting: bool = False
) -> Iterator[Postgres]:
    argv = [
        *as_postgres(),
        postgres_program("postgres"),
        *("-D", str(folder / "data"), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"),
        *("-c", "fsync=off", "-c", "autovacuum=off", "-c", f"hot_standby={'off' if rejecting else 'on'}"),
        *arguments,
    ]

    def answers() -> bool:
        return pg_isready(port) == (1 if rejecting else 0)

    place, fast = f"127.0.0.1:{port}", signal.SIGINT
    with _running(argv, address=place, answers=answers, log=folder / "log", ending=fast) as service:
        yield Postgres(place, service.process, port, folder, ending=fast)


@contextmanager
def data_folder(kind: str) -> Iterator[Path]:
    """A folder that user postgres may write in."""
    with _folder(kind) as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        yield folder


def init_postgres(data: Path, *, password: str = "") -> None:
    """Make the data of a PostgreSQL in a new folder, which asks for that password on TCP, or trusts everybody."""
    secret = data.with_name("password")
    secret.write_text(password or "unused")
    secret.chmod(0o644)
    method = "scram-sha-256" if password else "trust"
    made = ["-D", str(data), "-U", "postgres", "-E", "UTF8", "--no-sync", f"--pwfile={secret}"]
    subprocess.run(
        [*as_postgres(), postgres_program("initdb"), *made, "--auth-local=trust", f"--auth-host={method}"],
        check=True,
        capture_output=True,
        cwd="/",
        env=_clean(),
    )


def pg_isready(port: int) -> int:
    """What PostgreSQL's own program says of a port: 0 accepting, 1 rejecting, 2 no response."""
    asked = [postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "2"]
    return subprocess.run(asked, check=False, env=_clean()).returncode


def as_postgres() -> list[str]:
    """What runs a program as user postgres: the server refuses to run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


def postgres_program(name: str) -> str:
    """Where one of PostgreSQL's programs is."""
    found = shutil.which(name, path=_path())
    assert found is not None, f"{name} is missing; install postgresql"
    return found


def _clean() -> dict[str, str]:
    """The environment without what would tell PostgreSQL's programs to go elsewhere."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith("PG")}, "PATH": _path()}


def _is_ready(url: str) -> bool:
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError, urllib.error.URLError), without_proxy.open(f"{url}/-/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def _path() -> str:
    """Where services are looked for: a user's PATH may lack the administrator's programs."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    more = [*map(str, newest_first), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *more])
