"""One Docker engine, asked through the blocking `docker` SDK in a few threads that are its own.

Made by `Clients` and used by the docker actions. It never blocks the event loop, never shares its threads
with another engine (one that hangs starves nobody else), and never says of a change that it failed when it
may have happened.
"""

import asyncio
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from remediator.clients.docker_access import Answered, knock_as_nobody
from remediator.clients.docker_logs import lines_of
from remediator.clients.docker_usage import Usage, usage_of
from remediator.errors import BadSettings, Failed, OutcomeUnknown, RemediatorError, TargetGone, Unavailable
from remediator.kit.redaction import Redactor, shorten

if TYPE_CHECKING:
    from docker import APIClient

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}")  # the SDK would let a `/` through into the path
_SHORT_ID = 12  # what `docker ps` shows; the engine itself takes any prefix of an id, one letter too
_LOG_BYTES = 256 * 1024
_CHUNK = 64 * 1024
_THREADS = 8
_BRINK = 1.0  # seconds: a change gives up this much before its caller's time is over
_REDACTOR = Redactor()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Container:
    """A container as its engine describes it."""

    id: str
    name: str
    image: str
    status: str
    running: bool
    exit_code: int
    oom_killed: bool
    restart_count: int
    started_at: datetime | None
    finished_at: datetime | None
    health: str  # empty where the container has no health check
    memory_limit: int  # bytes; 0 is none
    memory_swap: int  # bytes, the memory included; 0 is not said, -1 is no limit
    error: str
    created_at: datetime | None
    image_id: str
    has_terminal: bool
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether it runs, and is healthy where it has a health check: one that is starting is not yet."""
        return self.status == "running" and self.health in ("", "healthy")


@dataclass(frozen=True, slots=True)
class Listed:
    """A container as a list of the engine's tells it."""

    id: str
    name: str
    is_well: bool
    """As of `Container`."""
    labels: Mapping[str, str]


class DockerEngine:
    """An engine by its name in the settings and its address; connected to at the first call."""

    def __init__(self, name: str, address: str, *, timeout: timedelta) -> None:
        self.name = name
        self._address = address
        self._timeout = max(math.ceil(timeout.total_seconds()), 1)  # the SDK counts in whole seconds
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"docker-{name}")
        self._connecting = threading.Lock()
        self._pinging = ThreadPoolExecutor(1, thread_name_prefix=f"docker-ping-{name}")
        self._api: APIClient | None = None

    async def ping(self, *, within: timedelta | None = None) -> None:
        """Ask whether the engine answers, on a thread that no action waits for. Raises Unavailable."""
        limit = self._timeout if within is None else max(math.ceil(within.total_seconds()), 1)
        asked = asyncio.get_running_loop().run_in_executor(self._pinging, self._ping, limit)
        try:
            async with asyncio.timeout(limit + _BRINK):
                await asked
        except TimeoutError:
            raise Unavailable(f"{self._on('ping')}: no answer in {limit} s; does the engine hang?") from None

    async def inspect(self, name_or_id: str) -> Container:
        """The container with this name or id (12 characters of it at least).

        Raises TargetGone where there is none, Unavailable where the engine does not answer.
        """
        what = f"inspect container {_checked(name_or_id)}"
        found = _container(await self._ask(what, lambda api: api.inspect_container(name_or_id)))
        is_short_id = len(name_or_id) >= _SHORT_ID and found.id.startswith(name_or_id)
        if name_or_id != found.name and not is_short_id:
            # The engine takes the beginning of an id for a name. Acting on such a find would hit a stranger.
            raise TargetGone(f"{self._on(what)}: no container has this name")
        return found

    async def labelled(self, labels: Mapping[str, str]) -> tuple[Listed, ...]:
        """All containers that have these labels, running or not, by their names. Raises Unavailable, Failed."""
        chosen = {"label": [f"{name}={value}" for name, value in labels.items()]}
        well = {**chosen, "status": ["running"], "health": ["none", "healthy"]}

        def work(api: "APIClient") -> tuple[Listed, ...]:
            everybody = api.containers(all=True, filters=chosen)
            who_is_well = {said["Id"] for said in api.containers(all=True, filters=well)}
            listed = (_listed(said, is_well=said["Id"] in who_is_well) for said in everybody)
            return tuple(sorted(listed, key=lambda one: one.name))

        return await self._ask("list the containers of a service", work)

    async def logs(self, container_id: str, *, tail: int, since: datetime | None = None) -> str:
        """The last `tail` lines that the container wrote, at most the last 256 KiB of them.

        Raises TargetGone, Unavailable.
        """
        start = None if since is None else since.timestamp()
        raw = await self._ask(
            f"read the logs of container {_checked(container_id)}",
            lambda api: api.logs(container_id, stream=False, tail=tail, since=start),
        )
        return raw[-_LOG_BYTES:].decode("utf-8", "replace").replace("\0", "\ufffd")

    async def read_logs(
        self,
        container: Container,
        feed: Callable[[list[bytes]], None],
        *,
        tail: int,
        since: datetime | None,
        within: timedelta,
    ) -> None:
        """Feed the last `tail` lines of a container, in batches, to what counts them; that is done in a thread.

        Raises TargetGone, Unavailable, also where it takes longer than `within`.
        """
        what, ends = f"read the logs of container {_checked(container.id)}", time.monotonic() + within.total_seconds()
        params = {"stdout": 1, "stderr": 1, "tail": tail, "since": 0.0 if since is None else since.timestamp()}

        def work(api: "APIClient") -> None:
            with _streamed(api, f"containers/{container.id}/logs", params, self._timeout) as chunks:
                for batch in lines_of(chunks, is_tty=container.has_terminal):
                    feed(batch)
                    if time.monotonic() > ends:
                        spent = f"{within.total_seconds():g} s were not enough"
                        raise Unavailable(f"{self._on(what)}: {spent}; read fewer lines (`tail`)")

        await self._ask(what, work)

    async def usage(self, container_id: str) -> Usage:
        """What a container uses: one sample, which takes the engine a second or two. Raises TargetGone, Unavailable."""
        what = f"measure container {_checked(container_id)}"
        return usage_of(await self._ask(what, lambda api: api.stats(container_id, stream=False)))

    async def set_memory(self, container_id: str, *, limit: int, swap: int | None, within: timedelta) -> None:
        """Set the limit of a container's memory, and where `swap` is given that of memory and swap together.

        Raises TargetGone, Unavailable, Failed, OutcomeUnknown.
        """
        await self._change(
            f"set the memory of container {_checked(container_id)}",
            lambda api: api.update_container(container_id, mem_limit=limit, memswap_limit=swap),
            within=within,
            takes=0,
        )

    async def start(self, container_id: str, *, within: timedelta) -> None:
        """Start a container; one that runs stays as it is. The call is over `within` that time.

        Raises TargetGone, Unavailable, Failed, OutcomeUnknown.
        """
        what = f"start container {_checked(container_id)}"
        await self._change(what, lambda api: api.start(container_id), within=within, takes=0)

    async def restart(self, container_id: str, *, stop_timeout: int, within: timedelta) -> None:
        """Stop a container, by force after `stop_timeout` seconds, and start it again.

        The call is over `within` that time: where that is too short for the stop, nothing is done. Raises TargetGone,
        Unavailable, Failed, OutcomeUnknown.
        """
        what = f"restart container {_checked(container_id)}"
        await self._change(
            what, lambda api: api.restart(container_id, timeout=stop_timeout), within=within, takes=stop_timeout
        )

    async def allows(self, call: str) -> bool:
        """Whether a call, such as `POST /containers/{id}/start`, reaches the engine: a proxy before it may forbid it.

        It is made for a container that cannot be there, so nothing comes of it. Raises Unavailable; and Failed where
        the answer is neither the engine's nor a refusal.
        """
        what = f"ask for {call}"
        came = await self._ask(what, lambda api: knock_as_nobody(api, call, self._timeout))
        if came.answered is Answered.OTHERWISE:
            raise Failed(f"{self._on(what)}: it answered {came.status} {_told(came.said)}".rstrip())
        return came.answered is Answered.BY_ENGINE

    async def close(self) -> None:
        """Take no more calls, and let go of the connections; one that hangs ends at its own limit."""
        for threads in (self._threads, self._pinging):
            threads.shutdown(wait=False, cancel_futures=True)
        if self._api is not None:
            self._api.close()

    async def _ask(self, what: str, work: Callable[["APIClient"], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._do, what, work)

    async def _change(self, what: str, work: Callable[["APIClient"], object], *, within: timedelta, takes: int) -> None:
        """Do what changes something and takes so many seconds by itself.

        A thread cannot be stopped. So the call ends by its own limit while the caller still holds the target's lock.
        """
        ends, loop = time.monotonic() + within.total_seconds() - _BRINK, asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._do_until, what, work, ends, takes)

    def _do(self, what: str, work: Callable[["APIClient"], T]) -> T:
        return self._call(what, work, self._reach(what), self._timeout, changes=False)

    def _do_until(self, what: str, work: Callable[["APIClient"], object], ends: float, takes: int) -> None:
        known = self._reach(what)
        left = ends - time.monotonic() - takes  # the SDK adds what a restart takes to the limit of its client
        if left < _BRINK:
            raise Failed(f"{self._on(what)}: not done, too little time was left when the engine could be asked")
        limit = min(self._timeout, math.floor(left))
        with self._speaking(known.api_version, limit) as api:
            self._call(what, work, api, limit + takes, changes=True)

    def _ping(self, limit: int) -> None:
        """Ask for the engine's version, which every one tells: a connection of its own, with a limit of its own."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            self._knock(limit)
            with self._stranger(limit) as api:
                api.version(api_version=False)
        except (DockerException, RequestException, OSError, ValueError) as error:
            raise self._ours("ping", error, limit, changes=False) from error

    def _reach(self, what: str) -> "APIClient":
        """The SDK's client once the engine listens. Raises Unavailable."""
        from docker.errors import DockerException  # the SDK takes 0.2 s to import
        from requests.exceptions import RequestException

        try:
            self._knock(self._timeout)
            return self._connected()
        except (DockerException, RequestException, OSError, ValueError) as error:
            raise self._ours(what, error, self._timeout, changes=False) from error

    def _call(self, what: str, work: Callable[["APIClient"], T], api: "APIClient", limit: int, *, changes: bool) -> T:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            return work(api)
        except (DockerException, RequestException) as error:
            raise self._ours(what, error, limit, changes=changes) from error

    def _knock(self, limit: int) -> None:
        """See whether somebody listens at a Unix socket: where nobody does, the SDK would leave a socket open."""
        scheme, _, path = self._address.rpartition("://")
        if scheme not in ("", "unix", "http+unix"):
            return
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(limit)
            link.connect("/" + path.lstrip("/"))

    def _connected(self) -> "APIClient":
        """The SDK's client, made at the first call that gets an answer."""
        if self._api is None:
            made = self._negotiated()  # not under the lock: calls to a hanging engine would wait one after another
            with self._connecting:
                if self._api is None:
                    self._api = made
                else:
                    made.close()
        return self._api

    def _negotiated(self) -> "APIClient":
        """A client that speaks the newest version of the protocol that the engine knows."""
        with self._stranger(self._timeout) as asking:
            version = asking.version(api_version=False)["ApiVersion"]
        return self._speaking(version, self._timeout)

    def _stranger(self, limit: int) -> "APIClient":
        """A client of an engine of which nothing is known yet. Raises BadSettings where the address is none."""
        from docker import APIClient
        from docker.errors import DockerException

        try:
            asking = APIClient(self._address, version="1.24", timeout=limit)
        except DockerException as error:
            raise BadSettings(
                f"docker.engines.{self.name}: {self._address!r} is not an engine's address; "
                "write it like unix:///var/run/docker.sock or tcp://10.0.0.5:2375"
            ) from error
        asking.trust_env = False  # no proxies: the address in the settings is the engine
        return asking

    def _speaking(self, version: str, limit: int) -> "APIClient":
        from docker import APIClient

        api = APIClient(self._address, version=version, timeout=limit)
        api.trust_env = False
        return api

    def _on(self, what: str) -> str:
        return f"{what} on Docker engine {self.name}"

    def _ours(self, what: str, error: Exception, limit: int, *, changes: bool) -> RemediatorError:
        """Our error for one of the SDK's; `limit` is what the call was given, in seconds."""
        from docker.errors import APIError, NotFound
        from requests.exceptions import ReadTimeout

        doing = self._on(what)
        if isinstance(error, APIError):
            said = _told(str(error.explanation or error))
            return TargetGone(f"{doing}: {said}") if isinstance(error, NotFound) else Failed(f"{doing}: {said}")
        why = f"no answer in {limit} s" if isinstance(error, ReadTimeout) else _told(str(_root(error)))
        if changes and not _was_never_sent(error):
            return OutcomeUnknown(f"{doing}: {why}; it may have happened, look at the container before trying again")
        return Unavailable(f"{doing}: {why}; is the engine running, and is docker.engines.{self.name} its address?")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Failed(f"{shorten(name, 80)!r} cannot be a container's name: letters, digits, and . _ - after the first")
    return name


def _told(text: str) -> str:
    return shorten(_REDACTOR.text(text[:2000]), 300)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _root(error: BaseException) -> BaseException:
    return list(_chain(error))[-1]


def _was_never_sent(error: Exception) -> bool:
    """Whether the connection itself was refused: these come from connecting, and from nothing after it."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    refusals = (
        ConnectionRefusedError,
        FileNotFoundError,
        PermissionError,
        BlockingIOError,  # a Unix socket whose queue is full
        NewConnectionError,
        ConnectTimeoutError,
    )
    return any(isinstance(link, refusals) for link in _chain(error))


def _container(said: Mapping[str, Any]) -> Container:
    state = said.get("State") or {}
    return Container(
        id=said["Id"],
        name=str(said.get("Name", "")).removeprefix("/"),
        image=(said.get("Config") or {}).get("Image") or "",
        status=state.get("Status") or "",
        running=bool(state.get("Running")),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        restart_count=int(said.get("RestartCount") or 0),
        started_at=_time(state.get("StartedAt")),
        finished_at=_time(state.get("FinishedAt")),
        health=(state.get("Health") or {}).get("Status") or "",
        memory_limit=int((said.get("HostConfig") or {}).get("Memory") or 0),
        memory_swap=int((said.get("HostConfig") or {}).get("MemorySwap") or 0),
        error=_told(state.get("Error") or ""),
        created_at=_time(said.get("Created")),
        image_id=said.get("Image") or "",
        has_terminal=bool((said.get("Config") or {}).get("Tty")),
        labels=(said.get("Config") or {}).get("Labels") or {},
    )


def _listed(said: Mapping[str, Any], *, is_well: bool) -> Listed:
    """One of a list; its own name has one slash, the names that links give it have more."""
    names = [str(name).removeprefix("/") for name in said.get("Names") or ()]
    name = next((one for one in names if "/" not in one), said["Id"])
    return Listed(said["Id"], name, is_well, said.get("Labels") or {})


@contextmanager
def _streamed(api: "APIClient", path: str, params: Mapping[str, Any], limit: int) -> Iterator[Iterator[bytes]]:
    """An answer as it comes. The SDK has a way of its own, which waits for a hanging engine without end."""
    from docker.errors import create_api_error_from_http_exception
    from requests.exceptions import HTTPError

    url = f"{api.base_url}/v{api.api_version}/{path}"
    with api.get(url, params=params, stream=True, timeout=limit) as response:
        try:
            response.raise_for_status()
        except HTTPError as error:
            create_api_error_from_http_exception(error)  # raises the SDK's error, as its own calls do
        yield response.iter_content(_CHUNK)


def _time(text: str | None) -> datetime | None:
    """A time of the engine's; it writes the year 1 for never."""
    at = datetime.fromisoformat(text) if text else None
    return None if at is None or at.year == 1 else at.astimezone(UTC)
