"""`remediator limits`, and the limits in `explain`: each figure with the layer and the place that it comes from."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.calling import call

SETTINGS = """\
rules: [web.yaml]
mode_ceiling: auto
limits:
  overall: 20/1h
  packs: {web: {cooldown: 15m}}
  actions:
    command.run: {trial_after: 10m}
commands:
  mend: {argv: [touch, x], effect: change, target: web}
"""
RULES = """\
pack: web
limits: {per_rule: 5/1h}
rules:
  - name: seen
    match: ['alertname="Seen"']
    mode: observe
  - name: down
    match: ['alertname="Down"']
    limits: {attempts: 2/1h}
    remediate:
      - name: mend
        do: [{command.run: {command: mend}}]
        limits: {max_targets: 2}
      - name: mend again
        do: [{command.run: {command: mend}}]
    verify: {within: 10m}
"""
OWN = [
    ("per_rule", "5/1h", "pack", "web.yaml", 2, "the rule file, web.yaml:2"),
    ("overall", "20/1h", "settings", "remediator.yaml", 4, "the settings, remediator.yaml:4"),
    ("cooldown", "15m", "settings_of_pack", "remediator.yaml", 5, "the settings, for the pack, remediator.yaml:5"),
    ("attempts", "2/1h", "rule", "web.yaml", 9, "the rule, web.yaml:9"),
    (
        "trial_after",
        "10m",
        "settings_of_action",
        "remediator.yaml",
        7,
        "the settings, for the action, remediator.yaml:7",
    ),
    ("max_targets", "2", "remedy", "web.yaml", 13, "the remedy, web.yaml:13"),
    ("per_target", "3/1h", "shipped", None, None, "as shipped"),
    ("min_healthy", "51%", "shipped", None, None, "as shipped"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "remediator.yaml").write_text(SETTINGS)
    (tmp_path / "web.yaml").write_text(RULES)
    return tmp_path


def rows(*arguments: str) -> list[list[str]]:
    result = call(*arguments)
    assert 0 == result.exit_code, result.output
    return [line.split(maxsplit=2) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(("name", "figure", "layer", "file", "line", "says"), OWN)
def test_each_figure_says_what_it_comes_from(
    name: str, figure: str, layer: str, file: str | None, line: int | None, says: str
) -> None:
    """Five places may say one, and who wants to change it has to know which of them does."""
    remedies: list[dict[str, Any]] = json.loads(call("limits", "web/down", "-o", "json").stdout)["remedies"]
    (found,) = [one for one in remedies[0]["limits"] if one["limit"] == name]
    (explained,) = json.loads(call("explain", "Down", "-o", "json").stdout)["alerts"]
    (rule,) = [one for one in explained["rules"] if one["rule"] == "web/down"]

    assert {"limit": name, "figure": figure, "from": layer, "file": file, "line": line} == found
    assert found in rule["outlook"]["remediate"][0]["limits"]
    assert [name, figure, says] in rows("limits", "web/down")


def test_remedies_with_other_figures_have_tables_of_their_own() -> None:
    """Those with the same share one."""
    heads = [line for line in call("limits", "web/down").stdout.splitlines() if line.endswith(":")]

    assert ["web/down, remedy mend:", "web/down, remedy mend again:"] == heads


def test_without_a_rule_the_figures_for_everything_are_shown() -> None:
    """And the rules for which others hold."""
    shown = rows("limits")

    assert ["cooldown", "10m", "as shipped"] in shown
    assert ["overall", "20/1h", "the settings, remediator.yaml:4"] in shown
    last = call("limits").stdout.splitlines()[-1]
    said = "web/down: other figures for per_rule, cooldown, attempts, max_targets, trial_after"
    assert f"{said} (see: remediator limits web/down)" == last
    rules = json.loads(call("limits", "-o", "json").stdout)["rules"]
    assert {"web/seen": [], "web/down": ["per_rule", "cooldown", "attempts", "max_targets", "trial_after"]} == rules


def test_what_a_variable_says_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in no file, and comes from the settings all the same."""
    monkeypatch.setenv("REMEDIATOR_LIMITS__FLAPPING_WITHIN", "3m")

    assert ["flapping_within", "3m", "the settings"] in rows("limits")


def test_a_rule_that_changes_nothing_has_no_limits() -> None:
    """A table of figures would say that it may do something."""
    assert "web/seen changes nothing, so no limit holds for it\n" == call("limits", "web/seen").stdout


def test_a_misspelt_rule_is_told() -> None:
    """With what was probably meant."""
    result = call("limits", "web/dwn")

    assert 1 == result.exit_code
    assert "there is no rule web/dwn; did you mean web/down? (all of them: remediator limits)\n" == result.output


def test_explain_tells_what_is_set_before_what_is_shipped() -> None:
    """What somebody has written is what surprises."""
    lines = [line.strip() for line in call("explain", "Down").stdout.splitlines()]
    (own, *_) = [line for line in lines if line.startswith("limits: ")]
    (shipped, *_) = [line for line in lines if line.startswith("limits as shipped: ")]

    assert own.startswith("limits: per_rule 5/1h (the rule file, web.yaml:2); overall 20/1h (the settings, ")
    assert "per_target 3/1h" in shipped
    assert "cooldown 15m" not in shipped
