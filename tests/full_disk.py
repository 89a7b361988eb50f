"""A small disk that can really be full, a program that writes its logs to it, and what became of its entries."""

import gzip
import os
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import services
from tests.served import ROOT, environment


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A tmpfs of this size, mounted by us: that takes root."""
    services.requires("mount", "umount")
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("needs root to mount a small disk; in CI it has to be there", pytrace=False)
        pytest.skip("needs root to mount a small disk")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclass
class Writer:
    """The writing program as a process."""

    disk: Path
    journal: Path
    log: Path
    port: int
    process: "subprocess.Popen[bytes]"

    def series(self) -> dict[str, float]:
        """What it says on /metrics; nothing before it does."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(OSError), opener.open(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as page:
            pairs = (line.rpartition(" ") for line in page.read().decode().splitlines())
            return {name: float(value) for name, _, value in pairs}
        return {}

    def value(self, name: str) -> float:
        return self.series().get(name, 0.0)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def lost(self) -> set[bytes]:
        """Entries that it has written whole and that are neither in its files nor in their compressed generations."""
        return set(self.journal.read_bytes().splitlines(keepends=True)) - self.kept()

    def kept(self) -> set[bytes]:
        found: set[bytes] = set()
        for path in sorted(self.disk.glob("*.wal")):
            found |= set(path.read_bytes().splitlines(keepends=True))
        for path in sorted(self.disk.glob("*.wal.gz")):
            with suppress(gzip.BadGzipFile):
                found |= set(gzip.decompress(path.read_bytes()).splitlines(keepends=True))
        return found


def slow_writer(disk: Path, beside: Path) -> AbstractContextManager[Writer]:
    """The program at a walking pace, so that it does not fill the disk."""
    return writer(disk, beside, "slow")


@contextmanager
def writer(disk: Path, beside: Path, *pace: str) -> Iterator[Writer]:
    """The program, writing to the disk; ended at last."""
    port = services.free_port()
    journal, log = beside / "journal", beside / "backend.log"
    log.touch()
    argv = [sys.executable, "-m", "tests.wal_writer", str(disk), str(journal), str(log), str(port), *pace]
    with (beside / "writer-said").open("wb") as said:
        process = subprocess.Popen(argv, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stderr=said)
    made = Writer(disk, journal, log, port, process)
    try:
        yield made
    finally:
        made.stop()


def old_generations(disk: Path, count: int, size: int) -> list[str]:
    """Compressed generations from long ago, which cannot be made smaller; their names, the oldest first."""
    chance, names = random.Random(3), []
    for n in range(count):
        path = disk / f"inbox-{n:05}.wal.gz"
        path.write_bytes(gzip.compress(chance.randbytes(size)))
        os.utime(path, (1_600_000_000 + n, 1_600_000_000 + n))
        names.append(path.name)
    return names


def fill(path: Path) -> None:
    """Fill the disk to its last byte."""
    with suppress(OSError), path.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 512)
