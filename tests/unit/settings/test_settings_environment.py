"""A variable that sets nothing is a mistake that is told: somebody believes that what it says holds."""

from pathlib import Path

import pytest

from remediator.errors import BadSettings
from remediator.model.plan import Mode
from remediator.settings import load_settings


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("REMEDIATOR_MODE_CELING", "; did you mean `REMEDIATOR_MODE_CEILING`?"),
        ("remediator_mode_celing", "; did you mean `REMEDIATOR_MODE_CEILING`?"),
        ("REMEDIATOR_SLACK_TOKEN", "; did you mean `REMEDIATOR_SLACK__TOKEN`?"),
        ("REMEDIATOR_SLACK_TOKEN_FILE", "; did you mean `REMEDIATOR_SLACK__TOKEN_FILE`?"),
        ("REMEDIATOR_PORT", "; did you mean"),
        ("REMEDIATOR_LISTEN__PORT", "; did you mean"),
    ],
)
def test_an_unknown_variable_is_told_with_what_was_probably_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    """A ceiling that is misspelt must not be taken for one that was set; and its value may be a secret."""
    monkeypatch.setenv(name, "hunter2")

    with pytest.raises(BadSettings) as caught:
        load_settings()

    assert str(caught.value).startswith(f"{name}: this variable is not known here{told}")
    assert "hunter2" not in str(caught.value)


def test_a_variable_below_a_section_is_checked_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same mistake one level deeper."""
    monkeypatch.setenv("REMEDIATOR_SLACK__CHANEL", "#ops")

    with pytest.raises(BadSettings, match=r"`chanel` is not known here; did you mean `channel`"):
        load_settings()


def test_mistakes_of_the_file_and_of_the_environment_are_told_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One round less until it starts."""
    monkeypatch.setenv("REMEDIATOR_MODE_CELING", "auto")
    (tmp_path / "remediator.yaml").write_text("slak: {}\n")

    with pytest.raises(BadSettings) as caught:
        load_settings()

    assert ["REMEDIATOR_MODE_CELING", "remediator.yaml"] == sorted(
        line.partition(":")[0] for line in str(caught.value).splitlines()
    )


def test_known_variables_of_every_kind_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Top-level settings, those of sections, files of secrets, mappings, in either case."""
    (tmp_path / "slack").write_text("xoxb-1\n")
    (tmp_path / "r.yaml").write_text("listen: 127.0.0.1:1\n")
    monkeypatch.setenv("REMEDIATOR_SETTINGS", str(tmp_path / "r.yaml"))
    monkeypatch.setenv("REMEDIATOR_TOKEN", "t")
    monkeypatch.setenv("remediator_mode_ceiling", "observe")
    monkeypatch.setenv("REMEDIATOR_RULES", '["a"]')
    monkeypatch.setenv("REMEDIATOR_SLACK__TOKEN_FILE", str(tmp_path / "slack"))
    monkeypatch.setenv("REMEDIATOR_DOCKER__ENGINES__LOCAL", "unix:///run/docker.sock")
    monkeypatch.setenv("REMEDIATOR_COMMANDS__FIX", '{"argv": ["x"], "effect": "read"}')
    settings = load_settings()

    assert (Mode.OBSERVE, (Path("a"),), "127.0.0.1:1") == (settings.mode_ceiling, settings.rules, settings.listen)
    assert {"local": "unix:///run/docker.sock"} == settings.docker.engines
    assert ["fix"] == list(settings.commands)
    assert {"xoxb-1", "t"} == set(settings.secrets())


def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pod gets these for each Service of its namespace; refusing to start there would be our doing."""
    for name, value in {
        "REMEDIATOR_SERVICE_HOST": "10.0.0.1",
        "REMEDIATOR_SERVICE_PORT": "9099",
        "REMEDIATOR_SERVICE_PORT_HTTP": "9099",
        "REMEDIATOR_PORT": "tcp://10.0.0.1:9099",
        "REMEDIATOR_PORT_9099_TCP": "tcp://10.0.0.1:9099",
        "REMEDIATOR_PORT_9099_TCP_PROTO": "tcp",
        "REMEDIATOR_PORT_9099_TCP_PORT": "9099",
        "REMEDIATOR_PORT_9099_TCP_ADDR": "10.0.0.1",
        "REMEDIATOR_METRICS_SERVICE_HOST": "10.0.0.2",
        "REMEDIATOR_METRICS_PORT": "tcp://10.0.0.2:80",
    }.items():
        monkeypatch.setenv(name, value)

    assert Mode.GATED is load_settings().mode_ceiling


def test_relative_paths_are_taken_from_the_folder_of_their_file(tmp_path: Path) -> None:
    """The command line finds the service's token and rules wherever it is called from."""
    (tmp_path / "token").write_text("xoxb-1234")
    (tmp_path / "remediator.yaml").write_text(
        "rules: [mine, /elsewhere]\nstore: {directory: data}\nslack: {token_file: token}\n"
        "webhook: {tokens: [{value_file: token}]}\n"
    )

    found = load_settings(tmp_path / "remediator.yaml")

    assert (tmp_path / "mine", Path("/elsewhere")) == found.rules
    assert tmp_path / "data" == found.store.directory
    assert {"xoxb-1234"} == set(found.secrets())
