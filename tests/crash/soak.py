"""`make soak`: hundreds of kills on each store, in batches that can be resumed. `python -m tests.crash.soak [STAGE…]`.

What is done stands in the folder that SOAK_DIR names (a new one in the temporary folder, if it names none): run it
again with the same folder, and it goes on. SOAK_KILLS says how many things happen on each store; without it 500. A
batch that has found something keeps its files; its seed is printed, as that of every batch is.
"""

import asyncio
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import services
from tests.crash.driver import Deed
from tests.crash.scenes import Scene, play, report

KILLS = 500
_BATCH = 25
_LASTING: tuple[Deed, ...] = ("kill", "kill", "freeze", "cut", "hang")


@dataclass(frozen=True)
class Stage:
    """One kind of batch: how much of it there is to be, in things that happen."""

    name: str
    wanted: int
    replicas: int = 1
    deeds: tuple[Deed, ...] = ("kill",)


@dataclass
class Log:
    """What was done so far, in a file."""

    path: Path
    batches: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "Log":
        path = folder / "batches.json"
        return cls(path, json.loads(path.read_text()) if path.exists() else [])

    def done(self, stage: Stage) -> int:
        return sum(batch["times"] for batch in self.batches if batch["stage"] == stage.name)

    def add(self, **batch: Any) -> None:
        self.batches.append(batch)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.batches, indent=1))
        new.rename(self.path)


def stages(kills: int) -> tuple[Stage, ...]:
    """Each store alone, and PostgreSQL with two and three replicas that are frozen and cut off as well."""
    return (
        Stage("sqlite", kills),
        Stage("postgresql", kills),
        Stage("postgresql-2", kills // 5, 2, _LASTING),
        Stage("postgresql-3", kills // 5, 3, _LASTING),
    )


@contextmanager
def database(stage: Stage, seed: int) -> Iterator[str]:
    """The URL of a database of the batch's own; nothing for the embedded store."""
    if stage.name == "sqlite":
        yield ""
        return
    with services.postgresql() as server:
        server.sql("CREATE ROLE remediator LOGIN", f"CREATE DATABASE soak_{seed} OWNER remediator")
        yield f"postgresql://remediator@{server.address}/soak_{seed}"


def batch(stage: Stage, times: int, folder: Path, log: Log) -> bool:
    """One batch on a new store; whether it found nothing wrong."""
    seed = secrets.randbelow(10**9)
    place = folder / f"{stage.name}-{seed}"
    place.mkdir(parents=True)
    with database(stage, seed) as url:
        scene = Scene(seed, times, url, stage.replicas, stage.deeds, finds=seed % 4 > 0, every=0.35)
        verdict, counts = asyncio.run(play(scene, place))
    said = report(scene, verdict, counts)
    sys.stdout.write(f"{stage.name}: {said}\n")
    sys.stdout.flush()
    found = {"problems": verdict.problems, "counts": dict(verdict.counts), "happened": dict(counts)}
    log.add(stage=stage.name, seed=seed, times=sum(counts.values()), **found)
    if not verdict.problems:
        shutil.rmtree(place)
    return not verdict.problems


def summary(log: Log) -> str:
    """What all batches together have shown."""
    lines = []
    for name in sorted({one["stage"] for one in log.batches}):
        mine = [one for one in log.batches if one["stage"] == name]
        happened, counts = Counter[str](), Counter[str]()
        for one in mine:
            happened.update(one["happened"])
            counts.update(one["counts"])
        problems = sum(len(one["problems"]) for one in mine)
        healed = counts["calm and healed"] / max(counts["calm"] - counts["calm and denied"], 1)
        lines += [
            f"{name}: {len(mine)} batches, {sum(happened.values())} in all, {problems} problems",
            "  " + ", ".join(f"{what}: {count}" for what, count in sorted(happened.items())),
            "  " + ", ".join(f"{what}: {count}" for what, count in sorted(counts.items())),
            f"  {healed:.1%} of the runs that were left in peace, and not denied, reached their effect and healed",
        ]
    return "\n".join(lines)


def main(names: Sequence[str]) -> int:
    """Go on until everything wanted was done, or what is named of it; 1 where anything was found."""
    folder = Path(os.environ.get("SOAK_DIR") or tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    log = Log.of(folder)
    sys.stdout.write(f"soak in {folder}; go on with it by SOAK_DIR={folder}\n")
    for stage in stages(int(os.environ.get("SOAK_KILLS") or KILLS)):
        while (not names or stage.name in names) and (left := stage.wanted - log.done(stage)) > 0:
            batch(stage, min(left, _BATCH), folder, log)
    sys.stdout.write(summary(log) + "\n")
    return 1 if any(one["problems"] for one in log.batches) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
