"""`remediator audit`: what an export holds, and what is said of one that was changed, without any service."""

import json
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from remediator.model.audit import AuditEntry, Sealed, key_id, seal_of
from remediator.pipeline.auditing import of_drop
from remediator.pipeline.noted_head import HeadFile, Noted
from remediator.web.audit import show_entry
from tests.unit.cli.calling import answering, call, listening

KEY = "k" * 43
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, away: None) -> None:
    (tmp_path / "remediator.yaml").write_text("store: {directory: data}\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "audit-key").write_text(KEY)


def entries(key: str = KEY) -> list[dict[str, Any]]:
    """Three entries, of which the last is not sealed."""
    made, before = [], ""
    for place in (1, 2):
        entry = AuditEntry(T0, f"deed {place}", "remediator", "service")
        before = seal_of(key.encode(), before, place, entry)
        made.append(show_entry(Sealed(place, entry, place, before, key_id(key.encode()))))
    return [*made, show_entry(Sealed(3, AuditEntry(T0, "new", "ann", "slack"), None, None, None))]


def answer(found: list[dict[str, Any]], place: int = 0, seal: str = "") -> bytes:
    return json.dumps({"entries": found, "begins": {"place": place, "seal": seal}, "head": {}}).encode()


def listens_at(folder: Path, url: str) -> None:
    """That service is the one of the settings."""
    (folder / "remediator.yaml").write_text(f"store: {{directory: data}}\nlisten: {url.removeprefix('http://')}\n")


def export(path: Path, found: list[dict[str, Any]], **first: Any) -> str:
    head = {"format": "remediator audit journal 1", "begins": {"place": 0, "seal": ""}, "run": None, **first}
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (head, *found)))
    return str(path)


def test_an_export_is_verified_offline(tmp_path: Path) -> None:
    """It tells how much of it is sealed, and the head to note."""
    result = call("audit", "verify", export(tmp_path / "journal", entries()))

    assert (0, "") == (result.exit_code, result.stderr)
    assert [
        "verified: 2 entries",
        "not sealed yet: 1 entry",
        f"head: 2:{entries()[1]['seal']}",
    ] == result.stdout.splitlines()


@pytest.mark.parametrize(
    ("change", "arguments", "code", "said"),
    [
        ({"who": "bob"}, [], 1, "wrong: place 2 (deed 2, 2026-01-01 12:00:00 UTC) is not what was sealed there"),
        ({"who": None}, [], 1, "is not what was sealed there"),
        ({"at": "yesterday"}, [], 1, "wrong: line 3 of "),
        ({}, ["--head", "2:" + "0" * 12], 1, "the seal at place 2 is not the one that was noted"),
        ({}, ["--head", "9:" + "0" * 12], 1, "the newest are missing"),
        ({}, ["--head", "2"], 2, "--head takes PLACE:SEAL"),
        ({}, ["--head", "2:xyz"], 2, "--head takes PLACE:SEAL"),
        ({}, ["--key-file", "nowhere"], 2, "the key in nowhere cannot be read: No such file or directory"),
    ],
)
def test_what_is_wrong_is_said_first_of_all(
    tmp_path: Path, change: dict[str, Any], arguments: list[str], code: int, said: str
) -> None:
    """A finding ends with 1, a mistake of the caller's with 2."""
    one, two, three = entries()
    result = call("audit", "verify", export(tmp_path / "journal", [one, {**two, **change}, three]), *arguments)

    assert code == result.exit_code
    assert said in result.stderr


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        (2, 0, ""),
        (3, 1, "the journal ends at place 2, and its head was at 3 once: the newest are missing"),
        (1, 1, "the seal at place 1 is not the one that was noted"),
    ],
    ids=["there", "cut", "rewritten"],
)
def test_the_head_that_the_service_has_noted_has_to_be_there(tmp_path: Path, place: int, code: int, said: str) -> None:
    """In the journal of the service whose folder is here: an export may be older, and another service has its own."""
    HeadFile(tmp_path / "data").write(Noted(place, entries()[1]["seal"], key_id(KEY.encode())))
    with answering(200, answer(entries())) as (url, _):
        elsewhere = call("audit", "verify", "--url", url)
        listens_at(tmp_path, url)
        result = call("audit", "verify")
    offline = call("audit", "verify", export(tmp_path / "journal", entries()))

    assert (code, 0, 0) == (result.exit_code, offline.exit_code, elsewhere.exit_code)
    assert said in result.stderr


def test_a_noted_head_that_was_dropped_since_says_nothing(tmp_path: Path) -> None:
    """It is that of a process that has not sealed for long."""
    HeadFile(tmp_path / "data").write(Noted(1, entries()[0]["seal"], key_id(KEY.encode())))
    seal = entries()[1]["seal"]
    proof = of_drop(T0, KEY.encode(), 2, seal)
    sealed = Sealed(4, proof, 3, seal_of(KEY.encode(), seal, 3, proof), key_id(KEY.encode()))
    with answering(200, answer([show_entry(sealed)], place=2, seal=seal)) as (url, _):
        listens_at(tmp_path, url)
        result = call("audit", "verify")

    assert (0, "") == (result.exit_code, result.stderr)


def test_a_key_of_another_time_can_be_given(tmp_path: Path) -> None:
    """The key was changed, or another process has sealed."""
    path = export(tmp_path / "journal", entries("o" * 43))
    (tmp_path / "old").write_text("o" * 43 + "\n")

    without, with_it = call("audit", "verify", path), call("audit", "verify", path, "--key-file", "old")

    assert 1 == without.exit_code
    assert "which is not known here" in without.stderr
    assert 0 == with_it.exit_code


@pytest.mark.parametrize(
    "change",
    [{"seal": 5}, {"seal": "é"}, {"key": []}, {"place": float("inf")}, {"seq": float("inf")}, {"at": [[]]}],
    ids=str,
)
def test_an_entry_of_another_shape_is_a_finding(tmp_path: Path, change: dict[str, Any]) -> None:
    """Whoever hands an export in may have written it by hand."""
    first, *rest = entries()
    result = call("audit", "verify", export(tmp_path / "journal", [{**first, **change}, *rest]))

    assert (1, True) == (result.exit_code, "wrong: " in result.stderr)


def test_what_is_nested_without_an_end_is_a_finding(tmp_path: Path) -> None:
    """As every other line that is no entry."""
    path = Path(export(tmp_path / "journal", entries()))
    path.write_text(path.read_text() + "[" * 100_000)
    result = call("audit", "verify", str(path))

    assert (1, True) == (result.exit_code, "is no entry of the journal" in result.stderr)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is no export"), ("{}", "is no export"), ("[]", "is no export"), ('{"format": "x"}', "is no export")],
)
def test_what_is_no_export_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Not taken for an empty journal."""
    (tmp_path / "journal").write_text(text)
    result = call("audit", "verify", str(tmp_path / "journal"))

    assert 2 == result.exit_code
    assert said in result.stderr


def test_an_export_of_one_run_makes_no_chain(tmp_path: Path) -> None:
    """Its entries have gaps between them."""
    result = call("audit", "verify", export(tmp_path / "journal", entries(), run="r1"))

    assert 2 == result.exit_code
    assert "export the whole journal" in result.stderr


def test_what_is_sealed_while_it_is_exported_is_there_once(tmp_path: Path) -> None:
    """It was not sealed when the export began, and is when it comes to the chain."""
    one, two, three = entries()
    asked: list[str] = []

    class Sealing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = [one, two] if "part=sealed" in self.path else [{**two, "place": None}, three]
            body = answer(found)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            """Quiet."""

    with listening(Sealing) as url:
        result = call("audit", "export", "--url", url)

    assert ["unsealed", "sealed"] == [path.partition("part=")[2].partition("&")[0] for path in asked]
    assert [one, two, three] == [json.loads(line) for line in result.stdout.splitlines()[1:]]


def test_the_journal_of_one_run_is_exported_to_a_file(tmp_path: Path) -> None:
    """The first line says that it is not all, and the service was asked for no more."""
    with answering(200, answer(entries())) as (url, asked):
        result = call("audit", "export", "--run", "r" * 20, "-f", "out", "--url", url)
    first, *rest = (tmp_path / "out").read_text().splitlines()

    assert (0, "3 entries in out\n") == (result.exit_code, result.stdout)
    assert "r" * 20 == json.loads(first)["run"]
    assert entries() == [json.loads(line) for line in rest]
    assert 1 == len(asked)


def test_a_page_that_ends_in_what_is_not_sealed_yet_is_told(tmp_path: Path) -> None:
    """There is no place from which to go on; the sealer needs a moment."""
    new = entries()[-1]
    with answering(200, answer([{**new, "seq": number} for number in range(1, 501)])) as (url, asked):
        result = call("audit", "export", "--run", "r" * 20, "--url", url)

    assert 1 == result.exit_code
    assert "try again in a moment" in result.stderr
    assert 1 == len(asked)
