"""The command runner with real processes: what it lets run, with what, and how it ends it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.clients.command import CommandAnswer, CommandRunner
from remediator.errors import BadSettings, Failed, NotAllowed, OutcomeUnknown, Unavailable
from remediator.model.plan import Effect
from remediator.settings import CommandParameter, CommandSettings

_SHOW = (sys.executable, "-c", "import sys; print(sys.argv[1:])")


def a_command(*argv: str, effect: Effect = Effect.READ, **more: object) -> CommandSettings:
    return CommandSettings.model_validate({"argv": argv, "effect": effect, "target": "it", **more})


def a_runner(*argv: str, effect: Effect = Effect.READ, **more: object) -> CommandRunner:
    return CommandRunner({"it": a_command(*argv, effect=effect, **more)})


def a_shell(script: str, **more: object) -> CommandRunner:
    return a_runner("/bin/sh", "-c", script, **more)  # type: ignore[arg-type]  # `effect` is one of them


async def until(is_so: Callable[[], bool]) -> None:
    """Poll without blocking the loop."""
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped by its parent does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


async def test_a_command_gives_its_exit_code_and_output() -> None:
    """Both streams apart; any exit code is an answer here."""
    answer = await a_shell("echo out; echo err >&2; exit 3").run("it", {})

    assert CommandAnswer(exit_code=3, stdout="out\n", stderr="err\n", truncated=False) == answer


async def test_a_command_ended_by_a_signal_has_its_negative_number() -> None:
    """As everywhere in Python."""
    answer = await a_shell("kill -KILL $$").run("it", {})

    assert -signal.SIGKILL == answer.exit_code


async def test_a_value_stays_within_its_argument() -> None:
    """No shell, no splitting, and a value that looks like a placeholder is no placeholder."""
    runner = a_runner(
        *_SHOW,
        "--name={a}",
        "{b}",
        "{a}{b}",
        "{print $1}",
        parameters={"a": CommandParameter(pattern=".*"), "b": CommandParameter(pattern=".*")},
    )

    answer = await runner.run("it", {"a": "x; $(id) `id` 'y'", "b": "{a} \\1"})

    assert (
        str(["--name=x; $(id) `id` 'y'", "{a} \\1", "x; $(id) `id` 'y'{a} \\1", "{print $1}"]) + "\n" == answer.stdout
    )


async def test_a_command_sees_only_its_own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tokens of the service stand in its environment."""
    monkeypatch.setenv("REMEDIATOR_SLACK__TOKEN", "xoxb-secret")
    runner = a_runner("/usr/bin/env", environment={"REGION": "eu", "LANG": "C"})
    where = a_runner("/bin/pwd", directory=tmp_path)

    answer = await runner.run("it", {})

    assert ["LANG=C", f"PATH={os.defpath}", "REGION=eu"] == sorted(answer.stdout.split())
    assert f"{tmp_path}\n" == (await where.run("it", {})).stdout


async def test_a_command_has_no_input() -> None:
    """One that asks a question must not wait for ever."""
    answer = await a_shell("cat; echo done").run("it", {})

    assert "done\n" == answer.stdout


async def test_long_output_is_cut_while_the_command_goes_on() -> None:
    """A full pipe would block it; so the rest is read and dropped."""
    answer = await a_shell("head -c 5000000 /dev/zero | tr '\\0' x; echo end >&2").run("it", {})

    assert (64 * 1024, "end\n", True, 0) == (
        len(answer.stdout),
        answer.stderr,
        answer.truncated,
        answer.exit_code,
    )


async def test_output_that_is_no_text_is_replaced() -> None:
    """It is stored and shown; neither takes every byte."""
    answer = await a_shell("printf 'a\\377b\\000c'").run("it", {})

    assert "a\ufffdb\ufffdc" == answer.stdout


@pytest.mark.parametrize(
    ("effect", "error"),
    [(Effect.READ, Unavailable), (Effect.CHANGE, OutcomeUnknown), (Effect.DESTROY, OutcomeUnknown)],
)
async def test_a_command_over_its_time_is_ended(effect: Effect, error: type[Exception]) -> None:
    """Half a change is an unknown outcome, and never a failure that somebody repeats."""
    runner = a_shell("sleep 600", effect=effect, timeout=timedelta(milliseconds=200))

    with pytest.raises(error, match=r"after 200ms, see commands\.it\.timeout"):
        await runner.run("it", {})


_STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    with open(sys.argv[1] + ".part", "w") as file:
        print(os.getpid(), child, file=file)
    os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
"""


async def test_at_its_time_limit_the_whole_group_is_ended_by_force(tmp_path: Path) -> None:
    """A child that ignores the polite signal and holds the pipe would outlive, and hang, everything."""
    runner = a_runner(
        *(sys.executable, "-c", _STUBBORN, str(tmp_path / "pids")),
        effect=Effect.CHANGE,
        timeout=timedelta(seconds=2),
    )

    with pytest.raises(OutcomeUnknown):
        await runner.run("it", {})

    parent, child = map(int, (tmp_path / "pids").read_text().split())
    await until(lambda: not is_alive(child))
    assert not Path(f"/proc/{parent}").exists()  # reaped, too


async def test_a_polite_command_may_clean_up(tmp_path: Path) -> None:
    """It is asked to end before it is forced to."""
    script = f"trap 'echo clean > {tmp_path}/said; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.05; done"
    running = asyncio.create_task(a_shell(script).run("it", {}))
    await until((tmp_path / "up").exists)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert "clean\n" == (tmp_path / "said").read_text()


async def test_a_cancelled_command_leaves_nothing_behind(tmp_path: Path) -> None:
    """A stopping service ends what it has started, and waits for that."""
    runner = a_runner(sys.executable, "-c", _STUBBORN, str(tmp_path / "pids"))
    running = asyncio.create_task(runner.run("it", {}))
    await until((tmp_path / "pids").exists)
    parent, child = map(int, (tmp_path / "pids").read_text().split())

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await until(lambda: not is_alive(child))
    assert not Path(f"/proc/{parent}").exists()


async def test_a_process_left_in_the_background_does_not_hang_us() -> None:
    """`service x restart` ends at once, and its daemon keeps our pipe; it must live on, and we must not wait."""
    async with asyncio.timeout(60):
        answer = await a_shell("sleep 600 & echo $!").run("it", {})

    pid = int(answer.stdout)
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "value",
    ["", "-rf", "../x", "/etc", "a b", "a\n", "a\nb", "a\0", "a;b", "{b}", "a" * 64, "ä", "\ud800"],
)
async def test_the_default_pattern_lets_only_names_pass(value: str) -> None:
    """A label is anybody's: it must not become an option, a path or a second line."""
    runner = a_runner(*_SHOW, "{name}", parameters={"name": CommandParameter()})

    with pytest.raises(NotAllowed, match=r"commands\.it\.parameters\.name\.pattern"):
        await runner.run("it", {"name": value})


@pytest.mark.parametrize("value", ["a", "web-1", "db.example_2", "a" * 63])
async def test_the_default_pattern_lets_names_pass(value: str) -> None:
    """Host names, container names, units."""
    runner = a_runner(*_SHOW, "{name}", parameters={"name": CommandParameter()})

    assert f"{[value]}\n" == (await runner.run("it", {"name": value})).stdout


@pytest.mark.parametrize(("pattern", "value"), [("a|b", "ab"), ("a", "a\n"), ("(?m)^a$", "a\nb"), (".*", "a\0")])
async def test_a_pattern_must_match_the_whole_value(pattern: str, value: str) -> None:
    """And no program can be given a NUL, whatever the pattern says."""
    runner = a_runner(*_SHOW, "{name}", parameters={"name": CommandParameter(pattern=pattern)})

    with pytest.raises(NotAllowed):
        await runner.run("it", {"name": value})


async def test_a_hostile_value_costs_no_time() -> None:
    """A pattern that backtracks would hang the service for hours; this one takes linear time."""
    runner = a_runner(*_SHOW, "{name}", parameters={"name": CommandParameter(pattern="(a+)+")})

    async with asyncio.timeout(60):
        with pytest.raises(NotAllowed):
            await runner.run("it", {"name": "a" * 50_000 + "!"})


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "missing parameters: name"),
        ({"name": "a", "extra": "b"}, "unknown parameters: extra"),
    ],
)
async def test_parameters_are_exactly_the_declared_ones(parameters: dict[str, str], said: str) -> None:
    """The message says where they are declared."""
    runner = a_runner(*_SHOW, "{name}", parameters={"name": CommandParameter()})

    with pytest.raises(Failed, match=rf"{said}; see commands\.it\.parameters"):
        await runner.run("it", parameters)


async def test_an_unknown_command_is_not_allowed() -> None:
    """Only what the settings name runs."""
    runner = CommandRunner({})

    with pytest.raises(NotAllowed, match="no command is named 'rm' in the settings"):
        await runner.run("rm", {})
    with pytest.raises(NotAllowed):
        runner.settings_of("rm")


async def test_a_program_that_is_not_there_is_a_failure() -> None:
    """Nothing has run, so it is no unknown outcome."""
    with pytest.raises(Failed, match=r"command it cannot be started: .*see commands\.it"):
        await a_runner("/no/such/program", effect=Effect.CHANGE).run("it", {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"argv": ["echo", "{nmae}"]}, r"commands\.it\.argv\[1\]: \{nmae\} is not one of"),
        ({"argv": ["echo"], "target": "host:{nmae}"}, r"commands\.it\.target: \{nmae\} is not one of"),
        ({"argv": ["echo"], "parameters": {"a": {"pattern": "("}}}, r"commands\.it\.parameters\.a\.pattern"),
        ({"argv": ["echo"], "parameters": {"a": {"pattern": "(?=x)"}}}, r"commands\.it\.parameters\.a\.pattern"),
        ({"argv": ["echo"], "parameters": {"a": {"pattern": "a)|(?:b"}}}, r"commands\.it\.parameters\.a\.pattern"),
    ],
    ids=["placeholder", "target", "pattern", "look-ahead", "unbalanced"],
)
def test_settings_that_cannot_work_are_told_at_once(settings: dict[str, object], said: str) -> None:
    """Not in the middle of an incident."""
    with pytest.raises(BadSettings, match=said):
        CommandRunner({"it": CommandSettings.model_validate({"effect": "read", **settings})})


def test_the_target_is_rendered_from_checked_parameters() -> None:
    """It is what locks and budgets count by."""
    runner = a_runner("echo", "{host}", target="host:{host}", parameters={"host": CommandParameter()})

    assert "host:db1" == runner.target_name("it", {"host": "db1"})
    with pytest.raises(NotAllowed):
        runner.target_name("it", {"host": "db1/../db2"})


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_file_stays_open() -> None:
    """A thousand runs must not use up the process' files."""
    runner = a_shell("true")
    await runner.run("it", {})
    before = open_files()
    for _ in range(5):
        await runner.run("it", {})

    await until(lambda: open_files() <= before)
