"""The doctor tells of limits and freezes that hold for nothing."""

from pathlib import Path

from remediator.doctor.finding import Verdict
from remediator.doctor.local import examine, nobody
from remediator.doctor.needs import Needs
from remediator.plugins import Actions
from remediator.rules.loading import load_book
from remediator.settings import Settings

RULES = """
pack: web
rules:
  - name: down
    match: ['alertname="Down"']
    mode: observe
"""
FREEZES = {
    "time_intervals": [
        {"name": "night", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}]}
    ],
    "freezes": [{"interval": "night", "scopes": ["everything", "rule:web/down", "target:docker:local/*", "pack:wbe"]}],
    "windows": [{"interval": "night", "scopes": ["action:docker.restart"]}],
}


def test_what_the_settings_name_and_is_not_there_is_a_warning(tmp_path: Path) -> None:
    """Whoever has misspelt it believes that it holds; a target need not be there yet."""
    (tmp_path / "web.yaml").write_text(RULES)
    book = load_book([tmp_path / "web.yaml"], Actions({}))
    settings = Settings.model_validate({"calendar": FREEZES, "limits": {"packs": {"web": {}, "shop": {}}}})
    found = list(nobody(settings, book, ()))

    assert [
        "limits.packs.shop: there is no pack `shop`, so these limits hold for nothing",
        "calendar.freezes.1.scopes.4: there is no pack `wbe`, so this freeze holds nothing back; did you mean `web`?",
        "calendar.windows.1.scopes.1: there is no action `docker.restart`, so this window holds nothing back",
    ] == [finding.detail for finding in found]
    assert {Verdict.WARNING} == {finding.verdict for finding in found}


def test_a_limit_that_nothing_reaches_is_a_warning(tmp_path: Path) -> None:
    """It may be meant so, for no such limit; or somebody believes that it holds."""
    (tmp_path / "web.yaml").write_text(RULES + "    limits: {attempts: 51/1h, flapping: 50/1h}\n")
    book = load_book([tmp_path / "web.yaml"], Actions({}))
    packs = {"web": {"flapping": "60/1h"}}
    settings = Settings.model_validate({"limits": {"gated_after_failures": 51, "attempts": "50/1h", "packs": packs}})
    never = "never holds, as no more than 50 changes are looked at"

    assert [
        f"limits.gated_after_failures: `gated_after_failures: 51` {never}",
        f"limits.packs.web.flapping: `flapping: 60/1h` {never}",
        f"`attempts: 51/1h` {never}",
    ] == [finding.detail for finding in nobody(settings, book, ())]


def test_the_folder_of_the_pause_file_has_to_be_there(tmp_path: Path) -> None:
    """Nothing is changed while it is not."""
    store = {"directory": tmp_path}
    settings = Settings.model_validate({"store": store, "pause_file": tmp_path / "share" / "PAUSE"})

    def found() -> list[str]:
        return [finding.verdict for finding in examine(settings, Needs()) if finding.what == "pause file"]

    assert [Verdict.PROBLEM] == found()
    (tmp_path / "share").mkdir()
    assert [] == found()


def test_without_rules_nothing_is_told_of_names() -> None:
    """That they do not load is told already."""
    settings = Settings.model_validate({"limits": {"packs": {"shop": {}}}})

    assert [] == list(nobody(settings, None, ()))
