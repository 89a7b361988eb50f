"""All settings, and what only the whole of them can tell: whether the address may be listened on, and every secret."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from remediator.documents import Described
from remediator.kit.redaction import is_secret_name
from remediator.model.calendar import Interval
from remediator.model.plan import Mode
from remediator.settings.addresses import is_loopback, listen_address, not_a_string, web_address
from remediator.settings.sections import (
    AlertmanagerSettings,
    ApiSettings,
    ApprovalSettings,
    AuditSettings,
    CalendarSettings,
    CommandSettings,
    DockerSettings,
    EscalationSettings,
    FileSettings,
    HeartbeatSettings,
    HttpSettings,
    LimitsSettings,
    LogSettings,
    NotifySettings,
    OccurrenceSettings,
    PersonName,
    PersonSettings,
    PipelineSettings,
    PlaceName,
    PostgresSettings,
    PressureSettings,
    PrometheusSettings,
    ProtectedSettings,
    RedisSettings,
    SlackSettings,
    StoreSettings,
    SystemSettings,
    TcpSettings,
    WebhookSettings,
)
from remediator.settings.sections.escalation import level_name

_SHORTEST_SECRET_VARIABLE = 6  # `false` for TOKENIZERS_PARALLELISM must not be masked wherever it stands

LevelName = Annotated[str, AfterValidator(level_name)]
RulePaths = Annotated[tuple[Path, ...], BeforeValidator(not_a_string)]


class Settings(Described, BaseSettings):
    """All settings, by section."""

    model_config = SettingsConfigDict(
        env_prefix="REMEDIATOR_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
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
    api: ApiSettings = ApiSettings()
    """How often the API may be called."""
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
    escalation: dict[LevelName, EscalationSettings] = {}
    """Whom to turn to when a problem lasts: levels by name, which rules name by `escalate`."""
    notify: dict[PlaceName, NotifySettings] = {}
    """Other places that hear of runs, by name: mail, Teams, Discord and others, and signed webhooks. docs/notify.md
    describes them."""
    public_url: Annotated[str | None, AfterValidator(web_address)] = None
    """Where people and programs reach this service, such as `https://remediator.example`: it is told where a plan waits
    for them. Without it, they are told the command alone."""
    people: dict[PersonName, PersonSettings] = {}
    """Who decides, by name: how each person is known in Slack and to the API."""
    approval: ApprovalSettings = ApprovalSettings()
    """How people are asked before something is changed."""
    audit: AuditSettings = AuditSettings()
    """The journal of what was decided and done."""
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
    pause_file: Path | None = None
    """A file that stops all changes while it is there, whatever is in it; a relative one in a settings file is taken
    from its folder. Where none is set it is `PAUSE` in `store.directory`."""
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

    @model_validator(mode="after")
    def _people_are_there(self) -> Self:
        for group, names in self.approval.groups.items():
            for name in names:
                if name not in self.people:
                    raise ValueError(f"approval.groups.{group}: there is nobody {name!r} in `people`; add them there")
        for way in ("slack", "token"):
            known: dict[str, str] = {}
            for name, person in self.people.items():
                identity = getattr(person, way) or (name if way == "token" else None)
                if identity is not None and known.setdefault(identity, name) != name:
                    raise ValueError(f"people.{name}.{way}: {identity!r} is {known[identity]} already; nobody is two")
        return self

    @model_validator(mode="after")
    def _hours_are_there(self) -> Self:
        known = self.calendar.intervals
        for name in self.approval.hours:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                meant = f"did you mean `{near[0]}`?" if near else "add it there, or correct the name"
                raise ValueError(f"approval.hours: {name!r} is not among calendar.time_intervals; {meant}")
        return self

    @property
    def hours_to_decide(self) -> tuple[Interval, ...]:
        """The only hours in which the time to decide on a plan runs; none where it always does."""
        known = self.calendar.intervals
        return tuple(known[name] for name in self.approval.hours)

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def pause_path(self) -> Path:
        """The file that stops all changes while it is there."""
        return self.pause_file or self.store.directory / "PAUSE"

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
        for place in self.notify.values():
            yield from place.secret_parts()
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
