"""The command line without a service: what it prints, what it refuses, its exit codes, and that it starts fast."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from remediator.cli import main
from tests import services
from tests.unit.cli.calling import GOOD, ROOT, call

COMMANDS = main.list_commands(click.Context(main))


def test_help_lists_every_command() -> None:
    """It is where people look first."""
    result = call("--help")

    assert 0 == result.exit_code
    assert [] == [name for name in COMMANDS if f"\n  {name} " not in result.output]


@pytest.mark.parametrize("command", [*[[name] for name in COMMANDS], ["runs", "list"], ["runs", "show"]], ids=" ".join)
def test_every_command_has_its_help(command: list[str]) -> None:
    """And its module can be imported, which happens only when it is called."""
    result = call(*command, "--help")

    assert 0 == result.exit_code
    assert result.output.startswith("Usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["runs", "list", "--limit", "0"],
        ["runs", "list", "--limit", "501"],
        ["deny", "r1"],
        ["approve"],
        ["send"],
        ["send", "Down", "-l", "no-equals-sign"],
        ["send", "Down", "-a", "=no-name"],
        ["check", "-o", "yaml"],
        ["send", "Down", "--url", "ftp://127.0.0.1/"],
        ["send", "Down", "--url", "nonsense"],
        ["runs", "list", "--url", "http://[::1/"],
        ["runs", "list", "--url", "http://127.0.0.1:port/"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    """Scripts tell it apart from a service that is away."""
    assert 2 == call(*arguments).exit_code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["aprove", "r1"], "No such command 'aprove'. Did you mean 'approve'?"),
        (["runs", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["xyzzy"], "No such command 'xyzzy'.\n"),
        (["runs", "list", "--outcome", "nonsens"], "'resolved by itself'"),
        (["approve", "r1", "--plan", ""], "--plan is empty; give at least 8 characters of the plan's digest"),
        (["approve", "r1", "--plan", "  "], "--plan is empty; give at least 8 characters of the plan's digest"),
        (["approve", "r1", "--plan", "0308d01"], "--plan 0308d01 is too short; give at least 8 characters"),
        (
            ["actions", "docker.restrat"],
            "there is no action docker.restrat; did you mean docker.restart? See all: remed",
        ),
        (["actions", "disk"], "there is no action disk; did you mean files.disk? See all: remediator actions"),
        (["actions", "system.disk"], "did you mean files.disk? See all"),
        (["actions", "redis"], "did you mean redis.config_set or redis.ping? See all"),
        (["actions", "ping"], "did you mean redis.ping? See all"),
        (["actions", "xyzzy"], "there is no action xyzzy; See all: remediator actions"),
        (["schema", "rule"], "'rules', 'settings'"),
        (["completion", "tcsh"], "'bash', 'zsh', 'fish'"),
        (["send", "Down", "-l", "service"], "'service': write it as name=value, such as service=web"),
    ],
)
def test_wrong_usage_says_what_is_right(arguments: list[str], said: str) -> None:
    """An empty variable of a script must not approve whatever waits; a typing mistake is told with its remedy."""
    result = call(*arguments)

    assert 2 == result.exit_code
    assert said in result.stderr


@pytest.mark.parametrize("arguments", [["send", "Down"], ["runs", "list"], ["approve", "r1"], ["serve"]])
def test_mistakes_of_the_settings_end_with_two_and_have_their_places(arguments: list[str], tmp_path: Path) -> None:
    """Whatever was asked for, it is told where to mend what."""
    (tmp_path / "remediator.yaml").write_text("slak: {}\nmode_ceiling: gatted\n")
    result = call(*arguments)

    assert 2 == result.exit_code
    assert [
        "remediator.yaml:1:1: `slak` is not known here; did you mean `slack`?",
        "remediator.yaml:2:15: `mode_ceiling` is one of 'observe', 'suggest', 'gated' or 'auto'; did you mean `gated`?",
    ] == result.stderr.splitlines()[:-1]
    assert "name another file before the command: remediator -c FILE" in result.stderr.splitlines()[-1]


def test_a_settings_file_that_is_not_there_ends_with_two() -> None:
    """To go on with the defaults would look like working."""
    result = call("-c", "gone.yaml", "runs", "list")

    assert 2 == result.exit_code
    assert result.stderr.startswith("gone.yaml: cannot be read: No such file or directory\n")


def test_actions_are_listed() -> None:
    """What rules may use, with the schema of each for tools."""
    as_text, as_json = call("actions"), call("actions", "-o", "json")
    known = {action["name"]: action for action in json.loads(as_json.output)}

    assert (0, 0) == (as_text.exit_code, as_json.exit_code)
    assert ("change", "read") == (known["docker.restart"]["effect"], known["http.get"]["effect"])
    assert "container" in known["docker.restart"]["params"]["properties"]
    assert list(known) == [line.split()[0] for line in as_text.output.splitlines()]


def test_one_action_is_shown_with_its_parameters_and_result() -> None:
    """What a rule's author looks up while writing."""
    as_text, as_json = call("actions", "docker.logs"), call("actions", "docker.logs", "-o", "json")
    lines = as_text.output.splitlines()

    assert "docker.logs (read): The last lines that a container wrote." == lines[0]
    assert "  container (text; needed): Its name, or its id." in lines
    assert (
        "  tail (whole number, at least 1 and at most 1000; default: `100`): How many lines, counted from the end."
        in lines
    )
    assert "  count (whole number): How many there are." in lines
    assert "docker.logs" == json.loads(as_json.output)["name"]


_SLOWER = ("actions", "demo")
"""The one says what fields take, and the other is a program of its own."""


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["check"], ["runs", "list"], ["send", "Down"], ["approve", "r1"], ["alerts"]),
        *(["breaker", "list"], ["breaker", "reset", "redis:cache"], ["stops"], ["pause"]),
        *(["explain", "Down"], ["schema"], ["schema", "settings"], ["completion", "zsh"], ["actions", "http.get"]),
    ],
)
def test_slow_libraries_are_imported_by_the_service_only(tmp_path: Path, arguments: list[str]) -> None:
    """Each takes longer than everything that these commands do."""
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "remediator.yaml").write_text(f"rules: [good.yaml]\nlisten: 127.0.0.1:{services.free_port()}\n")
    ended = _start(tmp_path, arguments, {"aiohttp", "docker", "slack_sdk"})

    assert "" == ended.stderr.splitlines()[-1]
    assert ended.returncode in (0, 4), ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["runs", "list", "--help"], *([name, "--help"] for name in COMMANDS if name not in _SLOWER)],
)
def test_help_needs_neither_the_settings_nor_the_web(tmp_path: Path, arguments: list[str]) -> None:
    """It is what people type most, and shows nothing of theirs."""
    ended = _start(tmp_path, arguments, {"pydantic", "yaml", "http.client"})

    assert "" == ended.stderr.splitlines()[-1]
    assert 0 == ended.returncode


def _start(folder: Path, arguments: list[str], slow: set[str]) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, whose last line on stderr has the modules of `slow` that it has imported."""
    code = (
        "import sys\nfrom remediator.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        f"finally:\n    print(*({slow!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_module_can_be_run(tmp_path: Path) -> None:
    """`python -m remediator` is what containers and units call."""
    ended = subprocess.run(
        [sys.executable, "-m", "remediator", "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert ended.stdout.startswith("remediator, version ")
