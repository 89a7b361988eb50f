"""`python -m bench WHAT`: measures, prints a table, and writes it where it is asked to."""

import argparse
import importlib
import os
import platform
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from bench import figures
from bench.processes import World

BENCHMARKS = ("startup", "accept", "runs", "rules", "size", "replicas", "memory", "checkpoints")
OTHERS = ("profile",)


def main(arguments: list[str] | None = None) -> int:
    """Carry out what the command line asks for."""
    given = _parser().parse_args(arguments)
    wanted = BENCHMARKS if given.what == "all" else (given.what,)
    stores = ("sqlite", "postgresql") if given.store == "both" else (given.store,)
    for name in wanted:
        began, busy = time.monotonic(), os.getloadavg()[0]
        print(f"\n## {name}\n", flush=True)
        with World(given.folder, quick=given.quick, stores=stores, pinned=given.pin, most_rounds=given.rounds) as world:
            report = importlib.import_module(f"bench.{name}").measure(world)
        kind = "only to see that it works, " if given.quick else ""
        report.about = (
            f"Measured {kind}on {date.today():%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()},"  # noqa: DTZ011 - for people
            f" at a load of {busy:.1f} by other programs."
        )
        print(f"\n{report.about}")
        print(f"\n{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        if given.output:
            given.output.mkdir(parents=True, exist_ok=True)
            (given.output / f"{name}.json").write_text(report.as_json())
        if given.write:
            figures.write_into(given.write, [report])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures remediator; see bench/README.md.")
    parser.add_argument("what", choices=(*BENCHMARKS, *OTHERS, "all"))
    parser.add_argument("--quick", action="store_true", help="only see that it works: the figures say little")
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured, in turns (%(default)s)")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="let the system choose the cores")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page, at their markers")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="write the numbers there, as JSON")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "remediator-bench",
        help="where stores are made; what was seeded there is used again",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
