"""`remediator check` tells where the settings name a rule file that is not there."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.calling import GOOD, call


@pytest.fixture(autouse=True)
def good(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)


@pytest.mark.parametrize("besides", ["", "slak: {}\n"], ids=["else-well", "with-another-mistake"])
def test_a_rule_file_that_is_not_there_is_told_where_the_settings_name_it(tmp_path: Path, besides: str) -> None:
    """In an editor and on GitHub that is the line to mend."""
    (tmp_path / "remediator.yaml").write_text(f"rules:\n  - good.yaml\n  - gone.yaml\n{besides}")
    as_text, as_json, as_github = (call("check", "-o", form) for form in ("text", "json", "github"))
    what = "gone.yaml: there is no such file or folder"

    assert [1, 1, 1] == [result.exit_code for result in (as_text, as_json, as_github)]
    assert f"remediator.yaml:3:5: {what}" in as_text.stdout.splitlines()
    assert {"file": "remediator.yaml", "line": 3, "column": 5, "what": what} in json.loads(as_json.stdout)["mistakes"]
    assert f"::error file=remediator.yaml,line=3,col=5,title=remediator::{what}" in as_github.stdout.splitlines()


def test_one_that_a_variable_names_has_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the file is not read then."""
    (tmp_path / "remediator.yaml").write_text("rules: [good.yaml]\n")
    monkeypatch.setenv("REMEDIATOR_RULES", '["gone.yaml"]')

    assert ["gone.yaml: there is no such file or folder"] == call("check").stdout.splitlines()


def test_a_step_of_any_part_of_a_rule_is_told_where_it_stands(tmp_path: Path) -> None:
    """Also one that is only checked with; the name itself is pointed to."""
    (tmp_path / "remediator.yaml").write_text(
        "rules: [web.yaml]\ncommands:\n  queue-restart: {argv: [x], effect: change, target: queue}\n"
    )
    (tmp_path / "web.yaml").write_text(
        "pack: web\nrules:\n  - name: down\n    match: ['alertname=\"Down\"']\n"
        "    remediate:\n      - do:\n          - command.run:\n              command: queue-rstart\n"
    )
    said = "the settings name no command `queue-rstart`; did you mean `queue-restart`?"

    assert ["ok: 1 rule", f"note: web.yaml:8:24: web/down: {said}"] == call("check").stdout.splitlines()
