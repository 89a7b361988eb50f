"""Gates whose approvers are not there are findings: nobody is to find out at night."""

from pathlib import Path

import pytest
import yaml

from remediator.doctor import local
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.rules.loading import load_book
from remediator.settings import Settings

SETTINGS = Settings.model_validate(
    {"mode_ceiling": "auto", "people": {"ana": {}}, "approval": {"groups": {"dba": ["ana"], "night": []}}}
)


def book(folder: Path, mode: str, **gate: object) -> Book:
    remedy = {"name": "cure", "do": [{"http.get": {"url": "http://localhost/"}}], **({"gate": gate} if gate else {})}
    one = {"name": "down", "match": ['alertname="Down"'], "mode": mode, "remediate": [remedy]}
    (folder / "p.yaml").write_text(yaml.safe_dump({"pack": "web", "rules": [one]}))
    return load_book([folder], Actions.installed())


@pytest.mark.parametrize(
    ("group", "secret", "said"),
    [
        ("dba", "s", ["nobody in dba has a member id in Slack"]),
        ("sre", "s", []),
        ("night", "s", ["nobody is in the group night"]),
        ("dba", None, []),
    ],
)
def test_a_group_of_which_nobody_could_answer_in_slack_is_a_warning(
    tmp_path: Path, group: str, secret: str | None, said: list[str]
) -> None:
    """The card has buttons then, and none of those who are asked can press them."""
    settings = Settings.model_validate(
        {
            "mode_ceiling": "auto",
            "people": {"ana": {}, "ben": {"slack": "U1"}},
            "approval": {"groups": {"dba": ["ana"], "sre": ["ana", "ben"], "night": []}},
            "slack": {"token": "xoxb-1", "channel": "C1", "signing_secret": secret},
        }
    )
    found = list(local.approvers(settings, book(tmp_path, "auto", approvers=[group])))

    assert len(said) == len(found)
    for finding, text in zip(found, said, strict=True):
        assert finding.detail.startswith(f"who approves the remedy “cure”: {text}")


@pytest.mark.parametrize(
    ("mode", "gate", "said"),
    [
        ("auto", {"approvers": ["dba"]}, []),
        ("auto", {"approvers": ["ops"]}, ["approval.groups has no group ops"]),
        ("auto", {"approvers": ["night"]}, ["nobody is in the group night"]),
        (
            "gated",
            {"approvers": ["dba"], "quorum": 3},
            ["3 have to approve, and the settings know 2 who may"],
        ),
        ("suggest", {"approvers": ["ops"]}, []),
        ("auto", {}, []),
    ],
)
def test_who_is_asked_and_not_there_is_a_warning(
    tmp_path: Path, mode: str, gate: dict[str, object], said: list[str]
) -> None:
    """A rule that never acts asks nobody."""
    found = list(local.approvers(SETTINGS, book(tmp_path, mode, **gate)))

    assert len(said) == len(found)
    for finding, text in zip(found, said, strict=True):
        assert "rule web/down" == finding.what
        assert finding.detail.startswith(f"who approves the remedy “cure”: {text}")
