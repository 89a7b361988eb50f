"""Runs the commands that the settings name, and nothing else. Made by `Clients`, used by `command.run`.

It never uses a shell, never passes on the service's own environment, and leaves no process behind when a
command is given up: its whole process group is ended. A value may come from a label, so each must match its
pattern.
"""

import asyncio
import os
import re
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import structlog
from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from remediator.errors import BadSettings, Failed, NotAllowed, OutcomeUnknown, Unavailable
from remediator.kit.redaction import shorten
from remediator.kit.tasks import finish_even_if_cancelled
from remediator.model.duration import say_duration
from remediator.model.plan import Effect
from remediator.settings import CommandSettings

_OUTPUT_BYTES = 64 * 1024
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_TERM_GRACE = 2.0
_PIPE_GRACE = 1.0  # for what is left in the pipes once the command has ended
_REAP_LIMIT = 5.0  # after SIGKILL; only a process stuck in the kernel needs longer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """How a command ended and what it wrote; a negative exit code is the signal that ended it."""

    exit_code: int
    stdout: str
    stderr: str
    truncated: bool


class CommandRunner:
    """The commands by name. Raises BadSettings, when made, for a pattern or placeholder that cannot work."""

    def __init__(self, commands: Mapping[str, CommandSettings]) -> None:
        self._commands = dict(commands)
        self._patterns = {name: _patterns(name, command) for name, command in self._commands.items()}
        for name, command in self._commands.items():
            _check_placeholders(name, command)
            _check_put_back(name, command, self._commands)

    def settings_of(self, name: str) -> CommandSettings:
        """What the settings say of a command. Raises NotAllowed for one that they do not name."""
        if name not in self._commands:
            raise NotAllowed(f"no command is named {shorten(name, 80)!r} in the settings; add it under commands")
        return self._commands[name]

    def target_name(self, name: str, parameters: Mapping[str, str]) -> str:
        """The stable name of what the command acts on; the command's own where it names none.

        Raises NotAllowed, Failed as `run` does.
        """
        command = self.settings_of(name)
        self._check(name, parameters)
        return _filled(command.target, parameters) or name

    def parameters_of(self, name: str) -> frozenset[str]:
        """The names of its parameters. Raises NotAllowed for a command that the settings do not name."""
        return frozenset(self.settings_of(name).parameters)

    async def run(self, name: str, parameters: Mapping[str, str], *, timeout: timedelta | None = None) -> CommandAnswer:
        """Run a command to its end, whatever its exit code, for its own time limit or a shorter one.

        Raises NotAllowed for an unknown command and a value that its pattern does not let pass, Failed for
        parameters that are missing or too many and a program that cannot be started. At the time limit it
        raises OutcomeUnknown, or Unavailable for a command that only reads.
        """
        command = self.settings_of(name)
        self._check(name, parameters)
        limit = command.timeout if timeout is None else min(timeout, command.timeout)
        argv = [_filled(part, parameters) for part in command.argv]
        async with _Output.opened() as stdout, _Output.opened() as stderr:
            process = await _started(name, command, argv, stdout, stderr)
            try:
                async with asyncio.timeout(limit.total_seconds()):
                    exit_code = await process.wait()
            except TimeoutError as error:
                await finish_even_if_cancelled(_end_group(process), name=f"end command {name}")
                said = f"command {name} was ended after {say_duration(limit)}, see commands.{name}.timeout"
                if command.effect is Effect.READ:
                    raise Unavailable(said) from error
                raise OutcomeUnknown(f"{said}; what it did until then stays done") from error
            except asyncio.CancelledError:
                await finish_even_if_cancelled(_end_group(process), name=f"end command {name}")
                raise
            await _drained(stdout, stderr)
            return CommandAnswer(exit_code, stdout.text(), stderr.text(), stdout.truncated or stderr.truncated)

    def _check(self, name: str, parameters: Mapping[str, str]) -> None:
        declared = self._patterns[name]
        for wrong, said in (
            (sorted(parameters.keys() - declared.keys()), "unknown"),
            (sorted(declared.keys() - parameters.keys()), "missing"),
        ):
            if wrong:
                listed = shorten(", ".join(wrong), 200)
                raise Failed(f"command {name}: {said} parameters: {listed}; see commands.{name}.parameters")
        for key, pattern in declared.items():
            try:
                allowed = "\0" not in pattern.validate_python(parameters[key])  # no program can be given a NUL
            except ValidationError:
                allowed = False
            if not allowed:
                raise NotAllowed(
                    f"command {name}: {shorten(repr(parameters[key]), 120)} does not match "
                    f"commands.{name}.parameters.{key}.pattern"
                )


def _check_put_back(name: str, command: CommandSettings, known: Mapping[str, CommandSettings]) -> None:
    """Raises BadSettings where the command that shows the value cannot do that."""
    if command.put_back is None:
        return
    shown_by, where = known.get(command.put_back.shown_by), f"commands.{name}.put_back.shown_by"
    if shown_by is None:
        raise BadSettings(f"{where}: no command is named {shorten(command.put_back.shown_by, 80)!r}")
    if shown_by.effect is not Effect.READ:
        raise BadSettings(f"{where}: the effect of {command.put_back.shown_by} is not `read`")
    unknown = sorted(shown_by.parameters.keys() - (command.parameters.keys() - {command.put_back.parameter}))
    if unknown:
        raise BadSettings(
            f"{where}: {command.put_back.shown_by} would need {', '.join(unknown)}, which is not known then"
        )


def _patterns(name: str, command: CommandSettings) -> dict[str, TypeAdapter[str]]:
    """Pydantic's regular expressions take linear time, whatever the value; Python's own do not."""
    compiled = {}
    for key, parameter in command.parameters.items():
        try:
            _pattern(parameter.pattern)  # by itself too: `a)|(b` is none
            compiled[key] = _pattern(rf"\A(?:{parameter.pattern})\z")
        except SchemaError as error:
            reason = shorten(str(error).splitlines()[-1], 200)
            raise BadSettings(f"commands.{name}.parameters.{key}.pattern cannot be used: {reason}") from error
    return compiled


def _pattern(pattern: str) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, StringConstraints(strict=True, pattern=pattern)])


def _check_placeholders(name: str, command: CommandSettings) -> None:
    places = [*((f"argv[{at}]", part) for at, part in enumerate(command.argv)), ("target", command.target)]
    for place, text in places:
        for key in _PLACEHOLDER.findall(text):
            if key not in command.parameters:
                raise BadSettings(f"commands.{name}.{place}: {{{key}}} is not one of commands.{name}.parameters")


def _filled(text: str, parameters: Mapping[str, str]) -> str:
    """The text with its placeholders replaced, in one go: a value that looks like one stays as it is."""
    return _PLACEHOLDER.sub(lambda found: parameters[found[1]], text)


async def _started(
    name: str, command: CommandSettings, argv: list[str], stdout: "_Output", stderr: "_Output"
) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=DEVNULL,
            stdout=stdout.write_end,
            stderr=stderr.write_end,
            cwd=command.directory,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", **command.environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise Failed(f"command {name} cannot be started: {error}; see commands.{name}") from error
    finally:
        stdout.close_write_end()
        stderr.close_write_end()


class _Output(asyncio.Protocol):
    """What a command writes to one pipe: the beginning is kept, the rest is read and dropped.

    The pipe is ours and not the process' transport's, as that one does not notice the end of a command while
    another process holds the pipe open.
    """

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self.truncated = False
        self.write_end = -1
        self._kept = bytearray()

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> AsyncIterator["_Output"]:
        """A pipe that is being read; closed at the end, whoever still writes to it."""
        output = cls()
        read_end, output.write_end = os.pipe()
        reading = os.fdopen(read_end, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: output, reading)
        try:
            yield output
        finally:
            output.close_write_end()
            transport.close()

    def close_write_end(self) -> None:
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def data_received(self, data: bytes) -> None:
        room = _OUTPUT_BYTES - len(self._kept)
        self._kept += data[:room]
        self.truncated = self.truncated or len(data) > room

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.ended.done():
            self.ended.set_result(None)

    def text(self) -> str:
        return self._kept.decode("utf-8", "replace").replace("\0", "\ufffd")


async def _drained(*outputs: _Output) -> None:
    """Wait for the end of the pipes, but not for a process that the command left behind holding one."""
    await asyncio.wait([output.ended for output in outputs], timeout=_PIPE_GRACE)


async def _end_group(process: Process) -> None:
    """End the process group: politely, then by force, and reap its leader."""
    _signal_group(process, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(_TERM_GRACE):
            await process.wait()
            while _signal_group(process, 0):  # noqa: ASYNC110 - the system tells nobody when a group is empty
                await asyncio.sleep(0.05)
    _signal_group(process, signal.SIGKILL)
    try:
        async with asyncio.timeout(_REAP_LIMIT):
            await process.wait()
    except TimeoutError:
        log.error("command_not_reaped", pid=process.pid)  # noqa: TRY400 - a trace would say nothing


def _signal_group(process: Process, number: int) -> bool:
    """Signal the command's group; false where nobody is left in it."""
    try:
        os.killpg(process.pid, number)  # it leads a session of its own, so its id is the group's
    except ProcessLookupError:
        return False
    return True
