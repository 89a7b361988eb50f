"""What the doctor says of the audit journal: what the service has noted, and whether its key is still there."""

from pathlib import Path

import pytest

from remediator.doctor.finding import Finding, Verdict
from remediator.doctor.journal import journal
from remediator.doctor.local import examine
from remediator.doctor.needs import Needs
from remediator.model.audit import key_id
from remediator.pipeline.noted_head import HeadFile, Noted
from remediator.settings import Settings

KEY = "k" * 43
HERE = key_id(KEY.encode())


def found_of(directory: Path, noted: Noted | None, *, file: str | None = KEY, key: str | None = None) -> list[Finding]:
    if noted is not None:
        HeadFile(directory).write(noted)
    if file is not None:
        (directory / "audit-key").write_text(f"{file}\n")
    settings = Settings.model_validate({"store": {"directory": directory}, "audit": {"key": key} if key else {}})
    before = sorted(directory.iterdir())
    found = [finding for finding in examine(settings, Needs()) if finding.what == "audit journal"]
    assert before == sorted(directory.iterdir())
    return found


@pytest.mark.parametrize(
    ("noted", "given", "verdict", "said"),
    [
        (Noted(7, "ab" * 32, HERE), {}, Verdict.OK, "sealed up to place 7"),
        (Noted(7, "ab" * 32, HERE), {"file": None, "key": KEY}, Verdict.OK, "sealed up to place 7"),
        (
            Noted(7, "ab" * 32, HERE, is_lost=True),
            {},
            Verdict.PROBLEM,
            "at place 7 (abababababab), once the newest, is gone",
        ),
        (Noted(7, "ab" * 32, HERE), {"file": "o" * 43}, Verdict.WARNING, f"entries were sealed with the key {HERE}"),
        (Noted(7, "ab" * 32, HERE), {"key": "o" * 43}, Verdict.WARNING, f"entries were sealed with the key {HERE}"),
        (Noted(7, "ab" * 32, HERE), {"file": None}, Verdict.WARNING, "audit-key cannot be read: No such file"),
    ],
    ids=["well", "well-by-settings", "cut", "another-file", "another-setting", "lost-key"],
)
def test_what_nobody_has_settled_is_said(
    tmp_path: Path, noted: Noted, given: dict[str, str | None], verdict: Verdict, said: str
) -> None:
    """A lost key shows before the service makes another one; nothing is made by looking."""
    (found,) = found_of(tmp_path, noted, **given)

    assert verdict is found.verdict
    assert said in found.detail
    assert (verdict is Verdict.OK) == (found.remedy == "")


def test_before_the_first_start_there_is_nothing_to_say(tmp_path: Path) -> None:
    """Neither a key nor a head is missing yet."""
    assert [] == found_of(tmp_path, None, file=None)
    assert [] == list(journal(Settings.model_validate({"store": {"directory": tmp_path / "none"}})))
