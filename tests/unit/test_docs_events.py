"""What the log warns of is told on the page on operating, with what to do."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_WARNS = re.compile(
    r"""log\.(?:warning|error|exception|critical)\(\s*"(\w+)"   # said here
    | \bsurvive\([^"]*"(\w+)"                                   # or by what looks after this
    | \bwaits="(\w+)" """,
    re.VERBOSE,
)


def test_every_event_that_warns_says_what_to_do() -> None:
    """Whoever finds one at night searches for its name."""
    code = "\n".join(path.read_text() for path in sorted((ROOT / "remediator").rglob("*.py")))
    events = {name for names in _WARNS.findall(code) for name in names if name}
    page = (ROOT / "docs" / "operating.md").read_text()
    told = set(re.findall(r"`(\w+)`", page[page.index("\n## Logs\n") : page.index("\n## The store, and its backup\n")]))

    assert {"step_unknown", "silence_not_made", "doubts_wait_for_store"} <= events
    assert [] == sorted(events - told)
