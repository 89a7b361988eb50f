"""What talks to other systems. Library errors become ours here, and no library's class is seen above."""

from functools import cached_property
from typing import TYPE_CHECKING

from remediator.errors import NotAllowed
from remediator.kit.redaction import shorten
from remediator.settings import Settings

if TYPE_CHECKING:
    from remediator.clients.alertmanager import AlertmanagerClient
    from remediator.clients.command import CommandRunner
    from remediator.clients.docker import DockerEngine
    from remediator.clients.files import Files
    from remediator.clients.http import HttpClient
    from remediator.clients.postgres import PostgresServer
    from remediator.clients.prometheus import PrometheusClient
    from remediator.clients.redis import RedisServer
    from remediator.clients.tcp import TcpProbe


class Clients:
    """Every client that the settings allow, each made when it is first used: libraries are slow to import."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._engines: dict[str, DockerEngine] = {}
        self._redis: dict[str, RedisServer] = {}
        self._postgres: dict[str, PostgresServer] = {}

    def docker(self, engine: str) -> "DockerEngine":
        """The engine of that name. Raises NotAllowed where the settings do not name it."""
        from remediator.clients.docker import DockerEngine

        if engine not in self._engines:
            address = self.settings.docker.engines.get(engine)
            if address is None:
                raise NotAllowed(
                    f"no Docker engine is named {engine!r} in the settings; add it under docker.engines, "
                    "such as `local: unix:///var/run/docker.sock`"
                )
            self._engines[engine] = DockerEngine(engine, address, timeout=self.settings.docker.timeout)
        return self._engines[engine]

    def redis(self, server: str) -> "RedisServer":
        """The Redis server of that name. Raises NotAllowed where the settings do not name it."""
        from remediator.clients.redis import RedisServer

        if server not in self._redis:
            settings = self.settings.redis.get(server)
            if settings is None:
                raise NotAllowed(
                    f"no Redis server is named {shorten(server, 80)!r} in the settings; add it under redis, "
                    "such as `default: {url: redis://127.0.0.1:6379}`"
                )
            self._redis[server] = RedisServer(server, settings)
        return self._redis[server]

    def postgres(self, server: str) -> "PostgresServer":
        """The PostgreSQL server of that name. Raises NotAllowed where the settings do not name it."""
        from remediator.clients.postgres import PostgresServer

        if server not in self._postgres:
            settings = self.settings.postgres.get(server)
            if settings is None:
                raise NotAllowed(
                    f"no PostgreSQL server is named {shorten(server, 80)!r} in the settings; add it under postgres, "
                    "such as `default: {host: 127.0.0.1, user: monitor, password_file: secrets/postgres}`"
                )
            self._postgres[server] = PostgresServer(server, settings)
        return self._postgres[server]

    @cached_property
    def tcp(self) -> "TcpProbe":
        """Connections to the networks that `tcp.allow` names."""
        from remediator.clients.tcp import TcpProbe

        return TcpProbe(self.settings.tcp)

    @cached_property
    def files(self) -> "Files":
        """The folders that `files.roots` names."""
        from remediator.clients.files import Files

        return Files(self.settings.files)

    @cached_property
    def http(self) -> "HttpClient":
        """Requests to the networks that `http.allow` names."""
        from remediator.clients.http import HttpClient

        return HttpClient(self.settings.http)

    @cached_property
    def prometheus(self) -> "PrometheusClient":
        """Raises NotAllowed where the settings name no Prometheus."""
        from remediator.clients.prometheus import PrometheusClient

        if self.settings.prometheus.url is None:
            raise NotAllowed("no Prometheus is configured; set prometheus.url")
        return PrometheusClient(self.settings.prometheus)

    @cached_property
    def alertmanager(self) -> "AlertmanagerClient | None":
        """None where the settings name no Alertmanager."""
        from remediator.clients.alertmanager import AlertmanagerClient

        if self.settings.alertmanager.url is None:
            return None
        return AlertmanagerClient(self.settings.alertmanager)

    @cached_property
    def commands(self) -> "CommandRunner":
        """The commands that the settings name."""
        from remediator.clients.command import CommandRunner

        return CommandRunner(self.settings.commands)

    async def close(self) -> None:
        """Close what was opened."""
        for engine in self._engines.values():
            await engine.close()
        for cache in self._redis.values():
            await cache.close()
        for database in self._postgres.values():
            await database.close()
        for name in ("files", "http", "prometheus", "alertmanager"):
            client = self.__dict__.get(name)
            if client is not None:
                await client.close()
