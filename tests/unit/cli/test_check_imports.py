"""What `check` does without: people wait for it at every save of a rule file."""

import subprocess
import sys
from pathlib import Path

NOT_NEEDED = (
    "aiohttp",
    "asyncpg",
    "sqlite3",
    "structlog",
    "remediator.doctor.examination",
    "remediator.doctor.local",
    "remediator.storage.sqlite",
    "remediator.storage.store",
)
SCRIPT = f"""
import sys
from remediator.cli import main

try:
    main(["check", "rules.yaml"])
finally:
    print(*[name for name in {NOT_NEEDED!r} if name in sys.modules], file=sys.stderr)
"""


def test_check_imports_nothing_that_only_the_service_needs(tmp_path: Path) -> None:
    """Each of these takes a tenth of the time that it has."""
    (tmp_path / "rules.yaml").write_text("pack: p\nrules: [{name: a, match: ['x=\"y\"'], mode: observe}]\n")
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ("ok: 1 rule\n", "\n") == (done.stdout, done.stderr)
