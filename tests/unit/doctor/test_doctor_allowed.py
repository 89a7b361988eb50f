"""The doctor, and `check`, tell of steps that the settings forbid, before they are needed and refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from remediator.cli import main
from remediator.doctor.allowed import forbidden
from remediator.doctor.finding import Verdict
from remediator.doctor.local import forbidden_steps
from remediator.plugins import Actions
from remediator.rules.loading import check_files
from remediator.settings import Settings

RULES = """
pack: web
vars: {server: cache, pause: 30m}
rules:
  - name: full
    match: ['alertname="Full"']
    mode: gated
    remediate: [{name: r, do: [STEP]}]
    verify: {checks: [{redis.ping: {server: cache}, expect: result.answers}]}
    limits: {cooldown: 10m}
"""
SET = '{redis.config_set: {server: "{{ vars.server }}", parameter: maxclients, value: 10}}'
SET_LABEL = '{redis.config_set: {server: "{{ labels.server }}", parameter: maxclients, value: 10}}'
SILENCE = '{alertmanager.silence: {labels: {alertname: Full}, duration: "{{ vars.pause }}"}}'
SILENCE_HALF = "{alertmanager.silence: {labels: {alertname: Full}}}"
HERE = {"url": "http://127.0.0.1:9093"}
NOT_SET = (
    "redis.config_set may not set maxclients at Redis server cache; if it may, add maxclients to redis.cache.config, "
    "else leave the step out"
)
TOO_LONG = (
    "alertmanager.silence asks for 30m, and alertmanager.longest_silence allows 29m; "
    "raise alertmanager.longest_silence, or shorten `duration`"
)
RUN = '{command.run: {command: mend, parameters: {service: "{{ vars.server }}"}}}'
RUN_LABEL = '{command.run: {command: mend, parameters: {service: "{{ labels.service }}"}}}'
RUN_MORE = "{command.run: {command: mend, parameters: {service: a, force: 'yes'}}}"
RUN_LESS = "{command.run: {command: mend}}"
RUN_ODD = "{command.run: {command: mend, parameters: {service: --all}}}"
RESTART = "{docker.restart: {container: db}}"
SEE = "see commands.mend.parameters"


def mend(**protected: Any) -> dict[str, Any]:
    """Settings with a command for a service, and lists of what is protected."""
    command = {
        "argv": ["mend", "{service}"],
        "parameters": {"service": {}},
        "effect": "change",
        "target": "svc/{service}",
    }
    return {"commands": {"mend": command}, "protected": protected}


def refused(action: str, why: str) -> str:
    return f"{action} would be refused: {why}; if it may be changed, say so under `protected`, else leave the step out"


DENIED = refused("command.run", "command:svc%2Fcache is denied by `command:svc%2Fc*` in protected.deny.targets")
NOT_AMONG = refused(
    "docker.restart", "docker:local/db is neither in protected.allow.targets nor in protected.allow.namespaces"
)
NOWHERE = "alertmanager.silence silences nothing, as no Alertmanager is configured; set alertmanager.url"


@pytest.mark.parametrize(
    ("step", "settings", "expected"),
    [
        (SET, {"redis": {"cache": {}}}, [NOT_SET]),
        (SET, {"redis": {"cache": {"config": ["maxclients"]}}}, []),
        (SET, {"redis": {"other": {}}}, []),  # that it is not there is told as of any name
        (SET_LABEL, {"redis": {"cache": {}}}, []),
        (SILENCE, {"alertmanager": {**HERE, "longest_silence": "29m"}}, [TOO_LONG]),
        (SILENCE_HALF, {"alertmanager": {**HERE, "longest_silence": "29m"}}, [TOO_LONG]),
        (SILENCE, {"alertmanager": {**HERE, "longest_silence": "30m"}}, []),
        (SILENCE, {}, [NOWHERE]),
        (RUN, mend(), []),
        (RUN_LABEL, mend(deny={"targets": ["command:*"]}), []),  # which one it is only the alert tells
        (RUN_MORE, mend(), [f"command.run mend: the command takes no parameter force; {SEE}"]),
        (RUN_LESS, mend(), [f"command.run mend: the command needs the parameter service; {SEE}"]),
        (RUN_ODD, mend(), [f"command.run mend: '--all' does not match the pattern of service; {SEE}"]),
        (RUN, mend(deny={"targets": ["command:svc%2Fc*"]}), [DENIED]),
        (RESTART, {"protected": {"allow": {"targets": ["docker:local/web*"]}}}, [NOT_AMONG]),
        (RESTART, {"protected": {"allow": {"targets": ["docker:local/d*"]}}}, []),
    ],
)
def test_a_step_that_would_be_refused_is_told_before_it_is_needed(
    tmp_path: Path, step: str, settings: dict[str, Any], expected: list[str]
) -> None:
    """As far as it is known without an alert."""
    (tmp_path / "web.yaml").write_text(RULES.replace("STEP", step))
    mistakes, book = check_files([tmp_path], Actions.installed())
    assert [] == mistakes
    assert book is not None
    found = Settings.model_validate(settings)

    assert [("web/full", sentence) for sentence in expected] == list(forbidden(found, book))
    assert [(Verdict.PROBLEM, *sentence.split("; ")) for sentence in expected] == [
        (one.verdict, one.detail, one.remedy) for one in forbidden_steps(found, book)
    ]
    assert [] == list(forbidden_steps(found, None))


def test_check_notes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything runs; other settings may allow it, so it is no mistake of the rule."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "remediator.yaml").write_text("rules: [web.yaml]\nredis: {cache: {}}\n")
    (tmp_path / "web.yaml").write_text(RULES.replace("STEP", SET))
    result = CliRunner().invoke(main, ["check"])

    assert 0 == result.exit_code, result.output
    assert f"note: web.yaml:8:32: web/full: {NOT_SET}" in result.stdout.splitlines()
    noted = json.loads(CliRunner().invoke(main, ["check", "-o", "json"]).stdout)["notes"]
    assert {"rule": "web/full", "what": NOT_SET, "file": "web.yaml", "line": 8, "column": 32} in noted
    annotated = CliRunner().invoke(main, ["check", "-o", "github"]).stdout.splitlines()
    assert any(line.startswith("::warning file=web.yaml,line=8,col=32,title=web/full::redis") for line in annotated)


@pytest.mark.parametrize(
    ("mode", "ceiling", "is_noted"), [("auto", "gated", True), ("auto", "auto", False), ("gated", "gated", False)]
)
def test_check_notes_rules_that_ask_for_more_than_the_ceiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, ceiling: str, *, is_noted: bool
) -> None:
    """Whoever writes `auto` believes that it acts by itself."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "remediator.yaml").write_text(
        f"rules: [web.yaml]\nmode_ceiling: {ceiling}\nredis: {{cache: {{config: [maxclients]}}}}\n"
    )
    (tmp_path / "web.yaml").write_text(RULES.replace("STEP", SET).replace("mode: gated", f"mode: {mode}"))
    result = CliRunner().invoke(main, ["check"])

    noted = "note: mode_ceiling: it is gated, so that no more than that is done by web/full, whatever its file says"
    assert (0, is_noted) == (result.exit_code, noted in result.stdout.splitlines()), result.output
