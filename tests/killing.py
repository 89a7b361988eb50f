"""Kills a files action at each of its calls to the system, and at random moments, and looks what is left.

Run as `python -m tests.killing SCENARIO FOLDER SEED`, on a folder of its own; it writes what it found as JSON. It is a
program, because it forks: the product is imported once, and each attempt is a child that is killed.
"""

import asyncio
import gzip
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from remediator.actions import files
from remediator.clients import Clients
from remediator.errors import Failed, RemediatorError, Unavailable
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.plugins import Action, ActionContext, Result
from remediator.settings import FileSettings, Settings

_WATCHED = ("open", "os.", "fcntl.", "time.sleep")
_RANDOM_KILLS = 60


def call(action: Action, folder: Path, **params: Any) -> Result:
    """Carry out an action in a folder, the way a step does."""

    async def perform() -> Result:
        clients = Clients(Settings(files=FileSettings(roots={"wal": folder})))
        given = action.params.model_validate({"root": "wal", **params})
        deadline = datetime.now(UTC) + timedelta(seconds=60)
        context = ActionContext(clients, SystemClock(), StepId("remediate.0.0"), deadline)
        try:
            targets = await action.resolve(context, given) if action.resolve else ()
            context = ActionContext(clients, SystemClock(), StepId("remediate.0.0"), deadline, targets)
            return await action.perform(context, given)
        finally:
            await clients.close()

    return asyncio.run(perform())


def attempt(work: Callable[[], object], *, kill_at: int = 0, kill_after: float = 0) -> tuple[bool, int]:
    """Do the work in a child; whether it was killed, and else how many calls to the system it made."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _work_and_exit(work, kill_at, writing)
    os.close(writing)
    if kill_after:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    said = b""
    while chunk := os.read(reading, 65536):
        said += chunk
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        return True, 0
    assert os.WEXITSTATUS(status) == 0, said.decode()
    return False, int(said)


def _work_and_exit(work: Callable[[], object], kill_at: int, writing: int) -> None:
    calls = 0

    def count(event: str, _: tuple[Any, ...]) -> None:
        nonlocal calls
        if event.startswith(_WATCHED):
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        work()
    except BaseException as error:
        os.write(writing, repr(error).encode())
        os._exit(1)
    os.write(writing, str(calls).encode())
    os._exit(0)


@dataclass
class Report:
    """What was found."""

    kills: int = 0
    calls: int = 0
    problems: list[str] = field(default_factory=list)


def sweep(prepare: Callable[[], None], work: Callable[[], object], check: Callable[[], str], seed: int) -> Report:
    """Kill the work at every call to the system and at random moments; after each kill do it again, and check."""
    report, chance = Report(), random.Random(seed)
    prepare()
    began = time.monotonic()
    _, report.calls = attempt(work)
    seconds = time.monotonic() - began
    plans = [{"kill_at": n} for n in range(1, report.calls + 1)]
    for plan in [*plans, *({"kill_after": chance.uniform(0, 1.2 * seconds)} for _ in range(_RANDOM_KILLS))]:
        prepare()
        killed, _ = attempt(work, **plan)  # type: ignore[arg-type]  # one of the two, each of its type
        report.kills += killed
        problem = check()
        attempt(work)
        problem = problem or check()
        if problem or (left := leftovers()):
            report.problems.append(f"{plan}: {problem or left}")
    return report


FOLDER = Path()


def leftovers() -> str:
    """Hidden names that should be gone once the action has ended by itself."""
    return ", ".join(sorted(one.name for one in FOLDER.iterdir() if one.name.startswith(".")))


# Rotating

_INBOX = 5


def entry(n: int, size: int = 400) -> bytes:
    """A line that is like no other."""
    return json.dumps({"id": n, "pad": random.Random(n).randbytes(size // 2).hex()}).encode() + b"\n"


def prepare_inbox() -> None:
    clear()
    for n in range(_INBOX):
        path = FOLDER / f"inbox-{n}.wal"
        path.write_bytes(b"".join(entry(100 * n + k) for k in range(20)))
        os.utime(path, (1_700_000_000 + n, 1_700_000_000 + n))


def clear() -> None:
    for one in FOLDER.iterdir():
        one.unlink()


def inbox_entries(folder: Path) -> list[bytes]:
    """What is in the inbox, in files or in their compressed generations, as a person would look."""
    found: list[bytes] = []
    for path in sorted(folder.glob("inbox-*.wal")):
        found += path.read_bytes().splitlines(keepends=True)
    for path in sorted(folder.glob("inbox-*.wal.gz")):
        found += gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    return found


def check_inbox() -> str:
    wanted = {entry(100 * n + k) for n in range(_INBOX) for k in range(20)}
    missing = wanted - set(inbox_entries(FOLDER))
    newest = FOLDER / f"inbox-{_INBOX - 1}.wal"
    return f"{len(missing)} entries are lost" if missing else "" if newest.exists() else "the newest file is gone"


def rotate() -> None:
    call(files.rotate, FOLDER, pattern="inbox-*.wal")


# Compacting

_OLD, _NEW = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
_OUTBOX = 60


def outbox_lines() -> tuple[list[bytes], list[bytes]]:
    """What must stay, in order, and all of it with what may go."""
    stay: list[bytes] = []
    everything: list[bytes] = []
    for n in range(_OUTBOX):
        line = json.dumps({"id": f"e{n}", "ts": _OLD, "pad": "x" * 300}).encode() + b"\n"
        everything.append(line)
        if n % 3:
            stay.append(line)
    acked = ({"id": f"e{n}", "ts": _OLD, "acked": True} for n in range(0, _OUTBOX, 3))
    everything += [json.dumps(line).encode() + b"\n" for line in acked]
    odd = [
        b"{half\n",
        b"\n",
        b'{"id": "late", "ts": "' + _NEW.encode() + b'", "acked": true}\n',
        b'{"id": "torn',
    ]
    return stay + odd, everything + odd


def prepare_outbox() -> None:
    clear()
    (FOLDER / "outbox.wal").write_bytes(b"".join(outbox_lines()[1]))


def check_outbox() -> str:
    stay, everything = outbox_lines()
    found = (FOLDER / "outbox.wal").read_bytes()
    return "" if found in (b"".join(stay), b"".join(everything)) else f"neither all nor what must stay: {found!r}"


def compact() -> None:
    call(files.compact, FOLDER, path="outbox.wal")


def prepare_late() -> None:
    """A compaction was killed right after its rename, and a writer has appended to the old file since."""
    prepare_outbox()
    stay, everything = outbox_lines()
    old, new = FOLDER / "outbox.wal", FOLDER / "made"
    new.write_bytes(b"".join([*stay[:-1], b'{"id": "since"}\n']))
    base = len(b"".join(stay[:-1]))
    old.write_bytes(b"".join([*everything[:-1], *_LATE]))
    offset = len(b"".join(everything[:-1]))
    old.rename(FOLDER / f".outbox.wal.compacted-{offset}-{base}-{old.stat().st_ino}")
    new.rename(old)


_LATE = [b'{"id": "late1", "pad": "' + b"y" * 9000 + b'"}\n', b'{"id": "late2"}\n']


def check_late() -> str:
    """Before the next compaction the late lines wait in the old file; after it, they are there exactly once."""
    waits = any(one.name.startswith(".outbox.wal.compacted-") for one in FOLDER.iterdir())
    found = (FOLDER / "outbox.wal").read_bytes()
    stay = b"".join([*outbox_lines()[0][:-1], b'{"id": "since"}\n'])
    if not found.startswith(stay):
        return "what was there is not there"
    rest = found.removeprefix(stay)
    return "" if rest == b"".join(_LATE) or (rest == b"" and waits) else f"late lines are wrong: {rest[-200:]!r}"


# Beside a writer


def until_done(work: Callable[[], Result]) -> None:
    """Do what a person would: again, where a writer was in the way."""
    for _ in range(50):
        try:
            work()
        except (Failed, Unavailable):
            continue
        return
    raise RemediatorError("a writer was in the way 50 times")


def compact_beside_writer(seed: int) -> Report:
    """Kill compactions at random moments while a writer appends, opening the outbox for each entry."""
    report, chance = Report(), random.Random(seed)
    prepare_outbox()
    journal = FOLDER.parent / f"{FOLDER.name}-journal"
    writer = os.fork()
    if writer == 0:
        append_for_ever(FOLDER / "outbox.wal", journal, seed)
    try:
        for _ in range(_RANDOM_KILLS):
            killed, _calls = attempt(
                lambda: until_done(lambda: call(files.compact, FOLDER, path="outbox.wal")),
                kill_after=chance.uniform(0.005, 0.15),
            )
            report.kills += killed
            with (FOLDER / "outbox.wal").open("ab") as out:  # something to drop, for the next one
                out.write(b'\n{"id": "gone", "ts": 5, "acked": true}\n')
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    attempt(lambda: until_done(lambda: call(files.compact, FOLDER, path="outbox.wal")))
    found = (FOLDER / "outbox.wal").read_bytes().splitlines(keepends=True)
    written = journal.read_bytes().splitlines(keepends=True)
    report.calls = len(written)
    lost = set(written) - set(found)
    report.problems += [f"lost: {line!r}" for line in sorted(lost)][:5]
    lost = set(outbox_lines()[0][:-1]) - set(found)
    report.problems += [f"lost of the first: {line!r}" for line in sorted(lost)][:5]
    left = leftovers()
    report.problems += [left] if left else []
    return report


def append_for_ever(path: Path, journal: Path, seed: int) -> None:
    """A writer: an entry counts as written once the write has returned, and is noted then."""
    chance = random.Random(seed)
    noted = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    n = 0
    while True:
        n += 1
        line = json.dumps({"id": f"w{n}", "ts": _OLD, "pad": "z" * chance.randrange(200)}).encode() + b"\n"
        out = os.open(path, os.O_WRONLY | os.O_APPEND)
        time.sleep(chance.choice((0, 0, 0, 0.002)))
        os.write(out, line if n > 1 else b"\n" + line)
        os.close(out)
        os.write(noted, line)
        time.sleep(chance.uniform(0, 0.004))


def main(scenario: str, folder: str, seed: str) -> None:
    global FOLDER  # noqa: PLW0603 - this is a program of its own
    FOLDER = Path(folder)
    if scenario == "writer":
        report = compact_beside_writer(int(seed))
    else:
        prepare, work, check = {
            "rotate": (prepare_inbox, rotate, check_inbox),
            "compact": (prepare_outbox, compact, check_outbox),
            "late": (prepare_late, compact, check_late),
        }[scenario]
        report = sweep(prepare, work, check, int(seed))
    sys.stdout.write(json.dumps(vars(report)))


if __name__ == "__main__":
    main(*sys.argv[1:])
