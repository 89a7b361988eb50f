"""Starts services quickly, and says when one dies or stops. A program of its own, without threads.

The product is imported once; each service is a fork. `python -m tests.crash.launcher` takes a JSON object a line:
`{"name", "settings", "log", "arm": {point: [deed, after]}}`, and answers with `{"name", "pid"}`, then with
`{"name", "pid", "died": status}`, `"stopped"` or `"went_on"`. It ends, with all that it started, when its input does.
"""

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

import asyncpg  # noqa: F401 - imported before the fork, as all of it

import remediator.app
import remediator.chat.slack
import remediator.storage.postgres  # noqa: F401 - the same
from remediator.cli import main as command_line
from remediator.kit import failpoints
from remediator.plugins import Actions

_LOOK_EVERY = 0.01  # seconds


def kill() -> None:
    """End as by a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    """Stop until somebody says to go on."""
    os.kill(os.getpid(), signal.SIGSTOP)


DEEDS = {"kill": kill, "freeze": freeze}


def say(**said: Any) -> None:
    sys.stdout.write(json.dumps({"at": time.time(), **said}) + "\n")
    sys.stdout.flush()


def serve(order: dict[str, Any]) -> NoReturn:
    """In the child: the service, with its failpoints armed."""
    code = 70
    try:
        null, log = os.open(os.devnull, os.O_RDWR), os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for point, (deed, after) in order["arm"].items():
            failpoints.arm(point, DEEDS[deed], after=after)
        command_line(["-c", order["settings"], "serve"], prog_name="remediator")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def look_after(children: dict[int, str]) -> None:
    """Say what has become of them."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if pid == 0:
            return
        name = children[pid]
        if os.WIFSTOPPED(status):
            say(name=name, pid=pid, stopped=True)
        elif os.WIFCONTINUED(status):
            say(name=name, pid=pid, went_on=True)
        else:
            del children[pid]
            say(name=name, pid=pid, died=os.waitstatus_to_exitcode(status))


def main() -> None:
    Actions.installed()
    children: dict[int, str] = {}
    read = b""
    say(ready=True)
    while True:
        readable, _, _ = select.select([0], [], [], _LOOK_EVERY)
        look_after(children)
        if not readable:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            break
        *lines, read = (read + chunk).split(b"\n")
        for order in map(json.loads, lines):
            pid = os.fork()
            if pid == 0:
                serve(order)
            children[pid] = order["name"]
            say(name=order["name"], pid=pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
