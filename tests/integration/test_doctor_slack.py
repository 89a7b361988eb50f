"""The doctor says what is missing for people to decide in Slack, where rules ask them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.doctor.examination import examine
from remediator.doctor.finding import Verdict
from remediator.plugins import Actions
from remediator.settings import load_settings
from remediator.testing.slack import SlackStandIn

_SCOPES = ("chat:write", "channels:history", "commands")
_SECRET = {"signing_secret": "s"}
_ANA = {"ana": {"slack": "U00000100"}}


async def doctor(folder: Path, mode: str, ceiling: str, scopes: tuple[str, ...], **settings: Any) -> dict[str, Verdict]:
    """What is found of Slack, besides that it answers."""
    rule = {
        "name": "down",
        "match": ['alertname="Down"'],
        "mode": mode,
        "remediate": [{"name": "mend", "do": [{"command.run": {"command": "mend"}}]}],
    }
    (folder / "rules.yaml").write_text(yaml.safe_dump({"pack": "p", "rules": [rule]}))
    async with SlackStandIn(scopes=scopes) as slack:
        channel = slack.channel_id("alerts")
        given = {"token": slack.token, "base_url": slack.base_url, "channel": channel, **settings.pop("slack", {})}
        needed = {
            "rules": [str(folder / "rules.yaml")],
            "store": {"directory": str(folder / "store")},
            "commands": {"mend": {"argv": ["true"], "effect": "change", "target": "web"}},
            "mode_ceiling": ceiling,
            "slack": given,
        }
        (folder / "remediator.yaml").write_text(yaml.safe_dump(needed | settings))
        loaded = await asyncio.to_thread(load_settings, folder / "remediator.yaml")
        findings = await examine(loaded, Actions.installed())
    said = {one.what.removeprefix("slack "): one for one in findings if one.what.startswith("slack ")}
    assert all(one.remedy for one in said.values() if one.verdict is not Verdict.OK)
    return {what: one.verdict for what, one in said.items() if what != "channel"}


@pytest.mark.parametrize(
    ("mode", "ceiling", "slack", "people", "expected"),
    [
        pytest.param("gated", "auto", {}, {}, {"buttons": Verdict.WARNING}, id="no-secret"),
        pytest.param("auto", "gated", {}, {}, {"buttons": Verdict.WARNING}, id="no-secret-below-the-ceiling"),
        pytest.param("auto", "auto", {}, {}, {}, id="nobody-is-asked"),
        pytest.param("gated", "suggest", {}, {}, {}, id="nothing-is-done"),
        pytest.param("gated", "auto", _SECRET, {}, {"people": Verdict.PROBLEM}, id="nobody-there"),
        pytest.param("gated", "auto", _SECRET, _ANA, {}, id="all-is-there"),
        pytest.param("gated", "auto", _SECRET | {"team": "T00000001"}, _ANA, {}, id="our-team"),
        pytest.param("gated", "auto", _SECRET | {"team": "T9"}, _ANA, {"team": Verdict.PROBLEM}, id="another-team"),
    ],
)
async def test_what_is_missing_for_deciding_in_slack_is_said(
    tmp_path: Path,
    mode: str,
    ceiling: str,
    slack: dict[str, Any],
    people: dict[str, Any],
    expected: dict[str, Verdict],
) -> None:
    """At night, a question without buttons would surprise."""
    assert expected == await doctor(tmp_path, mode, ceiling, _SCOPES, slack=slack, people=people)


async def test_the_scope_of_the_slash_command_is_looked_for(tmp_path: Path) -> None:
    """Slack would say that there is no such command, and not why."""
    found = await doctor(tmp_path, "gated", "auto", _SCOPES[:2], slack=_SECRET, people=_ANA)

    assert {"commands": Verdict.WARNING} == found
