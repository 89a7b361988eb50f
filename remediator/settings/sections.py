"""Every setting, by section, each documented under its field: what it does, its unit, why this default."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from remediator.kit.redaction import is_secret_name
from remediator.model.duration import Duration
from remediator.model.plan import Effect, Mode
from remediator.settings.addresses import (
    Network,
    engine_address,
    is_loopback,
    listen_address,
    not_a_string,
    postgres_address,
    redis_address,
    web_address,
)
from remediator.settings.calendar import CalendarSettings
from remediator.settings.limits import LimitsSettings
from remediator.settings.protected import ProtectedSettings
from remediator.settings.section import Section

_SHORTEST_SECRET_VARIABLE = 6  # `false` for TOKENIZERS_PARALLELISM must not be masked wherever it stands


class Secret(Section):
    """One secret, written here or, better, in a file."""

    secret_files = ("value",)

    value: SecretStr
    """The secret itself; `value_file` names a file that holds it."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare(cls, data: Any) -> Any:
        return {"value": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _refuse_empty(self) -> Self:
        if not self.value.get_secret_value():
            raise ValueError("this secret is empty")
        return self


class WebhookSettings(Section):
    """How Alertmanager reaches us."""

    tokens: tuple[Secret, ...] = ()
    """Bearer tokens that a sender may use; several, so that one can be replaced without a gap. With none, and no users,
    the webhook is open, and then only a loopback address may be listened on."""
    users: dict[str, Secret] = {}
    """Basic authentication: user names with their passwords."""
    max_body_mib: Annotated[int, Field(ge=1, le=1024)] = 64
    """The largest body taken, after decompression, in MiB. Alertmanager sends a group of any size as one body, so this
    is far above what a real group needs."""
    accept_timeout: Duration = timedelta(seconds=5)
    """How long a request waits for its alerts to be on disk before it is answered 503, so that the sender tries again;
    shorter than the 10 s that a sender waits at the least."""


class OccurrenceSettings(Section):
    """When an alert that fires again is a new occurrence."""

    doubt_window: Duration = timedelta(seconds=60)
    """After a resolve, the same alert with the same start is doubtful for this long: a late duplicate of another
    Alertmanager replica, or a real return. It is remembered and decided when the window ends."""
    stale_after: Duration = timedelta(hours=6)
    """An open alert of which nothing was heard for this long had its resolve missed (a silenced alert sends none); the
    next firing is a new occurrence. Above Alertmanager's repeat interval of 4 h."""
    give_up_after: Annotated[Duration, Field(ge=timedelta(days=1))] = timedelta(days=30)
    """An open alert of which nothing was heard for this long is closed, as one whose resolve was missed: otherwise what
    nobody ever resolves would be kept for ever. Well above any `repeat_interval` of Alertmanager."""


class HeartbeatSettings(Section):
    """The alert that always fires, by which it is known that alerts still come. Off until it is named."""

    alertname: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """The name of that alert, such as `Watchdog`: it starts no run, and is expected from the start on. There is no
    default, because one that comes by an ordinary route comes every 4 h only, and would be late all day: give it a
    route of its own with `group_interval: 30s` and `repeat_interval: 1m`, as in `alertmanager-example.yml`."""
    silence: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=10)
    """For how long it may not be heard before that is told; some times Alertmanager's `repeat_interval` for it."""


class PipelineSettings(Section):
    """How runs are worked on."""

    runs_at_once: Annotated[int, Field(ge=1, le=1000)] = 100
    """Runs worked on at the same time. A run that waits for a person, a settle time or its turn to change something
    does not count."""
    runs_at_once_per_rule: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many of them may be of one rule, so that a storm of its alerts leaves places to others; three quarters of
    them where it is not set. The others of that rule wait without keeping anybody behind them waiting. Give more than
    `changes_at_once`, or what is wrong with its next alert is found out only when one of its remedies has ended."""
    changes_at_once: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many of them may be carrying out a plan; half of them where it is not set. A change may take minutes, and
    what finds out what is wrong with the next alert must not wait for it."""
    approval_timeout: Duration = timedelta(minutes=15)
    """How long a plan waits for a person before the run ends as expired."""
    hold_timeout: Duration = timedelta(hours=1)
    """How long a plan may be held by guards before the run ends as expired: work too old to make sense is dropped. A
    run whose turn comes later than this after its alert (the service was down, or had too much to do) gathers its
    evidence, but does nothing by itself any more; where its plan needs a person anyway, people are asked."""
    stop_grace: Duration = timedelta(seconds=20)
    """How long a stopping process waits for steps that are acting; what is still not ended then is shown as unknown."""

    @model_validator(mode="after")
    def _parts_of_a_whole(self) -> Self:
        for name in ("runs_at_once_per_rule", "changes_at_once"):
            if (getattr(self, name) or 0) > self.runs_at_once:
                raise ValueError(f"{name} is more than runs_at_once ({self.runs_at_once}); give at most that")
        return self

    @property
    def most_of_one_rule(self) -> int:
        """How many runs of one rule may be worked on at the same time."""
        return self.runs_at_once_per_rule or max(self.runs_at_once * 3 // 4, 1)

    @property
    def most_changes(self) -> int:
        """How many runs may be carrying out their plans at the same time."""
        return self.changes_at_once or max(self.runs_at_once // 2, 1)


class PressureSettings(Section):
    """When new deliveries are refused for a while, so that what was taken already gets done."""

    most_waiting: Annotated[int, Field(ge=1)] = 20_000
    """How many runs may be due and wait for a free worker before deliveries are answered 503; they are taken again
    once half of that is left. Twice the largest storm that is expected; as many runs take some 250 MB on disk."""
    least_free_mib: Annotated[int, Field(ge=0)] = 64
    """How much must be free on the disk of the embedded store, in MiB, for deliveries to be taken; they are taken again
    once there is half as much more. What is left lets the runs that were taken come to their end. 0: no matter."""
    most_connections: Annotated[int, Field(ge=4)] = 2000
    """How many connections are open at once at the most, and never more than half of the files that the process may
    have open: the other half is for actions. Those above it are not refused; the system keeps them until one is free.
    More at once would wait for the store longer than `webhook.accept_timeout`, and be sent away instead."""


class SystemSettings(Section):
    """How the systems are spared that steps talk to: each Docker engine, Redis server, host and port, …, by itself."""

    calls_at_once: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many calls there may be to one system at the same time. Others wait, within the time limit of their step, and
    a change for half of it at the most."""
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 5
    """After so many calls in a row that a system did not answer, it is left alone: calls to it fail at once. Refusals
    count as answers. Files and commands of this machine are never left alone."""
    breaker_pause: Annotated[Duration, Field(ge=timedelta(milliseconds=100))] = timedelta(seconds=5)
    """How long it is left alone before one call finds out whether it answers again; twice as long each time that it
    does not."""
    breaker_longest_pause: Annotated[Duration, Field(ge=timedelta(milliseconds=100))] = timedelta(minutes=1)
    """The longest that this becomes. A system that nobody has asked for twice as long after that is tried again as any
    other."""


class StoreSettings(Section):
    """Where everything is kept."""

    secret_files = ("password",)

    directory: Path = Path("remediator-data")
    """The folder of the embedded SQLite store and of the local admin token; a relative one in a settings file is taken
    from its folder."""
    url: Annotated[str | None, AfterValidator(postgres_address)] = None
    """A PostgreSQL database to keep everything in instead, `postgresql://user@host:port/database`, without a password;
    user and database are `remediator` where it names none. It takes version 13 or later, and connections that no pooler
    shares. Several processes may share it. The local admin token of each stays in its `directory`."""
    password: SecretStr | None = None
    """The password for it, or `password_file` for a file with it."""
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """Whether the connection to it is encrypted, as PostgreSQL's own programs understand it."""
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=5)
    """How long one statement, or connecting, may take there before it counts as away; no longer than a sender waits."""
    keep_runs: Annotated[Duration, Field(ge=timedelta(days=1))] = timedelta(days=90)
    """How long a run is kept after it has ended, with all that it tells; so are alerts after their resolve, and rules
    that are no longer in force. Afterwards they are deleted, unless something still needs them. A quarter of a
    year, because that is how far reviews look back."""
    keep_runs_at_most: Annotated[int, Field(ge=1)] = 100_000
    """How many runs are kept after they have ended, and how many alerts after their resolve; the oldest go first. What
    ended a few minutes ago stays in any case. Some kilobytes each: this many take about a gigabyte."""

    @model_validator(mode="after")
    def _password_of_what(self) -> Self:
        if self.password is not None and self.url is None:
            raise ValueError("a password needs the database that asks for it; give `url`, or leave the password out")
        return self

    @property
    def place(self) -> "Place":
        """Where the database is and as whom to log in; only where there is one."""
        parts = urlsplit(self.url or "")
        database = unquote(parts.path.removeprefix("/")) or "remediator"
        return Place(
            parts.hostname or "127.0.0.1", parts.port or 5432, database, unquote(parts.username or "") or "remediator"
        )


class SlackSettings(Section):
    """The Slack workspace that is told. Without a token, the story is printed on the terminal."""

    secret_files = ("token",)

    token: SecretStr | None = None
    """A bot token (`xoxb-…`) with `chat:write`; with `channels:history` too, a message that may have been sent before
    a crash is looked for instead of being repeated with a note."""
    channel: str = "#alerts"
    """The channel of the threads; an id (`C…`) is needed to find messages again after a crash."""
    base_url: Annotated[str, AfterValidator(web_address)] = "https://slack.com/api/"
    """Slack's web API. Change it for a proxy, or for a stand-in in tests."""
    post_interval: Duration = timedelta(seconds=1)
    """At most one post in this time for each channel: Slack's own limit."""


class PrometheusSettings(Section):
    """The Prometheus that `prometheus.query` asks."""

    url: Annotated[str | None, AfterValidator(web_address)] = None
    """Its address, such as `http://127.0.0.1:9090`."""
    timeout: Duration = timedelta(seconds=10)
    """How long one query may take."""


class AlertmanagerSettings(Section):
    """The Alertmanager that is asked whether an alert still fires."""

    url: Annotated[str | None, AfterValidator(web_address)] = None
    """Its address, such as `http://127.0.0.1:9093`. Without it a doubtful alert counts as firing once it is sent again,
    and alerts that a delivery left out are not fetched."""
    timeout: Duration = timedelta(seconds=5)
    """How long one question may take."""


class DockerSettings(Section):
    """The Docker engines that actions may use."""

    engines: dict[str, Annotated[str, AfterValidator(engine_address)]] = {}
    """Engines by name, with the address of each: `local: unix:///var/run/docker.sock`; others begin with `tcp://` or
    `ssh://`. Rules name an engine by `engine:`; the one called `local` is the default."""
    timeout: Duration = timedelta(seconds=30)
    """How long one call to an engine may take."""


def _root_names(roots: dict[str, Path]) -> dict[str, Path]:
    for name, path in roots.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
            raise ValueError(f"{name!r} cannot name a folder; use letters, digits, - and _, such as `wal: /data/wal`")
        if not path.is_absolute() or "\0" in str(path):
            raise ValueError(f"{name}: {str(path)!r} is not a whole path; write it from the root, such as /data/wal")
    return roots


class FileSettings(Section):
    """Where `files.*` actions may look and work."""

    roots: Annotated[dict[str, Path], AfterValidator(_root_names)] = {}
    """Folders by name, with the whole path of each: `wal: /data/wal`. Rules name a folder by `root:`, and reach
    nothing outside of it; symbolic links in it are not followed. None by default. Changing a file needs its owner's
    rights, or the capability CAP_LEASE beside them."""
    max_entries: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """The most entries of one folder that are looked through; a folder with more is a failure that says so."""
    max_read_mib: Annotated[int, Field(ge=1, le=65_536)] = 256
    """How much one reading step reads of files at the most, in MiB: enough for a day's log, and soon done."""


class HttpSettings(Section):
    """Where `http.*` actions may connect to."""

    allow: Annotated[tuple[Network, ...], BeforeValidator(not_a_string)] = ()
    """Networks that may be reached, such as `127.0.0.0/8`; checked on the address that is really connected to. None by
    default: a URL may carry a label, and a label is anybody's."""
    timeout: Duration = timedelta(seconds=10)
    """How long one request may take."""
    max_body_kib: Annotated[int, Field(ge=1, le=10_240)] = 256
    """How much of an answer is read, in KiB."""


class TcpSettings(Section):
    """Where `tcp.connect` may connect to."""

    allow: Annotated[tuple[Network, ...], BeforeValidator(not_a_string)] = ()
    """Networks that may be reached, such as `127.0.0.0/8`; checked on the address that is really connected to. None by
    default: a host may carry a label, and a label is anybody's."""
    timeout: Duration = timedelta(seconds=3)
    """How long one connection may take; what has not answered by then counts as not reachable."""


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
    def place(self) -> "Place":
        """Where it is and as whom to log in, however it was given."""
        if self.url is None:
            return Place(self.host, self.port, self.database, self.user)
        parts = urlsplit(self.url)
        user = unquote(parts.username or "") or self.user
        database = unquote(parts.path.removeprefix("/")) or self.database
        return Place(parts.hostname or self.host, parts.port or self.port, database, user)


class Place(NamedTuple):
    """Where a database is, and as whom to log in."""

    host: str
    port: int
    database: str
    user: str


class CommandParameter(Section):
    """One parameter of a command."""

    pattern: str = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
    """What a value must match as a whole. The default lets names pass, and nothing that a program could take for an
    option or a path."""


class CommandSettings(Section):
    """A command that rules may run. Only what is named here runs, never a shell."""

    argv: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(not_a_string)]
    """The program and its arguments; `{name}` stands for a parameter's value."""
    parameters: dict[str, CommandParameter] = {}
    """The parameters that a rule may give."""
    effect: Effect
    """`read`, `change` or `destroy`: what it does to the world. There is no default: only you know."""
    idempotent: bool = False
    """Whether running it twice is the same as once; only then is it ever repeated by itself."""
    target: str = ""
    """The stable name of the thing acted on, in which `{name}` stands for a parameter's value. Needed unless
    it only reads."""
    environment: dict[str, str] = {}
    """Variables that it gets. Nothing of the service's own environment is passed on; unless set here, PATH is
    `/bin:/usr/bin` and LANG is `C.UTF-8`."""
    directory: Path = Path("/")
    """Its working directory."""
    timeout: Duration = timedelta(seconds=30)
    """After this its whole process group is ended."""

    @model_validator(mode="after")
    def _name_a_target(self) -> Self:
        if self.effect is not Effect.READ and not self.target:
            raise ValueError("a command that changes something needs a target: what is it that it acts on?")
        return self


class LogSettings(Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is logged."""
    style: Literal["text", "json"] = "text"
    """`text` for people, `json` for collectors."""


RulePaths = Annotated[tuple[Path, ...], BeforeValidator(not_a_string)]


class Settings(BaseSettings):
    """All settings, by section."""

    model_config = SettingsConfigDict(
        env_prefix="REMEDIATOR_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    listen: Annotated[str, BeforeValidator(listen_address)] = "127.0.0.1:9099"
    """Where to listen, `host:port`. Anything but a loopback address is refused until the webhook has a token or a
    user."""
    rules: RulePaths = (Path("rules"),)
    """Rule files, or folders of them; relative ones in a settings file are taken from its folder."""
    rules_watch: bool = True
    """Whether changed rule files are taken by themselves, within seconds. Switched off, only SIGHUP has them read
    again. A change with a mistake in it never replaces rules that work."""
    mode_ceiling: Mode = Mode.GATED
    """How far any rule may go by itself: `observe`, `suggest`, `gated` or `auto`. Shipped as `gated`; raise it to
    `auto` once you trust the rules."""
    webhook: WebhookSettings = WebhookSettings()
    """How Alertmanager reaches us."""
    occurrences: OccurrenceSettings = OccurrenceSettings()
    """When an alert that fires again is a new occurrence."""
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    """The alert that always fires, by which it is known that alerts still come. Off until it is named."""
    pipeline: PipelineSettings = PipelineSettings()
    """How runs are worked on."""
    limits: LimitsSettings = LimitsSettings()
    """How often, and on how much at once, something may be changed."""
    pressure: PressureSettings = PressureSettings()
    """When new deliveries are refused for a while, so that what was taken already gets done."""
    systems: SystemSettings = SystemSettings()
    """How the systems are spared that steps talk to."""
    store: StoreSettings = StoreSettings()
    """Where everything is kept."""
    slack: SlackSettings = SlackSettings()
    """The Slack workspace that is told."""
    prometheus: PrometheusSettings = PrometheusSettings()
    """The Prometheus that rules ask."""
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    """The Alertmanager that is asked whether an alert still fires."""
    docker: DockerSettings = DockerSettings()
    """The Docker engines that actions may use."""
    http: HttpSettings = HttpSettings()
    """Where HTTP actions may connect to."""
    files: FileSettings = FileSettings()
    """Where `files.*` actions may look and work."""
    tcp: TcpSettings = TcpSettings()
    """Where `tcp.connect` may connect to."""
    redis: dict[str, RedisSettings] = {}
    """Redis servers that actions may ask, by name; rules name one by `server:`, and `default` is the default."""
    postgres: dict[str, PostgresSettings] = {}
    """PostgreSQL servers that actions may ask, by name; rules name one by `server:`, and `default` is the default."""
    commands: dict[str, CommandSettings] = {}
    """Commands that rules may run by `command.run`, by name."""
    calendar: CalendarSettings = CalendarSettings()
    """When rules may change something."""
    protected: ProtectedSettings = ProtectedSettings()
    """What must not be changed, and what alone may be."""
    log: LogSettings = LogSettings()
    """What is logged."""
    token: SecretStr | None = None
    """The API token that the command line uses; without it, the local one that `serve` writes beside its store."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def client_token(self) -> str | None:
        """The API token that the command line was given."""
        return self.token.get_secret_value() if self.token else None

    @property
    def has_webhook_auth(self) -> bool:
        return bool(self.webhook.tokens or self.webhook.users)

    def open_door(self) -> str | None:
        """Why this address may not be listened on: anybody on the network could post alerts, which start changes."""
        if self.has_webhook_auth or is_loopback(self.address[0]):
            return None
        return (
            f"listen: {self.listen} can be reached from other machines, and the webhook has neither "
            "a token nor a user; add webhook.tokens or webhook.users, or listen on 127.0.0.1"
        )

    def secrets(self) -> Iterator[str]:
        """The values of all secrets, for redaction; those in commands' environments are known by their names."""
        yield from _secrets_in(self)
        for command in self.commands.values():
            for name, value in command.environment.items():
                if is_secret_name(name) and len(value) >= _SHORTEST_SECRET_VARIABLE:
                    yield value


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, str) and "://" in value and (password := _password_in(value)):
        yield password
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets_in(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets_in(item)


def _password_in(url: str) -> str | None:
    """The password of an address, as it is sent; None where it has none."""
    try:
        return unquote(urlsplit(url).password or "") or None
    except ValueError:
        return None
