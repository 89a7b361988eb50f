"""Processes under measurement: starting them, ending them, and reading from /proc what they have used.

Every benchmark takes a `World`: the working folder, which stores to measure, and how long. Processes are ended by their
own ids when the world is left.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from tests import services
from tests.served import WIDE

ROOT = Path(__file__).parents[1]

_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1024 * 1024
_ENTRY_POINT = "[remediator.actions]\nbench = bench.noop\n"
_SLACK_CHANNEL = "C0BENCH01"


@dataclass
class Process:
    """A server that was started, and its files."""

    name: str
    port: int
    folder: Path
    popen: "subprocess.Popen[bytes]"
    starting: float = 0.0
    """Seconds from its start until it was ready."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """What the API asks for."""
        return (self.folder / "store" / "admin-token").read_text().strip()

    def cpu(self) -> float:
        """Seconds of processor time that it has used so far."""
        return cpu_of(self.popen.pid)

    def memory(self) -> float:
        """What of it is in memory, in MiB."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """The most that was ever in memory, in MiB."""
        return self._status("VmHWM")

    def _status(self, wanted: str) -> float:
        lines = Path(f"/proc/{self.popen.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{wanted}:"))

    def get(self, path: str, *, token: str = "") -> bytes:
        """The body at a path."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self.url + path, headers=headers), timeout=60) as answer:
            body: bytes = answer.read()
            return body

    def series(self) -> dict[str, float]:
        """Every series of /metrics."""
        pairs = (line.rpartition(" ") for line in self.get("/metrics").decode().splitlines() if line[:1] != "#")
        return {name: float(value) for name, _, value in pairs}

    def ended(self) -> int:
        """How many runs have ended since it started."""
        return int(
            sum(value for name, value in self.series().items() if name.startswith("remediator_runs_ended_total"))
        )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait for it."""
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        try:
            self.popen.wait(60)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(30)


@dataclass(frozen=True)
class Database:
    """A PostgreSQL with everything that makes it durable, and the process times of all its parts."""

    port: int
    pid: int
    socket: Path

    def url(self, name: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def create(self, name: str, *, template: str = "template1") -> str:
        """Make a database, unless it is there; its address."""
        if not self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """What psql prints for statements."""
        argv = [
            "psql",
            "-h",
            str(self.socket),
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-d",
            database,
            "-X",
            "-q",
            "-At",
        ]
        given = [part for statement in statements for part in ("-c", statement)]
        done = subprocess.run(
            [*services.as_postgres(), *argv, "-v", "ON_ERROR_STOP=1", *given],
            check=False, capture_output=True, text=True, cwd="/",
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"PostgreSQL refused {statements}:\n{done.stderr}")
        return done.stdout.strip()

    def cpu(self) -> float:
        """Seconds of processor time of the server and all its processes so far."""
        return cpu_of(self.pid, with_ended_children=True) + sum(cpu_of(child) for child in children_of(self.pid))


def cpu_of(pid: int, *, with_ended_children: bool = False) -> float:
    """Seconds of processor time of one process; 0 where it is gone."""
    try:
        parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in parts[11 : 15 if with_ended_children else 13]) / _TICKS


def children_of(pid: int) -> list[int]:
    """The processes that one has started, and that still run."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@dataclass
class World:
    """Where and how it is measured."""

    folder: Path
    quick: bool = False
    stores: Sequence[str] = ("sqlite", "postgresql")
    pinned: bool = True
    most_rounds: int = 5
    _stack: ExitStack = field(default_factory=ExitStack)
    _database: Database | None = None
    _standin: Process | None = None
    _count: int = 0

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # user postgres passes through it
        self._keep_others_out()
        self._install_actions()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pick(self, full: int, quick: int) -> int:
        """How much is done: for figures, or only to see that it works."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        """How often each is measured, in turns."""
        return self.pick(self.most_rounds, 1)

    # Of two cores the load gets one, with the database; the service gets the other. More are left to the system.

    @property
    def load_core(self) -> int | None:
        return 1 if self.pinned else None

    @property
    def service_core(self) -> int | None:
        return 0 if self.pinned else None

    def _keep_others_out(self) -> None:
        lock = self._stack.enter_context((self.folder / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"another benchmark works in {self.folder}; give this one another --folder") from None

    def _install_actions(self) -> None:
        info = self.folder / "plugin" / "remediator_bench-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: remediator-bench\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(_ENTRY_POINT)

    def environment(self, **more: str) -> dict[str, str]:
        """The machine's, with the actions of `noop.py`, and without settings of ours."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("REMEDIATOR_")}
        return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{self.folder / 'plugin'}", **more}

    def new_folder(self, name: str) -> Path:
        """A folder that is empty, and is removed at the end."""
        self._count += 1
        folder = self.folder / f"{name}-{os.getpid()}-{self._count}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def prefix(self) -> str:
        """A name for alerts that no other has; stores are used again."""
        self._count += 1
        return f"{int(time.time()):x}{self._count}"

    @property
    def database(self) -> Database:
        """The PostgreSQL, which is started when it is needed first; what was seeded in it is there again."""
        if self._database is None:
            self._database = self._stack.enter_context(_postgresql(self.folder / "postgresql"))
        return self._database

    @property
    def standin(self) -> Process:
        """The web service and the Slack that services talk to."""
        if self._standin is None:
            port = services.free_port()
            argv = [sys.executable, "-m", "bench.standin", str(port)]
            self._standin = self.start(
                "standin", argv, port, self.new_folder("standin"), core=self.load_core, ready=None
            )
        return self._standin

    def start(
        self,
        name: str,
        argv: Sequence[str],
        port: int,
        folder: Path,
        *,
        core: int | None,
        ready: str | None = "/readyz",
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a server and wait until it is ready; it is ended with the world at the latest."""
        began = time.monotonic()
        with (folder / "out").open("ab") as out, (folder / "log").open("ab") as log:
            popen = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment or self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        process = Process(name, port, folder, popen)
        self._stack.callback(process.stop, signal.SIGKILL)
        if core is not None:
            os.sched_setaffinity(popen.pid, {core})
        _wait(process, ready)
        process.starting = time.monotonic() - began
        return process

    def baseline(self, store: str) -> Process:
        """The least receiver, on a store of that kind."""
        folder, port = self.new_folder("baseline"), services.free_port()
        where = f"sqlite:{folder / 'rows.sqlite3'}"
        if store == "postgresql":
            where = f"postgresql:{self.database.create(f'baseline_{self.prefix()}')}"
        argv = [sys.executable, "-m", "bench.baseline", str(port), where]
        return self.start("baseline", argv, port, folder, core=self.service_core)

    def service(
        self,
        store: str,
        rules: Sequence[Mapping[str, Any]] = (),
        *,
        folder: Path | None = None,
        database: str = "",
        launcher: Sequence[str] = ("-m", "remediator"),
        core: int | None = -1,
        stamps: Path | None = None,
        **settings: Any,
    ) -> Process:
        """`remediator serve` with these rules; on a new store, unless a folder or the name of a database is given."""
        folder, port = folder or self.new_folder("service"), services.free_port()
        (folder / "rules.yaml").write_text(yaml.safe_dump({"pack": "bench", "rules": list(rules)}))
        keeping: dict[str, Any] = {"directory": str(folder / "store"), "keep_runs_at_most": 100_000_000}
        if store == "postgresql":
            keeping["url"] = self.database.create(database or f"store_{self.prefix()}")
        given = {
            "listen": f"127.0.0.1:{port}",
            "rules": [str(folder / "rules.yaml")],
            "rules_watch": False,
            "mode_ceiling": "auto",
            "limits": WIDE,  # the guards are asked, and let everything through
            "store": keeping,
            "slack": {"token": "xoxb-bench", "channel": _SLACK_CHANNEL, "base_url": f"{self.standin.url}/slack/"},
            "http": {"allow": ["127.0.0.0/8"]},
            "systems": {"calls_at_once": 100},
            "pressure": {"most_waiting": 10_000_000},
            "api": {"rate": "999999/1m"},  # thousands of plans are approved with one token
            **settings,
        }
        (folder / "remediator.yaml").write_text(yaml.safe_dump(given))
        argv = [sys.executable, *launcher, "-c", str(folder / "remediator.yaml"), "serve"]
        environment = self.environment(BENCH_STAMPS=str(stamps or ""))
        pinned = self.service_core if core == -1 else core
        return self.start(f"service on {store}", argv, port, folder, core=pinned, environment=environment)

    def store_cpu(self, store: str) -> float:
        """Processor time of the store's own processes, where it has any."""
        return self.database.cpu() if store == "postgresql" else 0.0


def _wait(process: Process, ready: str | None) -> None:
    def answers() -> bool:
        if process.popen.poll() is not None:
            log = (process.folder / "log").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{process.name} ended with {process.popen.returncode}:\n{log}")
        if ready is None:
            return services.is_taken(process.port)
        with suppress(OSError):
            process.get(ready)
            return True
        return False

    services.wait_until(answers, f"{process.name} to be ready", limit=300)


@contextmanager
def _postgresql(folder: Path) -> Iterator[Database]:
    """One that keeps its data in that folder, from run to run; with its own defaults, durable."""
    port = services.free_port()
    data, socket = folder / "data", folder
    if not (data / "PG_VERSION").exists():
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        services.init_postgres(data)
    (data / "postmaster.pid").unlink(missing_ok=True)
    argv = [*services.as_postgres(), services.postgres_program("postgres"), "-D", str(data), "-p", str(port)]
    more = ["-k", str(socket), "-c", "listen_addresses=127.0.0.1", "-c", "max_wal_size=4GB"]
    with (folder / "log").open("ab") as log:
        popen = subprocess.Popen([*argv, *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
    try:
        services.wait_until(lambda: services.pg_isready(port) == 0, "PostgreSQL to be ready")
        database = Database(port, popen.pid, socket)
        for name in database.sql("SELECT datname FROM pg_database WHERE datname ~ '^(store|baseline)_'").split():
            database.sql(f'DROP DATABASE "{name}"')
        yield database
    finally:
        popen.send_signal(signal.SIGINT)
        popen.wait(120)
