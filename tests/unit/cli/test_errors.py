"""Every command that fails names the next step: whoever reads it at night has nothing else to go by."""

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest

from remediator import plugins
from remediator.cli import main
from tests import services
from tests.unit.cli.calling import GOOD, answering, call

ASKING = {
    "runs list": ["runs", "list"],
    "runs show": ["runs", "show", "r1"],
    "runs settle": ["runs", "settle", "r1", "done"],
    "runs start": ["runs", "start", "web/down"],
    "runs watch": ["runs", "watch", "r1"],
    "runs watch of all": ["runs", "watch"],
    "approvals list": ["approvals", "list"],
    "approve": ["approve", "r1"],
    "approve of a rule": ["approve", "--rule", "web/down"],
    "deny": ["deny", "r1", "--reason", "no"],
    "cancel": ["cancel", "r1"],
    "rerun": ["rerun", "r1"],
    "undo": ["undo", "r1"],
    "escalation list": ["escalation", "list"],
    "escalation ack": ["escalation", "ack", "r1"],
    "alerts": ["alerts"],
    "breaker list": ["breaker", "list"],
    "breaker reset": ["breaker", "reset", "redis:cache"],
    "breaker reset of a rule": ["breaker", "reset", "rule:web/down"],
    "audit export": ["audit", "export"],
    "audit verify": ["audit", "verify"],
    "stops": ["stops"],
    "tokens make": ["tokens", "make", "ci"],
    "tokens list": ["tokens", "list"],
    "tokens revoke": ["tokens", "revoke", "0123456789ab"],
    "pause": ["pause"],
    "resume": ["resume"],
    "quarantine clear": ["quarantine", "clear", "docker:local/web"],
    "promote": ["promote", "web/down"],
    "explain a run": ["explain", "--run", "r1"],
    "explain a fingerprint": ["explain", "--fingerprint", "f"],
    "send": ["send", "Down"],
}
"""Every command that asks the service."""
LOCAL = {
    "check": ["check"],
    "explain": ["explain", "Down"],
    "limits": ["limits"],
    "serve": ["serve"],
}
"""Those that read the rules."""
OTHERS = ("actions", "backup", "migrate", "schema", "completion", "demo", "doctor")
"""Those that need neither, and those whose answer it is what is wrong; they have tests of their own."""


def test_no_command_is_forgotten_here() -> None:
    """A new one has its failures looked at, too."""
    tested = {arguments[0] for arguments in (*ASKING.values(), *LOCAL.values())} | set(OTHERS)

    assert set(main.list_commands(click.Context(main))) == tested


@pytest.mark.parametrize("arguments", ASKING.values(), ids=ASKING.keys())
def test_no_service_says_how_to_start_or_find_one(tmp_path: Path, arguments: list[str]) -> None:
    """It is not running, or it is elsewhere."""
    (tmp_path / "remediator.yaml").write_text(f"listen: 127.0.0.1:{services.free_port()}\n")
    result = call(*arguments)

    assert 4 == result.exit_code
    assert "Start it with: remediator serve. Elsewhere? Set `listen`, or give --url." in result.stderr


@pytest.mark.parametrize("arguments", ASKING.values(), ids=ASKING.keys())
def test_a_wrong_token_says_where_the_right_one_is(tmp_path: Path, arguments: list[str]) -> None:
    """The file as it can be opened, the variable, and to whom which is sent."""
    (tmp_path / "remediator.yaml").write_text("store: {directory: data}\n")
    with answering(401, b'{"error": "the token is not known"}') as (url, _):
        result = call(*arguments, "--url", url)

    assert 5 == result.exit_code
    assert result.stderr.startswith("not allowed: the token is not known\n")
    assert f"The local token of these settings is sought in {tmp_path}/data/admin-token, which is not there" in (
        result.stderr
    )
    assert "REMEDIATOR_TOKEN" in result.stderr


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda path: path.write_text("t"), "stands in PATH: run this as"),
        (lambda path: path.mkdir(), "is sought in PATH, which cannot be read: Is a directory: run this as"),
    ],
)
def test_the_local_token_is_told_by_its_path_and_whether_it_can_be_read(
    tmp_path: Path, prepare: Callable[[Path], object], said: str
) -> None:
    """Another user cannot, and another store has another token."""
    path = tmp_path / "remediator-data" / "admin-token"
    path.parent.mkdir()
    prepare(path)
    with answering(401, b'{"error": "no"}') as (url, _):
        result = call("alerts", "--url", url)

    assert 5 == result.exit_code
    assert f"The local token of these settings {said.replace('PATH', str(path))}" in result.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs list", "nothing; is it remediator, and as new as this program? Set `listen`, or give --url"),
        ("runs show", "nothing; see: remediator runs list"),
        ("runs settle", "nothing; see: remediator runs list"),
        ("approve", "nothing; see: remediator runs list"),
        ("deny", "nothing; see: remediator runs list"),
        ("cancel", "nothing; see: remediator runs list"),
        ("alerts", "nothing; is it remediator, and as new as this program? Set `listen`, or give --url"),
        ("breaker list", "nothing; is it remediator, and as new as this program? Set `listen`, or give --url"),
        ("breaker reset", "nothing; see: remediator breaker list"),
        ("breaker reset of a rule", "nothing; see: remediator stops"),
        ("stops", "nothing; is it remediator, and as new as this program? Set `listen`, or give --url"),
        ("pause", "nothing; is it remediator, and as new as this program? Set `listen`, or give --url"),
        ("resume", "nothing; see: remediator stops"),
        ("quarantine clear", "nothing; see: remediator stops"),
        ("promote", "nothing; see: remediator stops"),
        ("tokens revoke", "nothing; see: remediator tokens list"),
        ("explain a run", "nothing; see: remediator runs list"),
        ("explain a fingerprint", "nothing; see: remediator alerts"),
        ("send", "nothing; is it remediator, and as new as this program? Set `listen`, or give --url"),
    ],
)
def test_what_is_not_there_says_where_to_look(name: str, said: str) -> None:
    """An unknown run or alert, or a service that has no such page."""
    with answering(404, b'{"error": "nothing"}') as (url, _):
        result = call(*ASKING[name], "--url", url)

    assert (1, said) == (result.exit_code, result.stderr.strip())


def test_what_is_not_possible_now_says_where_it_is_told_why() -> None:
    """The run has ended, or has another plan."""
    with answering(409, b'{"error": "the run has ended already"}') as (url, _):
        result = call("cancel", "d1m0k2s3abcdefgh", "--url", url)

    assert (1, "the run has ended already; see: remediator runs show d1m0k2s3abcdefgh") == (
        result.exit_code,
        result.stderr.strip(),
    )


@pytest.mark.parametrize("command", ["runs show", "runs settle", "approve", "deny", "cancel", "explain a run"])
def test_an_end_of_an_id_that_several_runs_have_asks_for_more_of_it(command: str) -> None:
    """Nothing may be guessed."""
    ids = {"runs": [{"id": "aaaaaaaaaaaagfl2"}, {"id": "bbbbbbbbbbbbgfl2"}]}
    with answering(200, json.dumps(ids).encode()) as (url, _):
        result = call(*[word.replace("r1", "gfl2") for word in ASKING[command]], "--url", url)

    assert 1 == result.exit_code
    assert "2 runs end with gfl2: aaaaaaaaaaaagfl2, bbbbbbbbbbbbgfl2; give more of the id" in result.stderr


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, 2, "the service answered 400: no"),
        (503, 4, "the service answered 503: no; its log says more, and /readyz what is wrong"),
        (500, 4, "the service answered 500: no; its log says more, and /readyz what is wrong"),
    ],
)
def test_a_service_in_trouble_says_where_to_look(status: int, code: int, said: str) -> None:
    """The program itself cannot know more."""
    with answering(status, b'{"error": "no"}') as (url, _):
        result = call("alerts", "--url", url)

    assert (code, said) == (result.exit_code, result.stderr.strip())


@pytest.mark.parametrize(
    "why", ["there is no parameter 'x'; there is none", "this takes a JSON object: by", "there is no field 'x'; …"]
)
def test_a_service_that_does_not_know_the_question_may_be_of_another_version(why: str) -> None:
    """What a user has mistyped has nothing to do with versions."""
    with answering(400, json.dumps({"error": why}).encode()) as (url, _):
        result = call("alerts", "--url", url)

    assert (2, f"the service answered 400: {why}; is it of the same version as this program?") == (
        result.exit_code,
        result.stderr.strip(),
    )


def test_a_pause_that_no_service_takes_says_what_stops_changes_all_the_same(tmp_path: Path) -> None:
    """It is the night when nothing else answers."""
    (tmp_path / "remediator.yaml").write_text(f"listen: 127.0.0.1:{services.free_port()}\nstore: {{directory: data}}\n")
    down = call("pause")
    with answering(503, b'{"error": "no"}') as (url, _):
        elsewhere = call("pause", "--url", url)

    assert (4, 4) == (down.exit_code, elsewhere.exit_code)
    assert f"make a file where the service sees it: {tmp_path}/data/PAUSE (" in down.stderr
    assert "make a file where the service sees it: PAUSE in its store.directory (" in elsewhere.stderr


@pytest.mark.parametrize("arguments", [*ASKING.values(), *LOCAL.values()], ids=[*ASKING, *LOCAL])
@pytest.mark.parametrize(
    "prepare",
    [lambda path: path.write_text("slak: {}\n"), lambda path: path.write_bytes(b"\xff"), lambda path: path.mkdir()],
    ids=["unknown-name", "not-text", "a-folder"],
)
def test_bad_settings_say_how_to_mend_them_or_give_others(
    tmp_path: Path, arguments: list[str], prepare: Callable[[Path], object]
) -> None:
    """With the place of each mistake before it."""
    prepare(tmp_path / "remediator.yaml")
    result = call(*arguments)
    is_check = arguments == ["check"]  # whose findings these are

    assert (1 if is_check else 2) == result.exit_code
    assert (result.stdout if is_check else result.stderr).startswith("remediator.yaml")
    assert "name another file before the command: remediator -c FILE" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("arguments", LOCAL.values(), ids=LOCAL.keys())
def test_a_folder_of_rules_that_is_missing_says_where_it_was_sought(tmp_path: Path, arguments: list[str]) -> None:
    """Most often it was started in another folder."""
    (tmp_path / "remediator.yaml").write_text("rules: [gone]\nstore: {directory: store}\n")
    result = call(*arguments)

    assert result.exit_code in (1, 2)
    assert "gone: there is no such file or folder" in result.output
    assert f"rule files are sought from {tmp_path}; set `rules` in the settings" in result.stderr


def test_rules_that_were_named_and_are_missing_say_what_to_name(tmp_path: Path) -> None:
    """Whoever named a path needs no word of the settings."""
    result = call("check", "gone.yaml")

    assert 1 == result.exit_code
    assert f"name rule files, or folders of them; they are sought from {tmp_path}" in result.stderr


@pytest.mark.parametrize("arguments", [["send", "Down", "-l", "service"], ["explain", "Down", "-a", "=x"]])
def test_a_label_without_its_sign_says_how_one_is_written(arguments: list[str]) -> None:
    """The option and what was given stand in it."""
    result = call(*arguments)

    assert 2 == result.exit_code
    assert "write it as name=value, such as service=web" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["check", "good.yaml"], ["explain", "Down", "-r", "good.yaml"], ["actions"], ["schema"]], ids=" ".join
)
def test_a_package_of_actions_that_is_broken_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Instead of a traceback, whatever was asked for."""
    (tmp_path / "good.yaml").write_text(GOOD)
    broken = EntryPoint("mine", "remediator_broken_actions", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [broken])  # a package cannot be installed for a test
    result = call(*arguments)

    assert 1 == result.exit_code
    assert "actions of remediator_broken_actions cannot be loaded: No module named" in result.stderr
    assert "Mend or remove that package" in result.stderr
