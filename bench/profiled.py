"""The service under a profiler: `python -m bench.profiled OUT -c FILE serve`. Each of its threads is profiled.

Only the processor time of each thread counts, so that others on the machine disturb little, and waiting not at all.
When it ends, OUT.main and OUT.sqlite-writer and so on can be read with `python -m pstats`.
"""

import cProfile
import sys
import threading
import time

from remediator.cli import main


def _profile_threads(out: str) -> None:
    """Have every thread that starts from now on write its own profile."""
    plain = threading.Thread.run

    def profiled(self: threading.Thread) -> None:
        profile = cProfile.Profile(time.thread_time)
        profile.runcall(plain, self)
        profile.dump_stats(f"{out}.{self.name}")

    threading.Thread.run = profiled  # type: ignore[method-assign]  # the profiler sees only the thread that starts it


if __name__ == "__main__":
    _OUT = sys.argv.pop(1)
    _profile_threads(_OUT)
    _PROFILE = cProfile.Profile(time.thread_time)
    try:
        _PROFILE.runcall(main)
    finally:
        _PROFILE.dump_stats(f"{_OUT}.main")
