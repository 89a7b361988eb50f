"""Settings of Redis and PostgreSQL servers and of TCP connections; their passwords are never shown."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from remediator.errors import BadSettings
from remediator.settings import RedisSettings, Settings, load_settings

REDIS = "write the address as redis://127.0.0.1:6379/0, rediss://host:6379 (with TLS) or unix:///run/redis.sock?db=0"
POSTGRES = "write the address as postgresql://user@127.0.0.1:5432/database, without anything behind it"


def load(text: str) -> Settings:
    Path("remediator.yaml").write_text(text)
    return load_settings()


def mistakes_of(text: str) -> str:
    with pytest.raises(BadSettings) as caught:
        load(text)
    return str(caught.value)


def test_without_settings_nothing_is_reached() -> None:
    """A host may carry a label, and a label is anybody's."""
    settings = load_settings()

    assert ((), {}, {}) == (settings.tcp.allow, settings.redis, settings.postgres)


def test_servers_have_names_and_their_passwords_stand_in_files() -> None:
    """Relative to the settings file, as everywhere."""
    Path("secret").write_text("s3cr3t-word\n")
    settings = load(
        "redis: {default: {url: 'redis://cache:6379/2', username: ann, password_file: secret}}\n"
        "postgres: {default: {url: 'postgresql://m%40x@db:5433/octo%2Fllm', password_file: secret}, other: {}}\n"
        "tcp: {allow: [127.0.0.0/8]}\n"
    )
    redis, postgres = settings.redis["default"], settings.postgres["default"]

    assert ("ann", "s3cr3t-word") == (redis.username, redis.password and redis.password.get_secret_value())
    assert ("db", 5433, "octo/llm", "m@x") == postgres.place
    assert ("127.0.0.1", 5432, "postgres", "postgres") == settings.postgres["other"].place
    assert {"s3cr3t-word"} == set(settings.secrets())
    assert "s3cr3t" not in repr(settings) + str(settings.model_dump())


def test_the_store_has_an_address_and_its_password_is_a_secret() -> None:
    """What the address leaves out has a name that people would choose."""
    Path("secret").write_text("s3cr3t-word\n")
    whole = load("store: {url: 'postgresql://m%40x@db:5433/alerts', password_file: secret}\n")
    short = load("store: {url: 'postgresql://db'}\n")

    assert ("db", 5433, "alerts", "m@x") == whole.store.place
    assert ("db", 5432, "remediator", "remediator") == short.store.place
    assert {"s3cr3t-word"} == set(whole.secrets())
    assert "s3cr3t" not in repr(whole) + str(whole.model_dump())


@pytest.mark.parametrize("url", ["redis://h", "redis://h:1/15", "rediss://[::1]:6379", "unix:///run/r.sock?db=3"])
def test_addresses_of_redis(url: str) -> None:
    """With TLS, without, and as a socket."""
    assert url == load(f"redis: {{default: {{url: '{url}'}}}}\n").redis["default"].url


@pytest.mark.parametrize(
    "url",
    [
        "h:6379",
        "http://h:6379",
        "redis://",
        "redis://h:0",
        "redis://h:x",
        "redis://h/one",
        "redis://h/0?ssl_cert_reqs=none",
        "unix://",
        "unix://run/r.sock",
        "unix:///r.sock?db=x",
    ],
)
def test_what_is_no_address_of_redis_says_how_one_is_written(url: str) -> None:
    """With its place in the file."""
    assert f"remediator.yaml:1:24: {REDIS}" == mistakes_of(f"redis: {{default: {{url: '{url}'}}}}\n")


@pytest.mark.parametrize(
    "url", ["mysql://h/d", "postgresql://", "postgresql://h:0/d", "postgresql://h/d?sslmode=disable", "h"]
)
def test_what_is_no_address_of_postgresql_says_how_one_is_written(url: str) -> None:
    """What it might say behind the database stands in settings of its own."""
    said = mistakes_of(f"postgres: {{default: {{url: '{url}'}}}}\n")

    assert f"remediator.yaml:1:27: {POSTGRES}" == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("redis: {default: {url: 'redis://:hunter2@h'}}", "a user or a password does not belong into the address"),
        ("redis: {default: {url: 'redis://ann:hunter2@h'}}", "use `username` and `password_file`"),
        ("redis: {default: {url: 'unix://ann:hunter2@/r.sock'}}", "write the address as redis://"),
        ("postgres: {default: {url: 'postgresql://ann:hunter2@h/d'}}", "a password does not belong into the address"),
        ("redis: {default: {username: ann}}", "a username needs its password"),
        ("postgres: {default: {url: 'postgresql://h/d', port: 5433}}", "give the url or its parts, not both: port"),
        ("postgres: {default: {sslmode: sometimes, password: hunter2}}", "`sslmode` is one of"),
        ("redis: {default: {password: hunter2, password_file: x}}", "give password or password_file, not both"),
        ("store: {url: 'postgresql://ann:hunter2@h/d'}", "a password does not belong into the address"),
        ("store: {password: hunter2}", "a password needs the database that asks for it; give `url`"),
        ("store: {url: 'postgresql://h', timeout: 0s}", "timeout"),
        ("tcp: {allow: everywhere}", "a list is needed here"),
    ],
)
def test_a_mistake_tells_what_to_do_and_never_the_password(text: str, said: str) -> None:
    """Settings are read before anything redacts."""
    mistakes = mistakes_of(text + "\n")

    assert said in mistakes
    assert "hunter2" not in mistakes


def test_what_redis_may_be_told_is_a_short_list() -> None:
    """What evicts keys or turns clients away has to be named; what could take over the machine cannot be."""
    by_default = set(RedisSettings().config)
    named = RedisSettings.model_validate({"config": ["maxmemory-policy"]}).config

    assert {"maxmemory", "timeout"} < by_default
    assert not {"maxmemory-policy", "maxclients"} & by_default
    assert ("maxmemory-policy",) == named
    for name in ("dir", "dbfilename", "requirepass", "masterauth", "replicaof", "loglevel", "MAXMEMORY"):
        with pytest.raises(ValidationError):
            RedisSettings.model_validate({"config": [name]})
