"""The doctor, and `check`, tell of rules whose alerts cannot be silenced."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from remediator.cli import main
from remediator.doctor.finding import Verdict
from remediator.doctor.local import silences
from remediator.plugins import Actions
from remediator.rules.loading import load_book
from remediator.settings import Settings

RULES = """
pack: web
rules:
  - {name: down, match: ['alertname="Down"'], mode: observe, silence: 5h}
  - {name: slow, match: ['alertname="Slow"'], mode: observe}
"""
NOWHERE = "`silence: 5h` silences nothing, as no Alertmanager is configured; set alertmanager.url"
CUT = "`silence: 5h` is cut to 4h, as alertmanager.longest_silence allows no more"


@pytest.mark.parametrize(("url", "expected"), [(None, NOWHERE), ("http://127.0.0.1:9093", CUT)])
def test_a_silence_that_the_settings_do_not_allow_is_a_warning(tmp_path: Path, url: str | None, expected: str) -> None:
    """The rule works without it."""
    (tmp_path / "web.yaml").write_text(RULES)
    book = load_book([tmp_path / "web.yaml"], Actions({}))
    (found,) = silences(Settings.model_validate({"alertmanager": {"url": url}}), book)

    assert (Verdict.WARNING, "rule web/down", expected) == (found.verdict, found.what, found.detail)
    assert [] == list(silences(Settings(), None))


def test_check_notes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything runs; it is no mistake."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "remediator.yaml").write_text("rules: [web.yaml]\n")
    (tmp_path / "web.yaml").write_text(RULES)
    result = CliRunner().invoke(main, ["check"])

    assert 0 == result.exit_code, result.output
    assert f"note: web/down: {NOWHERE}" in result.stdout.splitlines()
