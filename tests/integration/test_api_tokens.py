"""Tokens of the API at the real service: made at the terminal, used there by somebody else, and revoked."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.integration.test_begun_anew import fire, newest
from tests.served import Served, environment

SETTINGS: dict[str, Any] = {
    "people": {"anna": {}, "ben": {"token": "ben@laptop"}},
    "approval": {"groups": {"sre": ["anna"]}, "approvers": ["sre"]},
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    made.configure(mode="gated", **SETTINGS)
    made.start()
    yield made
    made.end()


def make(served: Served, subject: str, scope: str) -> str:
    made = served.command("tokens", "make", subject, "--scope", scope, "--for", "1h")
    assert 0 == made.returncode, made.stderr
    return made.stdout.strip()


def call(served: Served, token: str, *arguments: str) -> tuple[int, str]:
    """A command with somebody's token: its exit code, and what it says."""
    argv = [sys.executable, "-m", "remediator", "-c", str(served.folder / "remediator.yaml"), *arguments]
    there = {**environment(), "REMEDIATOR_TOKEN": token}
    done = subprocess.run(argv, cwd=served.folder, env=there, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_each_token_does_what_it_may_in_the_name_of_its_owner(served: Served) -> None:
    """One only reads, one is of nobody who may decide on this, one decides, and does no more once it is revoked."""
    reader, bens, annas = (
        make(served, "ci", "read"),
        make(served, "ben@laptop", "decide"),
        make(served, "anna", "decide"),
    )
    fire(served)
    services.wait_until(lambda: newest(served)["waiting"], "the plan to wait")
    run = served.run()["id"]

    assert (0, True) == ((read := call(served, reader, "runs", "list"))[0], run in read[1])
    assert (5, "not allowed: this takes a token with the scope decide, and yours has read\n") == (
        call(served, reader, "cancel", run)
    )
    assert (5, "not allowed: this takes a token with the scope admin, and yours has decide\n") == (
        call(served, annas, "pause")
    )
    refused = call(served, bens, "approve", run, "--yes")
    assert refused[0] in (1, 5)
    assert "only sre may decide on this, and you are not in there" in refused[1]
    assert 0 == call(served, annas, "approve", run, "--yes")[0]
    services.wait_until(lambda: newest(served)["outcome"] == "healed", "the run to heal")
    (decision,) = [signal for signal in newest(served)["signals"] if signal["kind"] == "decision"]
    assert "anna" == decision["by"]

    told = served.command("tokens", "list").stdout
    assert ["ci", "ben@laptop", "anna"] == [line.split()[1] for line in told.splitlines()[1:]]
    assert 0 == served.command("tokens", "revoke", annas).returncode
    over = call(served, annas, "runs", "list")
    assert (5, True) == (over[0], "is revoked since" in over[1])
    entries = [line["what"] for line in served.get("/api/v1/audit")["entries"]]
    assert [3, 1] == [entries.count(what) for what in ("token made", "token revoked")]


def test_no_secret_of_a_token_is_left_at_the_service(served: Served) -> None:
    """Neither in the store nor in the log: whoever reads a backup can call nothing."""
    secret = make(served, "ci", "read").split("_", 2)[2].encode()
    served.stop()
    files = [path for path in served.folder.rglob("*") if path.is_file()]

    assert any(b"token_made" in path.read_bytes() for path in files)
    assert not [path for path in files if secret in path.read_bytes()]
