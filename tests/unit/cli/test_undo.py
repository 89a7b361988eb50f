"""`remediator undo` names each step before it is put back, and asks at a terminal; what stays has its reason."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from click.testing import CliRunner, Result

from remediator.cli import main
from remediator.cli.telling import tell_run
from tests.served import ROOT
from tests.unit.cli.calling import listening
from tests.unit.cli.test_telling import RUN

GIVEN: dict[str, Any] = {
    "round": 1,
    "step": "remediate.0.0",
    "action": "docker.set_memory",
    "sentence": "give web 2 GiB",
    "targets": ["docker:local/web@4f5e"],
    "stands": "can be put back",
    "why": "",
    "before": {"limit": 67108864},
    "until": None,
}
RESTARTED = {
    **GIVEN,
    "step": "remediate.0.1",
    "sentence": "restart web",
    "stands": "stays",
    "why": "docker.restart keeps nothing",
    "before": None,
}
FOUND: dict[str, Any] = {"id": "r1", "changes": [RESTARTED, GIVEN], "refused": None, "ends_run": False}
TOLD = [
    "Run r1 has changed, the last first:",
    "  1. restart web",
    "     on docker:local/web@4f5e",
    "     stays: docker.restart keeps nothing",
    "  2. give web 2 GiB",
    "     on docker:local/web@4f5e",
    "     can be put back",
    '     before it: {"limit": 67108864}',
]
ASKED = "undo asked for: run r1 (how it goes: remediator runs show r1)"


asked_with: list[str] = []
"""The queries of the looks at the server that was last."""


@contextmanager
def serving(*found: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers each look with the next of these, and the last again; its URL, and what it was to do."""
    looks, wishes, queries = list(found), list[dict[str, Any]](), asked_with
    queries.clear()

    class Undoing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            assert "/api/v1/runs/r1/undo" == path
            queries.append(query)
            self.answer(looks.pop(0) if len(looks) > 1 else looks[0])

        def do_POST(self) -> None:
            assert "/api/v1/runs/r1/undo" == self.path
            wishes.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer({})

        def answer(self, said: dict[str, Any]) -> None:
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with listening(Undoing) as url:
        yield url, wishes


def call(*found: dict[str, Any], options: Sequence[str] = ()) -> tuple[Result, list[dict[str, Any]]]:
    """The command's end, and what the service was asked to do, which answers its looks with these."""
    with serving(*found) as (url, wishes):
        result = CliRunner().invoke(main, ["undo", "r1", "--url", url, *options])
    return result, wishes


def as_it_is(stands: str, why: str = "", *, under_way: bool = False) -> dict[str, Any]:
    """What is answered once it was asked for."""
    return {**FOUND, "changes": [RESTARTED, {**GIVEN, "stands": stands, "why": why}], "under_way": under_way}


BACK = as_it_is("was put back")


def test_it_is_asked_for_and_what_came_of_it_is_told() -> None:
    """A script is not asked; what would be done is told first."""
    begun = as_it_is("is being put back", under_way=True)
    result, wishes = call(FOUND, begun, BACK, options=["--reason", "it was me"])

    assert [
        *TOLD,
        ASKED,
        "“restart web” stays: docker.restart keeps nothing",
        "“give web 2 GiB” was put back",
    ] == result.stdout.splitlines()
    assert (0, ["it was me"]) == (result.exit_code, [wish["reason"] for wish in wishes])
    assert all(wish["by"] for wish in wishes)


@pytest.mark.parametrize(
    ("found", "code", "last"),
    [
        (
            as_it_is("needs a person", "it was not put back: somebody has changed that since"),
            1,
            "“give web 2 GiB” needs a person: it was not put back: somebody has changed that since",
        ),
        (as_it_is("can be put back"), 1, "“give web 2 GiB” can be put back"),
        (as_it_is("is being put back", "held, changes are paused", under_way=True), 0, "it goes on"),
    ],
    ids=["somebody has changed it", "a guard refused", "it takes longer"],
)
def test_what_was_found_is_told_at_once(found: dict[str, Any], code: int, last: str) -> None:
    """Where a person has to look, the exit code says so; what goes on is not waited for without an end."""
    result, _ = call(FOUND, found, options=["--wait", "0.1"])

    assert (code, last) == (result.exit_code, result.stdout.splitlines()[-1])


def test_it_can_be_looked_at_without_doing_anything() -> None:
    """Whoever is woken looks first."""
    result, wishes = call(FOUND, options=["--show"])
    shown, _ = call(FOUND, options=["--show", "-o", "json"])

    assert (0, TOLD, []) == (result.exit_code, result.stdout.splitlines(), wishes)
    assert FOUND == json.loads(shown.stdout)


def test_who_looks_first_sees_how_it_is_now() -> None:
    """What is on record does not say that somebody has changed it since."""
    says = "somebody has changed it since, so it would be left as it is: web may use 4 GiB"
    now = {**FOUND, "changes": [{**GIVEN, "now": {"is": "changed", "says": says}}]}
    result, wishes = call(now, options=["--show"])

    assert (0, [], ["look=true"]) == (result.exit_code, wishes, asked_with)
    assert f"     now: {says}" in result.stdout.splitlines()


def test_the_service_waits_and_not_the_command() -> None:
    """It is not asked again and again: each question says how long it may take."""
    begun = as_it_is("is being put back", under_way=True)
    call(FOUND, begun, BACK, options=["--wait", "25"])

    assert ["", "wait=10000ms", "wait=10000ms"] == asked_with


def test_a_script_reads_what_comes_of_it_as_json() -> None:
    """What people read meanwhile is not among it."""
    result, wishes = call(FOUND, BACK, options=["-o", "json"])
    quiet, _ = call(FOUND, BACK, options=["-o", "json", "-y"])

    assert (BACK, [*TOLD, ASKED], 1) == (json.loads(result.stdout), result.stderr.splitlines(), len(wishes))
    assert (BACK, [ASKED]) == (json.loads(quiet.stdout), quiet.stderr.splitlines())


@pytest.mark.parametrize("options", [[], ["--show"], ["-o", "json", "-y"]])
def test_what_would_come_to_nothing_is_not_asked_for(options: list[str]) -> None:
    """The exit code says it as well."""
    result, wishes = call({**FOUND, "changes": [], "refused": "this run has changed nothing"}, options=options)

    assert (1, []) == (result.exit_code, wishes)
    assert result.stderr.endswith("this run has changed nothing; see: remediator runs show r1\n")


def test_a_run_that_goes_on_is_said_to_be_stopped() -> None:
    """That is more than an undo."""
    result, _ = call({**FOUND, "ends_run": True}, options=["--show"])
    said = "The run has not ended: it is stopped first, and a step that is acting is let to its end."

    assert said == result.stdout.splitlines()[-1]


@pytest.mark.parametrize(("word", "code"), [("y", 0), ("n", 1)])
def test_at_a_terminal_a_person_is_asked(word: str, code: int) -> None:
    """After each step was named; a no does nothing."""
    with serving(FOUND, BACK) as (url, wishes):
        theirs, ours = pty.openpty()
        command = [sys.executable, "-m", "remediator", "undo", "r1", "--url", url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, stdin=ours, stdout=ours, stderr=ours, env=environment) as process:
            os.close(ours)
            os.write(theirs, f"{word}\n".encode())
            said = "".join(_read(theirs))
        os.close(theirs)

    assert code == process.returncode, said
    assert said.index("2. give web 2 GiB") < said.index("Put back what can be put back? [y/N]")
    assert 1 - code == len(wishes)
    assert ("nothing was done" in said) == (word == "n")


def _read(terminal: int) -> Iterator[str]:
    with suppress(OSError):  # which is how a terminal ends
        while said := os.read(terminal, 4096):
            yield said.decode()


def test_a_run_is_shown_with_what_it_has_changed() -> None:
    """And what to type at three in the morning."""
    lasting = {**GIVEN, "until": "2026-01-31T13:00:00Z"}
    lines = tell_run({**RUN, "changes": [RESTARTED, lasting]})

    assert [
        "Changed, the last first:",
        "  restart web",
        "    on docker:local/web@4f5e",
        "    stays: docker.restart keeps nothing",
        "  give web 2 GiB",
        "    on docker:local/web@4f5e",
        "    can be put back",
        '    before it: {"limit": 67108864}',
        "    for a while: it is put back by itself at 2026-01-31 13:00:00 UTC, or when its alert resolves",
        "To have it put back: remediator undo d1m0k2s3abcdefgh",
    ] == lines[lines.index("Changed, the last first:") :]


def test_what_is_back_asks_for_nothing_more() -> None:
    """There is nothing left to type."""
    lines = tell_run({**RUN, "changes": [{**GIVEN, "stands": "was put back", "before": None}]})

    assert "    was put back" == lines[-1]


def test_a_step_that_puts_another_back_is_told_by_what_that_one_did() -> None:
    """Its own id says nothing to a person."""
    plan = {**RUN["timeline"][1]["plan"], "lasts": 1800.0}
    plan["steps"] = [
        {**step, "stays": stays} for step, stays in zip(plan["steps"] * 2, ("no way back", ""), strict=True)
    ]
    undone = {
        "at": "2026-01-31T12:30:00Z",
        "kind": "finished",
        "step": "undo.1.remediate.0.0",
        "text": "undo.1.remediate.0.0 done after 0.1 s: web may use 64 MiB again",
        "detail": "",
    }
    lines = tell_run({**RUN, "timeline": [{**RUN["timeline"][1], "plan": plan}, undone]})

    assert (
        "2026-01-31 12:30:00 UTC  putting back “restart the container web” done after 0.1 s: web may use 64 MiB again"
        in lines
    )
    assert ["       cannot be put back: no way back", "       can be put back"] == [
        line for line in lines if line.endswith(("no way back", "can be put back"))
    ]
    assert "    lasts 30m, then it is put back" in lines
