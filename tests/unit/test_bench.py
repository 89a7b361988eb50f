"""That the benchmarks still start; how fast anything is, is not a test's business."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_smallest_benchmark_runs(tmp_path: Path) -> None:
    """They are run by hand and seldom: without this, nobody would notice what a change has broken."""
    argv = [sys.executable, "-m", "bench", "accept", "--quick", "--store", "sqlite", "--no-pin"]
    places = ["--folder", str(tmp_path / "stores"), "-o", str(tmp_path / "out")]

    done = subprocess.run([*argv, *places], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)

    assert 0 == done.returncode, done.stderr
    report = json.loads((tmp_path / "out" / "accept.json").read_text())
    assert {"sqlite 1"} <= set(report["raw"])
    assert [] == list((tmp_path / "stores").glob("service-*"))


def test_the_page_has_a_place_for_every_table() -> None:
    """`make bench` puts its tables there, and stops where it cannot."""
    page = (ROOT / "docs" / "performance.md").read_text()
    names = {path.stem for path in (ROOT / "bench").glob("*.py") if "def measure(world" in path.read_text()}

    places = {name for name in names if f"<!-- {name} -->" in page and f"<!-- end of {name} -->" in page}

    assert names - {"profile"} == places
