"""What a shell completes: commands, options and actions, without making anybody wait."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from remediator.cli import main
from remediator.plugins import Actions

ROOT = Path(__file__).parents[3]
PROGRAM = "from remediator.cli import main; main(prog_name='remediator')"


def complete(words: str, *, code: str = PROGRAM) -> list[str]:
    """What bash is told of a line, the last word of which is being typed."""
    given = {"_REMEDIATOR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REMEDIATOR_")}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **given, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "" == ended.stderr
    return [line.partition(",")[2] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("remediator ex", ["explain"]),
        ("remediator ", main.list_commands(click.Context(main))),
        ("remediator runs ", ["list", "settle", "show", "start", "watch"]),
        ("remediator explain --ga", ["--gather"]),
        ("remediator runs list --outc", ["--outcome"]),
        ("remediator check -o g", ["github"]),
        ("remediator completion z", ["zsh"]),
        ("remediator actions docker.re", ["docker.restart"]),
        ("remediator actions ", list(Actions.installed())),
    ],
)
def test_words_are_completed(words: str, found: list[str]) -> None:
    """Commands that are imported only when they are called complete as well."""
    assert found == complete(words)


def test_commands_are_completed_without_importing_any() -> None:
    """A key that takes half a second is pressed twice."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*(m for m in sys.modules if m.startswith(('remediator.cli.', 'pydantic')))))\n"
        f"{PROGRAM}\n"
    )

    assert "" == complete("remediator ", code=code)[-1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_says_at_its_end_how_it_is_installed(shell: str) -> None:
    """Two lines, as comments: the script is used as it is printed."""
    result = CliRunner().invoke(main, ["completion", shell])
    *script, now, always = result.output.splitlines()

    assert 0 == result.exit_code
    assert f"_REMEDIATOR_COMPLETE={shell}_complete" in "\n".join(script)
    assert now.startswith("# In this shell only: ")
    assert always.startswith("# In every new shell: ")
    assert all(f"remediator completion {shell}" in line for line in (now, always))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_takes_the_script() -> None:
    """As a person would who reads its last lines."""
    script = CliRunner().invoke(main, ["completion", "bash"]).output
    ended = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p remediator"], capture_output=True, text=True, timeout=60, check=False
    )

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "remediator" in ended.stdout


def test_help_takes_less_than_a_third_of_a_second() -> None:
    """What is imported at start is what everybody waits for; the best of a few tries, as the machine is shared."""
    code = "import time; t = time.process_time()\nimport remediator.cli\nprint(time.process_time() - t)"
    took = [
        float(
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
        )
        for _ in range(3)
    ]

    assert 0.3 > min(took)
