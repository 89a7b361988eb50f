"""The settings of the Redis and PostgreSQL servers that actions may ask."""

from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from remediator.model.duration import Duration
from remediator.settings.addresses import Place, not_a_string, postgres_address, redis_address
from remediator.settings.sections.section import Section

RedisParameter = Literal[
    "activedefrag",
    "hz",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "maxclients",
    "maxmemory",
    "maxmemory-policy",
    "maxmemory-samples",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "tcp-keepalive",
    "timeout",
]
"""The parameters that can be allowed at all. Those that name files, logins, networks or replicas are not among them."""


class RedisSettings(Section):
    """One Redis server."""

    secret_files = ("password",)

    url: Annotated[str, AfterValidator(redis_address)] = "redis://127.0.0.1:6379"
    """Its address: `redis://host:port/db`, `rediss://…` with TLS, or `unix:///run/redis.sock?db=0`; without a
    password."""
    username: str | None = None
    """The user of its access list; without one the default user."""
    password: SecretStr | None = None
    """The password, or `password_file` for a file with it."""
    timeout: Duration = timedelta(seconds=3)
    """How long one question may take, connecting included."""

    config: Annotated[tuple[RedisParameter, ...], BeforeValidator(not_a_string)] = (
        "maxmemory",
        "maxmemory-samples",
        "slowlog-log-slower-than",
        "slowlog-max-len",
        "tcp-keepalive",
        "timeout",
    )
    """The parameters that `redis.config_set` may set there; an empty list lets it set none. `maxmemory-policy` has to
    be named, because a policy that evicts deletes keys, and so has `maxclients`."""

    @model_validator(mode="after")
    def _complete_login(self) -> Self:
        if self.username is not None and self.password is None:
            raise ValueError("a username needs its password; give `password_file`, or leave the username out")
        return self


class PostgresSettings(Section):
    """One PostgreSQL server, by its parts or by a URL."""

    secret_files = ("password",)

    url: Annotated[str | None, AfterValidator(postgres_address)] = None
    """`postgresql://user@host:port/database`, without a password; it stands for `host`, `port`, `database` and
    `user`, none of which is given beside it."""
    host: str = "127.0.0.1"
    """Its host, or the folder of its Unix socket."""
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    """Its port."""
    database: str = "postgres"
    """The database to log in to."""
    user: str = "postgres"
    """The user to log in as; one that may read `pg_stat_activity` (the role `pg_monitor`) sees the most."""
    password: SecretStr | None = None
    """The password, or `password_file` for a file with it."""
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """Whether the connection is encrypted, as PostgreSQL's own programs understand it."""
    timeout: Duration = timedelta(seconds=5)
    """How long one question may take, connecting included."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        beside = sorted({"host", "port", "database", "user"} & self.model_fields_set)
        if self.url is not None and beside:
            raise ValueError(f"give the url or its parts, not both: {', '.join(beside)} stands beside it")
        return self

    @property
    def place(self) -> Place:
        """Where it is and as whom to log in, however it was given."""
        if self.url is None:
            return Place(self.host, self.port, self.database, self.user)
        parts = urlsplit(self.url)
        user = unquote(parts.username or "") or self.user
        database = unquote(parts.path.removeprefix("/")) or self.database
        return Place(parts.hostname or self.host, parts.port or self.port, database, user)
