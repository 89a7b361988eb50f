"""Settings come from one file and the environment; every mistake has its place, and no secret is ever shown."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from remediator.errors import BadSettings
from remediator.model.plan import Effect, Mode
from remediator.settings import CommandSettings, MistakenSettings, Settings, load_settings
from tests.unit.settings.reading import Load, mistakes_of

ENGINES = "write an engine's address as unix:///var/run/docker.sock, tcp://10.0.0.5:2375 or ssh://user@host"


def test_nothing_at_all_is_safe() -> None:
    """Out of the box nothing acts by itself, and nobody outside this machine can reach it."""
    settings = load_settings()

    assert Mode.GATED is settings.mode_ceiling
    assert ("127.0.0.1", 9099) == settings.address
    assert () == settings.http.allow
    assert {} == settings.commands
    assert not settings.has_webhook_auth


def test_the_environment_wins_over_the_file(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container changes one setting without another file."""
    monkeypatch.setenv("REMEDIATOR_SLACK__CHANNEL", "#from-env")
    settings = load("slack: {channel: '#from-file', post_interval: 2s}\n")

    assert "#from-env" == settings.slack.channel
    assert timedelta(seconds=2) == settings.slack.post_interval


def test_the_file_can_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units and charts place the file where they like."""
    (tmp_path / "other.yaml").write_text("mode_ceiling: auto\n")
    monkeypatch.setenv("REMEDIATOR_SETTINGS", str(tmp_path / "other.yaml"))

    assert Mode.AUTO is load_settings().mode_ceiling


def test_a_named_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    """To run with defaults instead would look like working."""
    with pytest.raises(BadSettings, match="cannot be read"):
        load_settings(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", (75, 50)),
        ("pipeline: {runs_at_once: 4}", (3, 2)),
        ("pipeline: {runs_at_once: 1}", (1, 1)),
        ("pipeline: {runs_at_once: 10, runs_at_once_per_rule: 3, changes_at_once: 2}", (3, 2)),
    ],
)
def test_of_the_places_half_are_for_changes_and_not_all_for_one_rule(
    load: Load, text: str, expected: tuple[int, int]
) -> None:
    """Whoever lowers the one number need not know the others."""
    pipeline = load(text).pipeline

    assert expected == (pipeline.most_of_one_rule, pipeline.most_changes)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slak: {}\n", ["remediator.yaml:1:1: `slak` is not known here; did you mean `slack`?"]),
        ("slack:\n  chanel: x\n", ["remediator.yaml:2:3: `chanel` is not known here; did you mean `channel`?"]),
        (
            "slack:\n  token_fil: x\n",
            ["remediator.yaml:2:3: `token_fil` is not known here; did you mean `token_file`?"],
        ),
        (
            "mode_ceiling: gatted\n",
            ["remediator.yaml:1:15: `mode_ceiling` is one of 'observe', 'suggest', 'gated' or 'auto'; "
             "did you mean `gated`?"],
        ),
        ("webhook: {accept_timeout: 5}\n", ["remediator.yaml:1:27: a duration needs its unit; "
                                            "write it like 30s, 5m or 1h30m"]),
        ("rules: here\n", ["remediator.yaml:1:8: a list is needed here, each item on a line of its own with a dash"]),
        (
            "pipeline: {runs_at_once: 10, changes_at_once: 20}\n",
            ["remediator.yaml:1:11: changes_at_once is more than runs_at_once (10); give at most that"],
        ),
        ("listen: 9099\n", ["remediator.yaml:1:9: write `listen` as host:port, such as 127.0.0.1:9099"]),
        ("- a\n", ["remediator.yaml:1:1: the settings are a mapping of sections, such as `slack:`"]),
        ("slack: 5\n", ["remediator.yaml:1:8: `slack` takes a mapping (`key: value` lines)"]),
        (
            "log: {level: loud}\nslack: {chanel: x}\n",
            ["remediator.yaml:1:14: `level` is one of 'debug', 'info', 'warning' or 'error'",
             "remediator.yaml:2:9: `chanel` is not known here; did you mean `channel`?"],
        ),
        ("commands:\n  fix:\n    argv: [x]\n", ["remediator.yaml:3:5: `effect` is missing"]),
        (
            "commands:\n  fix:\n    argv: [x]\n    effect: change\n",
            ["remediator.yaml:3:5: a command that changes something needs a target: what is it that it acts on?"],
        ),
        ("a: [\n", ["remediator.yaml:2:1: this is not YAML: did not find expected node content"]),
    ],
)  # fmt: skip
def test_every_mistake_has_its_place(load: Load, text: str, told: list[str]) -> None:
    """A settings file is repaired in one go, with an editor that jumps to each line."""
    assert told == mistakes_of(load, text)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("REMEDIATOR_LOG__LEVEL", "loud", "`level` is one of 'debug', 'info', 'warning' or 'error'"),
        ("REMEDIATOR_WEBHOOK__ACCEPT_TIMEOUT", "5", "'5' is not a duration; write it like 30s, 5m or 1h30m"),
        ("REMEDIATOR_RULES", "here", "this cannot be read; lists and mappings are written as JSON, "
         'such as ["rules"]'),
        (
            "REMEDIATOR_MODE_CEILING",
            "autoo",
            "`mode_ceiling` is one of 'observe', 'suggest', 'gated' or 'auto'; did you mean `auto`?",
        ),
        ("remediator_mode_ceiling", "xx", "`mode_ceiling` is one of 'observe', 'suggest', 'gated' or 'auto'"),
        ("REMEDIATOR_SLACK__CHANEL", "x", "`chanel` is not known here; did you mean `channel`?"),
        ("REMEDIATOR_COMMANDS__FIX", '{"argv": ["x"]}', "`effect` is missing"),
        ("REMEDIATOR_LOG", '{"level": "wrning"}', "`level` is one of 'debug', 'info', 'warning' or 'error'; "
         "did you mean `warning`?"),
        ("REMEDIATOR_DOCKER__ENGINES__LOCAL", "/run/docker.sock", ENGINES + "; did you mean `unix:///run/docker.sock`?"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_environment_names_the_variable(
    load: Load, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    """The line of the file that it overrules is right, and looking there costs an hour."""
    monkeypatch.setenv(name, value)
    text = "mode_ceiling: gated\nlog: {style: text, level: info}\nslack: {channel: x}\nwebhook: {max_body_mib: 1}\n"

    assert [f"{name}: {told}"] == mistakes_of(load, text)


def test_a_secret_file_that_the_environment_names_is_told_under_the_variable(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file with the settings has the section too, and nothing in it is wrong."""
    monkeypatch.setenv("REMEDIATOR_SLACK__TOKEN_FILE", "gone")
    (mistake,) = mistakes_of(load, "slack: {channel: x}\n")

    assert mistake.startswith("REMEDIATOR_SLACK__TOKEN_FILE: token_file: gone cannot be read: ")


def test_a_mistake_of_the_file_is_not_put_on_a_variable_of_the_same_section(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A section may come from both."""
    monkeypatch.setenv("REMEDIATOR_SLACK", '{"channel": "x"}')

    assert ["remediator.yaml:1:24: '5' is not a duration; write it like 30s, 5m or 1h30m"] == mistakes_of(
        load, "slack: {post_interval: '5'}\n"
    )


WEB = "write the address with http:// or https://, such as http://127.0.0.1:9090"


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("prometheus: {url: '127.0.0.1:9090'}", WEB + "; did you mean `http://127.0.0.1:9090`?"),
        ("alertmanager: {url: 'am.example/prefix'}", WEB + "; did you mean `http://am.example/prefix`?"),
        ("slack: {base_url: 'ftp://slack.example/'}", WEB),
        ("prometheus: {url: 'http://'}", WEB),
        ("prometheus: {url: 'http://[::1'}", WEB),
        ("prometheus: {url: 'ann:hunter2@prom:9090'}", WEB),
        ("docker: {engines: {a: /var/run/docker.sock}}", ENGINES + "; did you mean `unix:///var/run/docker.sock`?"),
        ("docker: {engines: {a: '10.0.0.5:2375'}}", ENGINES + "; did you mean `tcp://10.0.0.5:2375`?"),
        ("docker: {engines: {a: 'tcp://10.0.0.5'}}", ENGINES),
        ("docker: {engines: {a: 'tcp://10.0.0.5:x'}}", ENGINES),
        ("docker: {engines: {a: 'unix://docker.sock'}}", ENGINES),
        ("docker: {engines: {a: 'http://ann:hunter2@10.0.0.5'}}", ENGINES),
        ("docker: {engines: {a: ''}}", ENGINES),
    ],
)
def test_an_address_that_cannot_work_is_a_mistake(load: Load, section: str, told: str) -> None:
    """Else it is found at night, by the first step that needs it. One with a password is not shown."""
    (mistake,) = mistakes_of(load, section + "\n")

    assert told == mistake.split(": ", 1)[1]


@pytest.mark.parametrize(
    "address",
    ["unix:///var/run/docker.sock", "tcp://10.0.0.5:2375", "tcp://[::1]:2375", "ssh://ann@host", "ssh://h:22"],
)
def test_an_engines_address_of_each_kind_is_taken(load: Load, address: str) -> None:
    """They are what the Docker SDK can reach."""
    assert {"a": address} == load(f"docker: {{engines: {{a: '{address}'}}}}\n").docker.engines


def test_secrets_are_read_from_files_and_from_the_environment(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways are usual; neither puts a secret into the settings file."""
    (tmp_path / "hook").write_text("from-a-file\n")
    monkeypatch.setenv("REMEDIATOR_SLACK__TOKEN", "xoxb-from-env")
    settings = load(
        f"webhook:\n  tokens: [{{value_file: {tmp_path}/hook}}, written-here]\n  users: {{am: {{value: pass-word}}}}\n"
    )

    assert ["from-a-file", "written-here"] == [token.value.get_secret_value() for token in settings.webhook.tokens]
    assert SecretStr("xoxb-from-env") == settings.slack.token
    assert {"from-a-file", "written-here", "pass-word", "xoxb-from-env"} == set(settings.secrets())
    assert settings.has_webhook_auth


def test_a_slack_token_may_stand_in_a_file(load: Load, tmp_path: Path) -> None:
    """As a mounted secret."""
    (tmp_path / "token").write_text("xoxb-1\n")
    token = load(f"slack: {{token_file: {tmp_path}/token}}\n").slack.token

    assert token is not None
    assert "xoxb-1" == token.get_secret_value()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slack: {token: hunter2, token_file: hook}", "1:8: give token or token_file, not both"),
        (
            "slack: {token_file: gone}",
            "1:21: slack.token_file: gone cannot be read: there is no such file; correct the path, or",
        ),
        ("webhook: {tokens: ['']}", "1:20: this secret is empty"),
        ("webhook: {tokens: [{value: [hunter2]}]}", "1:28: `value` takes text"),
        ("webhook: {tokens: hunter2}", "1:19: `tokens` takes a list"),
        ("webhook: {tokens: [{vale: hunter2}]}", "`vale` is not known here"),
    ],
)
def test_a_mistake_never_shows_a_secret(load: Load, text: str, told: str) -> None:
    """What is wrong at start goes to a log that many can read."""
    mistakes = mistakes_of(load, text + "\n")

    assert any(told in mistake for mistake in mistakes)
    assert "hunter2" not in "".join(mistakes)


def test_printing_the_settings_shows_no_secret(load: Load) -> None:
    """Somebody will log them some day."""
    settings = load("slack: {token: hunter2}\nwebhook: {tokens: [hunter2], users: {am: hunter2}}\n")

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


def test_secrets_in_a_commands_environment_are_known_by_their_names() -> None:
    """A command may print its environment, and nobody declares these variables as secrets."""
    environment = {"PGPASSWORD": "hunter2", "API_TOKEN": "abcdef", "HOST": "db.example", "TOKEN_CHECK": "false"}
    command = CommandSettings(argv=("true",), effect=Effect.READ, environment=environment)

    assert {"hunter2", "abcdef"} == set(Settings(commands={"c": command}).secrets())


def test_the_password_in_an_address_is_a_secret() -> None:
    """What answers there may repeat it in an error, without the address around it."""
    found = Settings.model_validate({"prometheus": {"url": "http://monitor:hunt%40er2@127.0.0.1:9090"}})

    assert {"hunt@er2"} == set(found.secrets())


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (lambda path: None, "there is no such file; correct the path, or put the secret there"),
        (lambda path: path.mkdir(), "it is a folder; name the file in it that holds the secret"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links; mend that, or name another file"),
        (
            lambda path: path.write_bytes(b"hunter2\xff"),
            "it is not text in UTF-8; name the file that holds the secret and nothing else",
        ),
    ],
    ids=["missing", "a-folder", "a-circle", "no-text"],
)
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("slack: {token_file: PATH}\n", "remediator.yaml:1:21: slack.token_file"),
        ("webhook:\n  tokens:\n    - value_file: PATH\n", "remediator.yaml:3:19: webhook.tokens.0.value_file"),
        ("redis: {main: {password_file: PATH}}\n", "remediator.yaml:1:31: redis.main.password_file"),
    ],
)
def test_a_secrets_file_that_cannot_be_read_is_told_with_setting_path_reason_and_remedy(
    load: Load, tmp_path: Path, prepare: Callable[[Path], object], why: str, text: str, place: str
) -> None:
    """It is what goes wrong first where the service runs as a user of its own."""
    path = tmp_path / "secret"
    prepare(path)

    assert [f"{place}: {path} cannot be read: {why}"] == mistakes_of(load, text.replace("PATH", str(path)))


def test_a_secrets_file_that_is_not_ours_to_read_says_whom_to_let(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, who may read everything; so the refusal is made up."""

    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "remediator.yaml").write_text("slack: {token_file: mine}\n")
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda p, **k: refuse(p) if p.name == "mine" else read(p, **k))

    with pytest.raises(BadSettings, match="mine cannot be read: permission denied; let the user that runs remediator"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "log: {level: loud}\nslak: {}\nlisten: x:1\nlisten: y:2\n",
            ["4:1: `listen` stands twice", "1:14: `level` is one of", "2:1: `slak` is not known"],
        ),
        (
            "slack: {post_interval: 010, chanel: x}\n",
            ["1:24: 010 begins with a zero", "1:29: `chanel` is not known here"],
        ),
        (
            "commands:\n  fix:\n    <<: *there\n    argv: 5\n",
            ["this is not YAML"],
        ),
        (
            "a: &there {effect: read}\ncommands:\n  fix:\n    <<: *there\n    timeout: 5\n",
            ["4:5: merge keys (`<<`) are not supported", "1:1: `a` is not known", "5:14: a duration needs its unit"],
        ),
    ],
    ids=["twice", "a-number", "no-yaml", "merged"],
)
def test_what_cannot_be_read_hides_no_other_mistake_and_makes_none(load: Load, text: str, told: list[str]) -> None:
    """All is mended in one go; what a section lacks is not told where a part of it could not be read."""
    mistakes = mistakes_of(load, text)

    assert len(told) == len(mistakes), mistakes
    assert [] == [start for start in told if not any(start in mistake for mistake in mistakes)]


def test_every_variable_that_cannot_be_read_is_told_and_the_file_beside_them(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library stops at the first one."""
    monkeypatch.setenv("REMEDIATOR_RULES", "here")
    monkeypatch.setenv("REMEDIATOR_HTTP__ALLOW", "10.0.0.0/8")

    assert ["REMEDIATOR_HTTP__ALLOW", "REMEDIATOR_RULES", "remediator.yaml"] == sorted(
        mistake.partition(":")[0] for mistake in mistakes_of(load, "slak: {}\ncommands: {fix: {argv: [x]}}\n")
    )


def test_variables_are_looked_at_beside_a_file_that_cannot_be_read(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """One round less; what only the file could complete is not asked for."""
    monkeypatch.setenv("REMEDIATOR_LOG__LEVEL", "loud")
    monkeypatch.setenv("REMEDIATOR_COMMANDS__FIX", '{"argv": ["x"]}')
    told = mistakes_of(load, "- a\n")

    assert ["remediator.yaml:1:1", "REMEDIATOR_LOG__LEVEL"] == [mistake.partition(": ")[0] for mistake in told]


def test_mistakes_can_be_had_one_by_one_with_the_rule_files(load: Load, tmp_path: Path) -> None:
    """`remediator check` shows them in other forms, and goes on to the rules."""
    with pytest.raises(MistakenSettings) as caught:
        load("rules: [mine, /elsewhere]\nslak: {}\n")

    assert [("remediator.yaml", 2, 1)] == [(m.file, m.line, m.column) for m in caught.value.mistakes]
    assert (Path("mine"), Path("/elsewhere")) == caught.value.rules
