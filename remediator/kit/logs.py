"""Structured logs: events in snake case and past tense, secrets redacted, to standard error.

They are written in a thread of their own: where nobody reads them, lines are dropped and counted, and nothing waits.
What libraries log comes by the standard library's road; our own events go past it, which costs half: there is one for
every delivery, and several for every run.
In the style for people, nothing in a line can forge another one or command the terminal.
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from enum import StrEnum
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from remediator.kit.printing import Printer
from remediator.kit.redaction import Redactor

_ROOM = 4_000_000  # characters that may wait to be written
_LAST_PATIENCE = 2.0  # seconds that what waits may take when the process ends
_DATA = (str, int, float, Mapping, Sequence, BaseException)
_TRACES = ("exception", "stack")  # what has lines of its own
_QUOTED = re.compile("[ \\t=\\r\\n\"']")  # a value with one of these is written in quotes
_FIRST = ("timestamp", "level", "event")  # what a line begins with


def configure(*, level: str, style: Literal["text", "json"], redactor: Redactor) -> None:
    """Set up logging for the process; called once by the composition root.

    `level` is a name of the standard library's levels; `style` is `text` for people, `json` for collectors.
    """

    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: redactor.value(_as_data(value)) for key, value in event.items()}

    def drop_color_message(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.pop("color_message", None)
        return event

    ours: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    foreign: list[Processor] = [structlog.stdlib.ExtraAdder(), drop_color_message, *ours]
    rendering: list[Processor] = (
        [structlog.processors.JSONRenderer()]  # writes all but ASCII as `\u…`
        if style == "json"
        else [_without_commands, structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else _in_one_line]
    )
    handler = _Unblocked(sys.stderr, rendering)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=foreign,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    for earlier in root.handlers:
        earlier.flush()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("docker", "urllib3", "asyncio", "slack_sdk", "aiohttp.access", "watchfiles"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*ours, _as_it_stands],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_: _Ours(handler),
        cache_logger_on_first_use=False,
    )


def _as_data(value: Any) -> Any:
    """What is rendered for a value: an object is written as its `repr`, so that is what secrets are taken out of."""
    if isinstance(value, StrEnum):  # its `repr` has the name of its class
        return value.value
    return value if value is None or isinstance(value, _DATA) else repr(value)


class _Unblocked(logging.Handler):
    """Writes without ever waiting. A line that finds too many before it is dropped; how many were is said later."""

    def __init__(self, stream: TextIO, rendering: Sequence[Processor]) -> None:
        super().__init__()
        self._printer = Printer(stream, name="logs", room=_ROOM)
        self._rendering = rendering
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._offer(self.format(record))
        except Exception:
            self.handleError(record)

    def tell(self, event: EventDict) -> None:
        """Write an event of ours. One that cannot be written is told instead; whoever logs never hears of it."""
        said: Any = event
        try:
            for processor in self._rendering:
                said = processor(None, event["level"], said)
            with self.lock or nullcontext():
                self._offer(said)
        except Exception as error:
            self.handleError(logging.makeLogRecord({"msg": f"{event.get('event')}: {error}"}))

    def _offer(self, line: str) -> None:
        if self._dropped:
            line = f"{self.format(self._gap())}\n{line}"
        if self._printer.offer(f"{line}\n"):
            self._dropped = 0
        else:
            self._dropped += 1

    def flush(self) -> None:
        """Wait a moment for what is still to be written; the standard library calls this when the process ends."""
        self._printer.flush(_LAST_PATIENCE)

    def _gap(self) -> logging.LogRecord:
        """What is logged in the place of dropped lines."""
        said = {"msg": "log_lines_dropped", "levelno": logging.WARNING, "levelname": "WARNING", "lines": self._dropped}
        return logging.makeLogRecord({"name": __name__, **said})


class _Ours:
    """What structlog gives our events to, whatever their level."""

    def __init__(self, handler: _Unblocked) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = handler.tell


def _as_it_stands(_logger: WrappedLogger, _method: str, event: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:
    return (event,), {}


_without_colors = structlog.dev.ConsoleRenderer(colors=False)


def _in_one_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """An event as structlog's own renderer writes it, at a quarter of the cost; one with a trace is left to that."""
    if "exc_info" in event or not event.keys().isdisjoint(_TRACES):
        return _without_colors(logger, method, event)
    said = " ".join(f"{key}={_said(event[key])}" for key in sorted(event) if key not in _FIRST)
    return f"{event['timestamp']} [{event['level']:9}] {event['event']:30} {said}".rstrip(" ")


def _said(value: Any) -> str:
    return value if isinstance(value, str) and _QUOTED.search(value) is None else repr(value)


def _without_commands(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Every character that a terminal could obey, or that hides, written as its code; a value has one line."""
    return {_shown(key): _shown_trace(value) if key in _TRACES else _shown(value) for key, value in event.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        if value.isprintable():
            return value
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    said = repr(value)  # as the renderer would write it
    return value if said.isprintable() else _shown(said)


def _shown_trace(value: Any) -> str:
    """With its lines, each but the first set in: none can look like a line of the log."""
    return "\n    ".join(_shown(line) for line in str(value).split("\n"))
