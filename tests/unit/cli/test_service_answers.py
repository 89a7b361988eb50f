"""What commands make of the service's answers, and of none: an exit code and a sentence."""

import getpass
import json
import os
import threading
from pathlib import Path

import pytest

from tests import services
from tests.unit.cli.calling import answering, call

pytestmark = pytest.mark.usefixtures("dead_proxy")


def test_nobody_listening_ends_with_four(tmp_path: Path) -> None:
    """And says what to do."""
    (tmp_path / "remediator.yaml").write_text(f"listen: 127.0.0.1:{services.free_port()}\n")
    for arguments in (
        ["runs", "list"],
        ["runs", "show", "r1"],
        ["runs", "settle", "r1", "not-done"],
        ["approve", "r1"],
        ["cancel", "r1"],
        ["send", "Down"],
        ["deny", "r1", "--reason", "x"],
        ["alerts"],
        ["breaker", "list"],
        ["breaker", "reset", "redis:cache"],
        ["breaker", "reset", "action:docker.restart"],
        ["stops"],
        ["pause", "--for", "2h"],
        ["resume"],
        ["resume", "rule:web/down", "--storm"],
        ["quarantine", "clear", "docker:local/web"],
        ["promote", "web/down"],
        ["explain", "--run", "r1"],
        ["explain", "--fingerprint", "f"],
    ):
        result = call(*arguments)

        assert 4 == result.exit_code
        assert "does not answer: connection refused\n" in result.stderr
        assert "Start it with: remediator serve. Elsewhere? Set `listen`, or give --url." in result.stderr


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (401, b'{"error": "the API needs a token"}', 5, "not allowed: the API needs a token"),
        (403, b"<html>", 5, "not allowed: Forbidden"),
        (404, b'{"error": "there is no such run"}', 1, "there is no such run"),
        (409, b'{"error": "the run has ended meanwhile"}', 1, "the run has ended meanwhile"),
        (400, b'{"error": "outcome is not one of"}', 2, "the service answered 400: outcome is not one of"),
        (503, b'{"error": "the store cannot be written"}', 4, "the service answered 503: the store cannot"),
        (404, b'{"error": "\x1b[2J\\u001b[2J"}', 1, "Not Found"),
        (404, b'{"error": "\\u001b[2J"}', 1, "\N{REPLACEMENT CHARACTER}[2J"),
        (404, b"[1]", 1, "Not Found"),
        (200, b"<html>hello</html>", 4, "does not answer"),
        (200, b"\xff\xfe", 4, "does not answer"),
        (200, b"[]", 4, "is not remediator"),
        (200, b'{"runs": []}', 4, "is not remediator"),
    ],
)
def test_every_answer_becomes_an_exit_code_and_a_sentence(status: int, body: bytes, code: int, said: str) -> None:
    """Never a traceback, and nothing that a terminal would obey."""
    with answering(status, body) as (url, _):
        result = call("runs", "show", "r1", "--url", url)

    assert code == result.exit_code
    assert said in result.stderr.splitlines()[0]
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (
            ["aaaaaaaaaaaagfl2", "bbbbbbbbbbbbgfl2"],
            "2 runs end with gfl2: aaaaaaaaaaaagfl2, bbbbbbbbbbbbgfl2; give more",
        ),
        (["aaaaaaaaaaaagfl3"], "there is no run gfl2"),
    ],
)
def test_an_end_of_an_id_that_names_not_one_run_is_refused(ids: list[str], said: str) -> None:
    """Nothing may be approved by guessing."""
    with answering(200, json.dumps({"runs": [{"id": run} for run in ids]}).encode()) as (url, asked):
        results = [call(command, "gfl2", "--url", url) for command in ("approve", "cancel")]

    assert [1, 1] == [result.exit_code for result in results]
    assert all(said in result.stderr for result in results)
    assert {"GET"} == {verb for verb, *_ in asked}


def test_a_token_does_not_follow_a_redirect(tmp_path: Path) -> None:
    """Whoever sits at the address could collect it otherwise."""
    (tmp_path / "remediator.yaml").write_text("token: api-token\n")
    with answering(200, b'{"runs": []}') as (thief, stolen), answering(302, Location=f"{thief}/x") as (url, _):
        result = call("runs", "list", "--url", url)

    assert 4 == result.exit_code
    assert [] == stolen


def test_something_that_speaks_no_http_is_not_reachable(tmp_path: Path) -> None:
    """A database on the port of ours must not end in a traceback."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def greet() -> None:
            link, _ = server.accept()
            with link:
                link.recv(1000)
                link.sendall(b"-ERR what?\r\n")

        thread = threading.Thread(target=greet, name="greet")
        thread.start()
        result = call("runs", "list", "--url", url)
        thread.join()

    assert 4 == result.exit_code


def test_labels_cannot_command_the_terminal() -> None:
    """They are anybody's."""
    run = {
        "id": "r1",
        "created_at": "2026-01-01T00:00:00Z",
        "outcome": None,
        "rule": "p/r",
        "alertname": "\x1b]0;owned\x07\nr2  fake line",
        "stage": "drafted",
        "wake_at": None,
    }
    with answering(200, json.dumps({"runs": [run]}).encode()) as (url, _):
        result = call("runs", "list", "--url", url)

    head, _ = result.output.splitlines()
    assert ["RUN", "BEGAN", "STANDS", "RULE", "ALERT"] == head.split()
    assert not {"\x1b", "\x07"} & set(result.output)


def test_a_decision_names_its_user_even_where_he_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container a user is often a number only; who approved what must be told all the same."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)  # the password database cannot be had otherwise
    plan = {"digest": "d" * 64, "until": "x", "steps": [], "targets": []}
    with answering(200, json.dumps({"rule": "web/down", "waiting": plan}).encode()) as (url, asked):
        result = call("approve", "r1", "--yes", "--url", url)

    assert 0 == result.exit_code
    assert f"user {os.getuid()}" == json.loads(asked[1][3])["by"]
