"""Everything that takes part in a crash test: the target, the chat, the launcher, and so many services on one store."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml

from tests import services
from tests.crash.audited import KEY_FILE
from tests.crash.journal import note
from tests.served import ROOT, WIDE, environment

LIMIT = 60.0  # seconds in which anything that is waited for happens, on a busy machine

RULES = """
pack: crash
rules:
  - name: post
    summary: "{{ labels.n }}: one effect"
    match: ['kind="post"']
    mode: auto
    diagnose: {before: {http.get: {url: LOOK}}}
    remediate:
      - name: act
        do: [{http.post: {url: ACT, json: {alert: "{{ alert.fingerprint | urlencode }}", rule: post, step: 1}}}]
    verify: &proof
      settle: 0s
      sustain: 50ms
      within: 2s
      every: 100ms
      checks: [{http.get: {url: LOOK}, expect: result.status == 200}]
  - name: two
    summary: "{{ labels.n }}: two effects"
    match: ['kind="two"']
    mode: auto
    remediate:
      - name: act
        do:
          - http.post: {url: ACT, json: {alert: "{{ alert.fingerprint | urlencode }}", rule: two, step: 1}}
          - http.post: {url: ACT, json: {alert: "{{ alert.fingerprint | urlencode }}", rule: two, step: 2}}
    verify: *proof
  - name: gated
    summary: "{{ labels.n }}: one effect, once two people have approved"
    match: ['kind="gated"']
    mode: gated
    diagnose: {before: {http.get: {url: LOOK}}}
    remediate:
      - name: act
        gate: {approvers: [crew], quorum: 2}
        do: [{http.post: {url: ACT, json: {alert: "{{ alert.fingerprint | urlencode }}", rule: gated, step: 1}}}]
    verify: *proof
  - name: asked
    summary: "{{ labels.n }}: one effect, once whoever has the admin token has approved"
    match: ['kind="asked"']
    mode: gated
    remediate:
      - name: act
        do: [{http.post: {url: ACT, json: {alert: "{{ alert.fingerprint | urlencode }}", rule: asked, step: 1}}}]
    verify: *proof
  - name: put
    summary: "{{ labels.n }}: an effect that may be repeated"
    match: ['kind="put"']
    mode: auto
    remediate:
      - name: act
        do: [{command.run: {command: put, parameters: {alert: "{{ alert.fingerprint | urlencode }}"}}}]
    verify: *proof
"""
KINDS = ("post", "two", "gated", "asked", "put")
SUBJECTS = {"ann": "ann", "ben": "ben@laptop"}
"""The people of the group `crew`, and whose their API tokens are."""


@dataclass
class Proxy:
    """Stands between a service and its database, and can cut it off."""

    there: tuple[str, int]
    port: int = field(default_factory=services.free_port)
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _refuses: bool = False
    _links: set["asyncio.Task[None]"] = field(default_factory=set)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        self._flows.set()
        server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()
            await self._break()

    def hang(self) -> None:
        """Keep connections and pass nothing on, as a network does that swallows packets."""
        self._flows.clear()

    async def cut(self) -> None:
        """Break every connection and take no new one."""
        self._refuses = True
        await self._break()

    def mend(self) -> None:
        self._refuses = False
        self._flows.set()

    async def _break(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            if not self._refuses:
                there, back = await asyncio.open_connection(*self.there)
                try:
                    await self._both(reader, back, there, writer)
                finally:
                    back.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # the end of this link is all that there is to it
        finally:
            self._links.discard(task)
            writer.transport.abort()

    async def _both(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        ways = [
            asyncio.create_task(self._flow(reader, back), name="to the database"),
            asyncio.create_task(self._flow(there, writer), name="from the database"),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _flow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flows.wait()
            writer.write(data)


@dataclass(eq=False)
class Service:
    """One replica: a process that comes and goes, with a port and a folder that stay."""

    name: str
    folder: Path
    proxy: Proxy | None = None
    port: int = field(default_factory=services.free_port)
    pid: int = 0
    status: int | None = None
    is_frozen: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Path:
        return self.folder / f"{self.name}.yaml"

    @property
    def lives(self) -> bool:
        return self.pid != 0 and not self.ended.is_set()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.folder / self.name / 'admin-token').read_text().strip()}"}


def _send(service: Service, what: signal.Signals) -> None:
    """Whether it has died by itself meanwhile is known only a moment later."""
    with suppress(ProcessLookupError):
        os.kill(service.pid, what)


@dataclass
class Rig:
    """What a driver has in hand. Whatever is done to a service is written down."""

    folder: Path
    database: str
    services: list[Service]
    ports: list[int]  # of the target
    http: aiohttp.ClientSession
    launcher: asyncio.subprocess.Process
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    # -- starting and ending --

    async def start(self, service: Service, arm: Mapping[str, tuple[str, int]] | None = None) -> None:
        """Begin to start it, with failpoints; returns when the process is there."""
        assert not service.lives
        service.ended, service.pid, service.status, service.is_frozen = asyncio.Event(), 0, None, False
        log = self.folder / f"{service.name}.log"
        order = {"name": service.name, "settings": str(service.settings), "log": str(log), "arm": dict(arm or {})}
        assert self.launcher.stdin is not None
        self.launcher.stdin.write(json.dumps(order).encode() + b"\n")
        await self.until(lambda: service.pid != 0, f"{service.name} to be forked")

    async def until_ready(self, service: Service) -> bool:
        """Wait until it is ready; False where it has died or was frozen first."""
        async with asyncio.timeout(LIMIT):
            while service.lives and not service.is_frozen:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with self.http.get(f"{service.url}/readyz", timeout=aiohttp.ClientTimeout(2)) as answer:
                        if answer.status == 200:
                            return True
                await asyncio.sleep(0.02)
        if not service.lives and service.status != -signal.SIGKILL:
            raise AssertionError(f"{service.name} ended with {service.status}:\n{self.log(service)[-3000:]}")
        return False

    async def kill(self, service: Service) -> None:
        if service.lives:
            _send(service, signal.SIGKILL)
        await asyncio.wait_for(service.ended.wait(), LIMIT)

    async def stop(self, service: Service) -> None:
        """End it as an operator would."""
        if service.lives:
            _send(service, signal.SIGTERM)
            await asyncio.wait_for(service.ended.wait(), LIMIT)
            assert service.status == 0, f"{service.name} ended with {service.status}:\n{self.log(service)[-3000:]}"

    def freeze(self, service: Service) -> None:
        _send(service, signal.SIGSTOP)

    def thaw(self, service: Service) -> None:
        _send(service, signal.SIGCONT)

    async def cut_off(self, service: Service, *, hangs: bool) -> None:
        """Let its database be gone, or give no answer."""
        assert service.proxy is not None
        note(self.folder / "troubles.jsonl", service=service.name, how="cut")
        if hangs:
            service.proxy.hang()
        else:
            await service.proxy.cut()

    def mend(self, service: Service) -> None:
        """Let it reach its database again."""
        assert service.proxy is not None
        service.proxy.mend()
        note(self.folder / "troubles.jsonl", service=service.name, how="mended")

    def log(self, service: Service) -> str:
        return (self.folder / f"{service.name}.log").read_text(errors="replace")

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until what the launcher says makes it so. Raises TimeoutError."""
        try:
            async with asyncio.timeout(LIMIT):
                while not is_so():
                    changed = self._changed
                    await changed.wait()
        except TimeoutError:
            raise TimeoutError(f"waited {LIMIT:g} s in vain: {what}") from None

    async def listen(self) -> None:
        """Hear what the launcher says, until it ends."""
        assert self.launcher.stdout is not None
        by_name = {service.name: service for service in self.services}
        while line := await self.launcher.stdout.readline():
            said = json.loads(line)
            if "name" in said:
                self._hear(by_name[said["name"]], said)
            self._changed.set()
            self._changed = asyncio.Event()  # whoever waits for more waits for the next

    def _hear(self, service: Service, said: dict[str, Any]) -> None:
        if "died" in said:
            service.status = said["died"]
            if said["died"] == -signal.SIGKILL:
                note(self.folder / "troubles.jsonl", service=service.name, how="killed", since=said["at"])
            service.ended.set()
        elif "stopped" in said or "went_on" in said:
            service.is_frozen = "stopped" in said
            how = "frozen" if service.is_frozen else "thawed"
            note(self.folder / "troubles.jsonl", service=service.name, how=how, since=said["at"])
        else:
            service.pid = said["pid"]


@asynccontextmanager
async def rig(
    folder: Path, *, seed: int, database: str = "", replicas: int = 1, finds: bool = True
) -> AsyncIterator[Rig]:
    """All of it, with no service started yet. `database` is PostgreSQL's URL; without one, SQLite is used.

    Where the service `finds` messages in chat, it knows the channel's id, else its name only.
    """
    async with AsyncExitStack() as stack:
        _, said = await _program(stack, folder, "tests.crash.target", str(folder), str(seed))
        ports = json.loads(said)
        _, said = await _program(stack, folder, "tests.crash.chat", str(folder))
        slack = {**json.loads(said), **({} if finds else {"channel": "#alerts"})}
        launcher, _ = await _program(stack, folder, "tests.crash.launcher")
        made = [Service(f"service-{n}", folder) for n in range(1, replicas + 1)]
        for service in made:
            url = database
            if database:
                place = urlsplit(database)
                service.proxy = Proxy((place.hostname or "", place.port or 0))
                await stack.enter_async_context(service.proxy.serve())
                url = database.replace(f":{place.port}/", f":{service.proxy.port}/")
            _configure(service, slack, url)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        whole = Rig(folder, database, made, ports, http, launcher)
        listening = asyncio.create_task(whole.listen(), name="listen to the launcher")
        try:
            yield whole
        finally:
            assert launcher.stdin is not None
            launcher.stdin.close()
            await asyncio.wait_for(launcher.wait(), LIMIT)
            await listening


async def _program(
    stack: AsyncExitStack, folder: Path, module: str, *arguments: str
) -> tuple[asyncio.subprocess.Process, str]:
    """A process of ours, ended at last, and the first line that it says."""
    with (folder / f"{module}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module, *arguments),
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )

    async def end() -> None:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), LIMIT)

    stack.push_async_callback(end)
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readline(), LIMIT)
    assert said, f"{module} did not start; see {folder / module}.log"
    return process, said.decode()


def _configure(service: Service, slack: Mapping[str, str], database: str) -> None:
    here = "http://127.0.0.1:{{ labels.port | urlencode }}"
    rules = RULES.replace("LOOK", f'"{here}/effects/{{{{ alert.fingerprint | urlencode }}}}"').replace(
        "ACT", f'"{here}/effects"'
    )
    path = service.folder / "rules.yaml"
    path.write_text(rules)
    key = service.folder / KEY_FILE
    key.write_text("every service seals the journal with this")
    put = [sys.executable, "-I", "-S", str(ROOT / "tests/crash/put.py"), str(service.folder / "puts.jsonl"), "{alert}"]
    settings = {
        "listen": f"127.0.0.1:{service.port}",
        "rules": [str(path)],
        "rules_watch": False,
        "mode_ceiling": "auto",
        "people": {name: {"token": subject} for name, subject in SUBJECTS.items()},
        "approval": {"groups": {"crew": list(SUBJECTS)}},
        "audit": {"key_file": str(key)},
        "limits": WIDE,  # what a crash must not repeat is what is looked for
        "store": {
            "directory": str(service.folder / service.name),
            **({"url": database, "timeout": "2s"} if database else {}),
        },
        "slack": {
            "token": slack["token"],
            "channel": slack["channel"],
            "base_url": slack["base_url"],
            "post_interval": "0s",
        },
        "http": {"allow": ["127.0.0.0/8"], "timeout": "2s"},
        "pipeline": {"stop_grace": "10s"},
        "api": {"rate": "999999/1m"},  # a driver asks faster than a person
        "commands": {
            "put": {
                "argv": put,
                "parameters": {"alert": {}},
                "effect": "change",
                "idempotent": True,
                "target": "{alert}",
                "timeout": "5s",
            }
        },
    }
    service.settings.write_text(yaml.safe_dump(settings))
