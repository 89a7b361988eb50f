"""A disk that fails beneath the embedded store: what was not durable is not accepted, and it recovers by itself.

What is right after a failed fsync? The kernel may have marked the pages as clean and dropped them, so to call fsync
again and believe it would be wrong. SQLite with a write-ahead log does not do that: the commit has failed, its frames
are not valid in this process, and the next commit writes its own frames over them, from the last valid one on, before
it calls fsync. A checkpoint whose fsync has failed is carried out again from where it began, and the log is kept until
then (seen with strace, SQLite 3.40). So the service answers 503 and goes on; nothing has to be restarted. What the
failed commit has written may still turn out to be there after a crash: a delivery that nobody was promised, which is
sent again anyway, or a step that is *started* and was never carried out, which is told as unknown.
"""

import sqlite3
import subprocess

import pytest

from tests import full_disk, services, storm
from tests.chaos.after_an_outage import check, is_ready
from tests.served import Served


class Faulty:
    """The service beneath `fiu-run`, whose system calls fail on request."""

    def __init__(self, served: Served) -> None:
        services.requires("fiu-run", "fiu-ctrl")
        self._served = served
        self._control = str(served.folder / "fiu")
        served.wrapper = ("fiu-run", "-x", "-f", self._control)

    def fail(self, point: str, *, probability: float = 1.0) -> None:
        """From now on, such calls fail with EIO."""
        self._say(f"enable_random name={point},probability={probability},failinfo=5")

    def mend(self, point: str) -> None:
        self._say(f"disable name={point}")

    def _say(self, command: str) -> None:
        assert self._served.process is not None
        argv = ["fiu-ctrl", "-f", self._control, "-c", command, str(self._served.process.pid)]
        subprocess.run(argv, check=True, timeout=30, capture_output=True)


def start(served: Served, **settings: object) -> None:
    storm.configure(served, **settings)
    served.start()


def is_whole(served: Served) -> bool:
    db = sqlite3.connect(served.folder / "store" / "remediator.sqlite3")
    try:
        return bool(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)])
    finally:
        db.close()


@pytest.mark.parametrize("point", ["posix/io/sync/*", "posix/io/rw/pwrite*"], ids=["fsync", "write"])
def test_nothing_is_accepted_while_the_disk_fails_and_everything_afterwards(served: Served, point: str) -> None:
    """No 202 for what is not on disk; the sender brings it again, and nobody has to restart us."""
    faulty = Faulty(served)
    start(served)
    with storm.Load(served) as load:
        load.wait_for(10)
        faulty.fail(point)
        is_ready(served, 503)
        accepted, refused = len(load.accepted), load.answers[503]
        services.wait_until(lambda: load.answers[503] > refused + 30 * storm.SCALE, "deliveries to be refused")

        assert accepted == len(load.accepted)

        faulty.mend(point)
        is_ready(served, 200)
        load.wait_for(10)
        load.finish()
        check(served, load)

    assert 0 == served.stop()
    assert is_whole(served)


def test_what_was_accepted_on_a_disk_that_fails_now_and_then_is_there_after_a_kill(served: Served) -> None:
    """Half of all commits and checkpoints fail; those that are said to have succeeded have."""
    faulty = Faulty(served)
    start(served)
    with storm.Load(served, rate=20) as load:
        load.wait_for(5)
        faulty.fail("posix/io/sync/*", probability=0.5)
        load.wait_for(60 * storm.SCALE)
        served.kill()
        promised = load.alerts
        kept = set(storm.verdict(served).runs)
        served.start()
        load.finish()
        check(served, load)

    assert promised <= kept
    assert 0 == served.stop()
    assert is_whole(served)


def test_a_full_disk_refuses_until_there_is_room(served: Served) -> None:
    """The commonest failure of all; what is under way waits for it, and goes on. It has to have 64 MiB free."""
    with full_disk.small_disk(served.folder / "disk", 128) as disk:
        start(served, store={"directory": str(disk / "store")})
        (served.folder / "store").symlink_to(disk / "store")
        with storm.Load(served) as load:
            load.wait_for(10)
            full_disk.fill(disk / "ballast")
            is_ready(served, 503)
            refused = load.answers[503]
            services.wait_until(lambda: load.answers[503] > refused + 30 * storm.SCALE, "deliveries to be refused")
            (disk / "ballast").unlink()
            is_ready(served, 200)
            load.wait_for(10)
            load.finish()
            check(served, load)

        assert 0 == served.stop()
        assert is_whole(served)
