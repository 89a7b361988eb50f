"""Every setting, and the only reader of the environment. Read once at start; each part is passed what it needs.

Sources, the later one wins: the defaults here, `remediator.yaml`, variables `REMEDIATOR_*` (two underscores between
levels: `REMEDIATOR_SLACK__TOKEN`). A secret `x` of a section can be given as `x_file`, the path of a file with it.
Relative paths are taken from the folder of the settings file they stand in; elsewhere from the working folder.
"""

import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_origin
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from remediator.documents import Document, Fault, Mistake, did_you_mean, faults_of, holds, mistakes_of, read_document
from remediator.errors import BadSettings
from remediator.kit.redaction import is_secret_name
from remediator.model.duration import Duration
from remediator.model.plan import Effect, Mode

_SHORTEST_SECRET_VARIABLE = 6  # `false` for TOKENIZERS_PARALLELISM must not be masked wherever it stands


def _network(value: Any) -> Any:
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"{error}; write a network like 10.0.0.0/8, or one address") from None


Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    PlainValidator(_network),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]}),
]


_BARE_ADDRESS = re.compile(r"[\w.-]+(?::\d+)?(?:/[\w./-]*)?")  # what may be shown: there is no password in it


def _web_address(value: str | None) -> str | None:
    """An address that can be asked by HTTP. It is shown only where it can hold no password."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if good:
        return value
    meant = f"; did you mean `http://{value}`?" if _BARE_ADDRESS.fullmatch(value) else ""
    raise ValueError("write the address with http:// or https://, such as http://127.0.0.1:9090" + meant)


def _engine_address(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if separator and scheme == "unix" and rest.startswith("/") and rest.strip("/"):
        return value
    if separator and scheme in ("tcp", "ssh") and _has_host(value, needs_port=scheme == "tcp"):
        return value
    meant = ""
    if value.startswith("/"):
        meant = f"; did you mean `unix://{value}`?"
    elif not separator and re.fullmatch(r"[\w.-]+:\d+", value):
        meant = f"; did you mean `tcp://{value}`?"
    raise ValueError(
        "write an engine's address as unix:///var/run/docker.sock, tcp://10.0.0.5:2375 or ssh://user@host" + meant
    )


def _has_host(address: str, *, needs_port: bool) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (bool(parts.port) or not needs_port)
    except ValueError:
        return False


def _not_a_string(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("a list is needed here, each item on a line of its own with a dash")
    return value


class Section(BaseModel):
    """One part of the settings. Unknown names are mistakes; a secret may be given as a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    secret_files: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        read = dict(data)
        for name in cls.secret_files:
            path = read.pop(f"{name}_file", None)
            if path is None:
                continue
            if read.get(name):
                raise ValueError(f"give {name} or {name}_file, not both")
            try:
                read[name] = Path(str(path)).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{name}_file: {path} cannot be read: {error}") from None
        return read


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


class PipelineSettings(Section):
    """How runs are worked on."""

    runs_at_once: Annotated[int, Field(ge=1, le=1000)] = 100
    """Runs worked on at the same time. A run that waits for a person or a settle time does not count."""
    approval_timeout: Duration = timedelta(minutes=15)
    """How long a plan waits for a person before the run ends as expired."""
    hold_timeout: Duration = timedelta(hours=1)
    """How long a plan may be held by guards before the run ends as expired: work too old to make sense is dropped."""
    stop_grace: Duration = timedelta(seconds=20)
    """How long a stopping process waits for steps that are acting; what is still not ended then is shown as unknown."""
    max_targets: Annotated[int, Field(ge=1)] = 1
    """How many targets one plan may touch. One, because a rule that matches more than its author thought is the usual
    way in which automation becomes the outage."""


class StoreSettings(Section):
    """Where everything is kept."""

    directory: Path = Path("remediator-data")
    """The folder of the embedded SQLite store and of the local admin token; a relative one in a settings file is taken
    from its folder."""


class SlackSettings(Section):
    """The Slack workspace that is told. Without a token, the story is printed on the terminal."""

    secret_files = ("token",)

    token: SecretStr | None = None
    """A bot token (`xoxb-…`) with `chat:write`; with `channels:history` too, a message that may have been sent before
    a crash is looked for instead of being repeated with a note."""
    channel: str = "#alerts"
    """The channel of the threads; an id (`C…`) is needed to find messages again after a crash."""
    base_url: Annotated[str, AfterValidator(_web_address)] = "https://slack.com/api/"
    """Slack's web API. Change it for a proxy, or for a stand-in in tests."""
    post_interval: Duration = timedelta(seconds=1)
    """At most one post in this time for each channel: Slack's own limit."""


class PrometheusSettings(Section):
    """The Prometheus that `prometheus.query` asks."""

    url: Annotated[str | None, AfterValidator(_web_address)] = None
    """Its address, such as `http://127.0.0.1:9090`."""
    timeout: Duration = timedelta(seconds=10)
    """How long one query may take."""


class AlertmanagerSettings(Section):
    """The Alertmanager that is asked whether an alert still fires."""

    url: Annotated[str | None, AfterValidator(_web_address)] = None
    """Its address, such as `http://127.0.0.1:9093`. Without it a doubtful alert counts as firing once it is sent again,
    and alerts that a delivery left out are not fetched."""
    timeout: Duration = timedelta(seconds=5)
    """How long one question may take."""


class DockerSettings(Section):
    """The Docker engines that actions may use."""

    engines: dict[str, Annotated[str, AfterValidator(_engine_address)]] = {}
    """Engines by name, with the address of each: `local: unix:///var/run/docker.sock`; others begin with `tcp://` or
    `ssh://`. Rules name an engine by `engine:`; the one called `local` is the default."""
    timeout: Duration = timedelta(seconds=30)
    """How long one call to an engine may take."""


class HttpSettings(Section):
    """Where `http.*` actions may connect to."""

    allow: Annotated[tuple[Network, ...], BeforeValidator(_not_a_string)] = ()
    """Networks that may be reached, such as `127.0.0.0/8`; checked on the address that is really connected to. None by
    default: a URL may carry a label, and a label is anybody's."""
    timeout: Duration = timedelta(seconds=10)
    """How long one request may take."""
    max_body_kib: Annotated[int, Field(ge=1, le=10_240)] = 256
    """How much of an answer is read, in KiB."""


class CommandParameter(Section):
    """One parameter of a command."""

    pattern: str = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
    """What a value must match as a whole. The default lets names pass, and nothing that a program could take for an
    option or a path."""


class CommandSettings(Section):
    """A command that rules may run. Only what is named here runs, never a shell."""

    argv: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_not_a_string)]
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


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("write it as host:port, such as 127.0.0.1:9099")
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ValueError("write it as host:port, such as 127.0.0.1:9099")
    return value


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

    listen: Annotated[str, BeforeValidator(_address)] = "127.0.0.1:9099"
    """Where to listen, `host:port`. Anything but a loopback address is refused until the webhook has a token or a
    user."""
    rules: Annotated[tuple[Path, ...], BeforeValidator(_not_a_string)] = (Path("rules"),)
    """Rule files, or folders of them; relative ones in a settings file are taken from its folder."""
    mode_ceiling: Mode = Mode.GATED
    """How far any rule may go by itself: `observe`, `suggest`, `gated` or `auto`. Shipped as `gated`; raise it to
    `auto` once you trust the rules."""
    webhook: WebhookSettings = WebhookSettings()
    """How Alertmanager reaches us."""
    occurrences: OccurrenceSettings = OccurrenceSettings()
    """When an alert that fires again is a new occurrence."""
    pipeline: PipelineSettings = PipelineSettings()
    """How runs are worked on."""
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
    commands: dict[str, CommandSettings] = {}
    """Commands that rules may run by `command.run`, by name."""
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
        if self.has_webhook_auth or _is_loopback(self.address[0]):
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets_in(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets_in(item)


def load_settings(path: Path | None = None) -> Settings:
    """The settings from `path`, or from `remediator.yaml` here if there is one, and from the environment.

    Raises BadSettings with every mistake, each with its place and what was probably meant.
    """
    named = path or _path_from_environment()
    where = named or Path("remediator.yaml")
    document = Document.empty(str(where))
    if named is not None or where.exists():
        try:
            document = read_document(where.read_text(encoding="utf-8"), name=str(where))
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(f"{where}: cannot be read: {error}") from error
    mistakes = list(_unknown_variables(os.environ))
    if document.mistakes:
        mistakes += document.mistakes
    elif not isinstance(document.data, dict):
        mistakes.append(Mistake(str(where), 1, 1, "the settings are a mapping of sections, such as `slack:`"))
    else:
        try:
            settings = Settings(**_beside(where.parent, document.data))
        except ValidationError as error:
            mistakes += _mistakes_of_variables(error)
            mistakes += mistakes_of(
                error, document, Settings, elsewhere="settings", but_not=lambda fault: _variable_of(fault) is not None
            )
        except SettingsError as error:
            mistakes.append(_not_json(error))
        else:
            if not mistakes:
                return settings
    raise BadSettings("\n".join(map(str, mistakes)))


def _mistakes_of_variables(error: ValidationError) -> list[Mistake]:
    """What is wrong with values that came from the environment, each under its variable's name."""
    given = EnvSettingsSource(Settings)()
    named = ((_variable_of(fault), fault) for fault in faults_of(error, Settings, given))
    return sorted({Mistake(name, 0, 0, fault.what) for name, fault in named if name is not None})


def _variable_of(fault: Fault) -> str | None:
    """The variable, as it was written, that gave the faulty value; None where the value is not the environment's."""
    path = fault.path
    of_file = re.match(r"(\w+_file): ", fault.what)
    if of_file:
        path = (*path, of_file[1])
    given = {name.upper(): name for name in os.environ}
    for length in range(len(path), 0, -1):
        name = given.get("REMEDIATOR_" + "__".join(str(part).upper() for part in path[:length]))
        if name is not None and (fault.is_missing_key or _holds_json(os.environ[name], path[length:])):
            return name
    return None


def _holds_json(text: str, path: tuple[str | int, ...]) -> bool:
    """Whether a variable's text holds a value at `path` below it; what is no JSON holds itself only."""
    if not path:
        return True
    try:
        return holds(json.loads(text), path)
    except (ValueError, RecursionError):
        return False


def _not_json(error: SettingsError) -> Mistake:
    """A list or a mapping that cannot be read: the library names the setting, people know the variable."""
    field = re.search(r'field "(\w+)"', str(error))
    name = f"REMEDIATOR_{field[1].upper()}" if field else "REMEDIATOR_*"
    given = sorted(one for one in os.environ if one.upper() == name or one.upper().startswith(f"{name}__"))
    what = 'this cannot be read; lists and mappings are written as JSON, such as ["rules"]'
    return Mistake(" or ".join(given) or name, 0, 0, what)


_OTHER_VARIABLES = ("REMEDIATOR_SETTINGS",)
_SERVICE_LINK = re.compile(
    r"REMEDIATOR_(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_LINKED_PORT = re.compile(r"(?:tcp|udp|sctp)://")


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[Mistake]:
    """Variables that look like ours and set nothing: somebody believes that a limit holds which does not."""
    known = {name for name, _ in _variables()}
    with_levels = tuple(f"{name}__" for name, has_levels in _variables() if has_levels)
    for given, value in sorted(environment.items()):
        name = given.upper()
        if not name.startswith("REMEDIATOR_") or name in known or name.startswith(with_levels):
            continue  # what stands below a section is checked with the section
        if not _is_service_link(name, value):
            what = "this variable is not known here" + did_you_mean(name, known)
            yield Mistake(given, 0, 0, what)


def _variables() -> Iterator[tuple[str, bool]]:
    """Every variable by name, and whether names may go on below it."""
    yield from ((name, False) for name in _OTHER_VARIABLES)
    for name, field in Settings.model_fields.items():
        section = field.annotation
        is_section = isinstance(section, type) and issubclass(section, Section)
        yield f"REMEDIATOR_{name.upper()}", is_section or get_origin(section) is dict
        if isinstance(section, type) and issubclass(section, Section):
            inner = [*section.model_fields, *(f"{secret}_file" for secret in section.secret_files)]
            yield from ((f"REMEDIATOR_{name.upper()}__{key.upper()}", False) for key in inner)


def _is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes has set it: a Service called `remediator` gives each pod beside it variables of this name."""
    is_port = name.endswith("_PORT") and _LINKED_PORT.match(value) is not None
    return is_port or _SERVICE_LINK.fullmatch(name) is not None


def _beside(folder: Path, data: dict[str, Any]) -> dict[str, Any]:
    """The settings of a file, with the relative paths in them taken from the file's own folder."""
    placed = dict(data)
    if isinstance(data.get("rules"), list):
        placed["rules"] = [folder / rule if isinstance(rule, str) else rule for rule in data["rules"]]
    store = data.get("store")
    if isinstance(store, dict) and isinstance(store.get("directory"), str):
        placed["store"] = {**store, "directory": folder / store["directory"]}
    return {name: _secret_files_beside(folder, value) for name, value in placed.items()}


def _secret_files_beside(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_secret_files_beside(folder, item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: str(folder / item)
        if name.endswith("_file") and isinstance(item, str)
        else _secret_files_beside(folder, item)
        for name, item in value.items()
    }


def _path_from_environment() -> Path | None:
    name = os.environ.get("REMEDIATOR_SETTINGS")
    return Path(name) if name else None
