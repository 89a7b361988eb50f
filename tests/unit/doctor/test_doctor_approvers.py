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
