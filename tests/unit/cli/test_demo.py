"""The demo at a terminal: one Ctrl-C ends it, and nothing is done without a yes."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_PATIENCE = 60.0


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (b"\x03", 130, "Stopped; nothing was done."),
        (b"\n", 0, "It was left as it is, as you said."),
        (b"n\n", 0, "It was left as it is, as you said."),
    ],
    ids=["ctrl-c", "enter", "no"],
)
def test_without_a_yes_nothing_is_done(tmp_path: Path, typed: bytes, code: int, said: str) -> None:
    """Whoever only wants to look must get away at the first try, with everything stopped behind him."""
    shown, ended = play(tmp_path, typed)

    assert (code, "") == (ended, shown.rpartition(said)[2].strip()), shown
    assert "in this demo you decide here" in shown
    assert "Traceback" not in shown
    assert (b"\x03" == typed) == ("] Denied" not in shown)
    assert [] == list(tmp_path.iterdir())


def test_with_a_yes_it_heals_with_every_guard_in_place(tmp_path: Path) -> None:
    """People see it first; limits that kept the one broken service from its restart were too strict."""
    ended = subprocess.run(
        [sys.executable, "-m", "remediator", "demo", "--yes"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )

    assert (0, "") == (ended.returncode, ended.stderr), ended.stdout
    for said in ("Approved.", "] Done: run command restart service=checkout", "] Healed", "The run ended: healed."):
        assert said in ended.stdout
    assert [] == list(tmp_path.iterdir())


def play(folder: Path, typed: bytes) -> tuple[str, int]:
    """What the demo shows where this is typed at its prompt, and its exit code."""
    terminal, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _AS_SESSION_WITH_TERMINAL],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
    )
    os.close(its)
    try:
        shown = _read(terminal, until="Do it? [y/N] ")
        os.write(terminal, typed)
        shown += _read(terminal, until=None)
        return shown.replace("\r\n", "\n"), process.wait(_PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


_AS_SESSION_WITH_TERMINAL = """
import fcntl, signal, termios
signal.signal(signal.SIGINT, signal.default_int_handler)  # as from a shell: what runs in the background may ignore it
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C becomes a signal
from remediator.cli import main
main(["demo"])
"""


def _read(terminal: int, *, until: str | None) -> str:
    """What comes until these words, or until the other side has closed."""
    shown, deadline = b"", time.monotonic() + _PATIENCE
    while until is None or until not in shown.decode(errors="replace"):
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(shown.decode(errors="replace"))
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other side has closed: Linux says it so
            piece = b""
        if not piece:
            break
        shown += piece
    return shown.decode(errors="replace")
