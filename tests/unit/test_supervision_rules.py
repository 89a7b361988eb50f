"""The alert rules about remediator ask for metrics that it has, and say what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.kit.metrics import Metrics

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "prometheus" / "remediator.yml"
RULES: list[dict[str, Any]] = [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]
ABOUT_US = [rule for rule in RULES if rule["alert"] != "Watchdog"]
ALERTMANAGERS = [ROOT / "alertmanager-example.yml", ROOT / "deploy" / "compose" / "alertmanager.yml"]


def series() -> set[str]:
    """Every name that a query may ask for."""
    found = set()
    for family in Metrics().registry.collect():
        endings = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_count", "_sum")}
        found |= {family.name + ending for ending in endings.get(family.type, ("",))}
    return found


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def named(rule: dict[str, Any]) -> Any:
    return rule["alert"]


@pytest.mark.parametrize("rule", ABOUT_US, ids=named)
def test_a_rule_asks_for_metrics_that_are_there(rule: dict[str, Any]) -> None:
    """One that asks for what was renamed never fires."""
    asked = set(re.findall(r"\bremediator_\w+", rule["expr"]))

    assert asked or "up{" in rule["expr"]
    assert set() == asked - series()


@pytest.mark.parametrize("rule", ABOUT_US, ids=named)
def test_a_rule_says_how_bad_it_is_and_where_help_stands(rule: dict[str, Any]) -> None:
    """It wakes somebody who has never heard of remediator."""
    page, _, heading = rule["annotations"]["runbook"].partition("#")

    assert rule["labels"]["severity"] in ("warning", "critical")
    assert {"summary", "description", "runbook"} == set(rule["annotations"])
    assert heading in anchors(ROOT / page)
    assert f"`{rule['alert']}`" in (ROOT / "docs" / "operating.md").read_text()


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_a_rule_is_tested_firing(rule: dict[str, Any]) -> None:
    """promtool passes what nobody tests; see tests/integration/test_alert_rules.py, which runs these."""
    tests = yaml.safe_load((FILE.parent / "tests" / "remediator.test.yml").read_text())["tests"]
    looks = [look for test in tests for look in test["alert_rule_test"] if look["alertname"] == rule["alert"]]

    assert any(look["exp_alerts"] for look in looks)
    assert rule["alert"] == "Watchdog" or any(not look["exp_alerts"] for look in looks)


@pytest.mark.parametrize("path", ALERTMANAGERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_heartbeat_has_a_route_of_its_own(path: Path) -> None:
    """By an ordinary route it comes every 4 hours, and would be late all day."""
    first, second, *_ = yaml.safe_load(path.read_text())["route"]["routes"]

    assert ("remediator", ['alertname="Watchdog"'], "1m", "30s") == (
        first["receiver"],
        first["matchers"],
        first["repeat_interval"],
        first["group_interval"],
    )
    assert ("people", ['alertname=~"Remediator.+"']) == (second["receiver"], second["matchers"])
