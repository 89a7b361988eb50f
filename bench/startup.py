"""How long the command line and the service take to be there.

The commands run from their bytecode, as what pip has installed does: with `PYTHONDONTWRITEBYTECODE` in the environment
each start would compile all sources again, which takes about as long as the rest of it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import packs
from bench.figures import Report, median, spread
from bench.processes import World

_GOAL = 0.3


def measure(world: World) -> Report:
    """Commands in turns, against an interpreter that does nothing; then the service on an empty store."""
    report = Report("startup")
    folder = world.new_folder("startup")
    (folder / "rules").mkdir()
    (folder / "rules" / "one.yaml").write_text('pack: one\nrules: [{name: a, match: ["x=\\"y\\""], mode: observe}]\n')
    commands = {
        "python -c pass": ["-c", "pass"],
        "remediator --help": ["-m", "remediator", "--help"],
        "remediator runs list --help": ["-m", "remediator", "runs", "list", "--help"],
        "remediator runs list, nobody answers": ["-m", "remediator", "runs", "list"],
        "remediator check, one rule": ["-m", "remediator", "check", "rules"],
    }
    environment = world.environment(REMEDIATOR_LISTEN="127.0.0.1:9", PYTHONPYCACHEPREFIX=str(folder / "bytecode"))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    found: dict[str, list[float]] = {name: [] for name in commands}
    worked: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(world.pick(15, 2)):
        for name, arguments in commands.items():
            seconds, of_processor = _run(arguments, folder, environment)
            if turn:  # the first one fills the system's cache, and writes the bytecode
                found[name].append(seconds)
                worked[name].append(of_processor)
    least = median(found["python -c pass"])
    for name, times in found.items():
        is_goal = "remediator" in name
        report.add(
            name,
            f"{spread(times, '{:.2f}')} s, {median(worked[name]):.2f} s of a processor",
            f"{median(times) / least:.0f} times an empty interpreter",
            goal=f"< {_GOAL} s" if is_goal else "",
            reached=median(times) < _GOAL if is_goal else None,
        )
    report.raw |= {"seconds": found, "processor": worked}
    for store in world.stores:
        starts = []
        for _ in range(world.pick(5, 1)):
            service = world.service(store, [packs.COMPLETE])
            starts.append(service.starting)
            service.stop()
        report.add(f"remediator serve, until it is ready, on an empty store ({store})", f"{spread(starts, '{:.2f}')} s")
    return report


def _run(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """How long an interpreter with these arguments takes, and how much processor time of that."""
    before, began = os.times(), time.monotonic()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, check=False)
    after, ended = os.times(), time.monotonic()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return ended - began, spent
