"""What a line of the log can and cannot be, and that writing it makes nobody wait."""

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from remediator.kit import logs
from remediator.kit.redaction import Redactor
from remediator.model.outcome import Outcome

EVIL = "\x1b[1A\x1b[2K2026\u00a0[info]\u00a0forged\x9b31m\x07\u202e\r\n2026 [info] run_ended"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Other tests log as they did."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def logged(monkeypatch: pytest.MonkeyPatch, style: Literal["text", "json"]) -> io.StringIO:
    """Where the log goes, once it is flushed."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(level="info", style=style, redactor=Redactor())
    return stream


def fail() -> None:
    raise ValueError(EVIL)


def flush() -> None:
    logging.getLogger().handlers[0].flush()


def test_no_value_forges_a_line_or_commands_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook's sender writes values; who reads the log in a terminal must see what was logged."""
    stream = logged(monkeypatch, "text")

    structlog.get_logger("x").info("delivery_truncated", group=EVIL, bare=EVIL.replace(" ", ""), many=[EVIL])
    logging.getLogger("library").warning("said %s", EVIL)
    flush()

    lines = stream.getvalue().split("\n")
    assert 3 == len(lines)
    assert all(line.isprintable() for line in lines)
    assert "\\x1b[1A\\x1b[2K2026\\xa0[info]" in lines[0]


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_in_an_object_is_masked(monkeypatch: pytest.MonkeyPatch, style: Literal["text", "json"]) -> None:
    """Whatever has no form of its own is written as its repr."""

    class Door:
        def __repr__(self) -> str:
            return "Door(password=hunter22)"

    stream = logged(monkeypatch, style)
    structlog.get_logger("x").info("door_opened", door=Door())
    flush()

    assert "hunter22" not in stream.getvalue()
    assert "Door(password=[redacted]" in stream.getvalue()


def test_no_exception_forges_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its text may be an answer from outside; its own lines are set in."""
    stream = logged(monkeypatch, "text")

    try:
        fail()
    except ValueError:
        structlog.get_logger("x").exception("action_raised")
    flush()

    first, trace, *rest = stream.getvalue().rstrip("\n").split("\n")
    assert "action_raised" in first
    assert "Traceback (most recent call last):" == trace
    assert all(line.isprintable() and line.startswith("    ") for line in rest)
    assert "    2026 [info] run_ended" == rest[-1]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"b": "word", "a": "two words", "empty": "", "quoted": "it's", "equal": "a=b"},
        {"nothing": None, "number": 0.5, "many": ["x", "y z"], "outcome": Outcome.HEALED},
    ],
    ids=["nothing more", "texts", "others"],
)
@pytest.mark.parametrize("event", ["run_ended", "an_event_with_a_name_that_is_longer_than_others"])
def test_a_line_is_the_one_that_structlog_writes(
    monkeypatch: pytest.MonkeyPatch, event: str, values: dict[str, Any]
) -> None:
    """People and programs read these lines, and those with a trace are still written by structlog itself."""
    stream = logged(monkeypatch, "text")

    structlog.get_logger("x").warning(event, **values)
    flush()

    line = stream.getvalue().rstrip("\n")
    known = {"timestamp": line.split()[0], "level": "warning", "event": event, **values}
    assert structlog.dev.ConsoleRenderer(colors=False)(None, "warning", known) == line


def test_a_word_of_ours_reads_as_people_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody finds an outcome of several words by what the pages call it, where its class is logged."""
    stream = logged(monkeypatch, "text")

    structlog.get_logger("x").info("run_ended", outcome=Outcome.NOT_HEALED)
    flush()

    assert "outcome='not healed'" in stream.getvalue()


def test_json_has_one_line_for_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives every value back as it was."""
    stream = logged(monkeypatch, "json")

    structlog.get_logger("x").info("event", value=EVIL)
    flush()

    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    assert EVIL == json.loads(line)["value"]


@pytest.mark.timeout(60)
def test_logs_that_nobody_reads_make_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is dropped and counted; once somebody reads again, the log says so and goes on."""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as reader, open(writing, "w", encoding="utf-8") as stream:  # noqa: PTH123 - pipes
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure(level="info", style="json", redactor=Redactor())
        log = structlog.get_logger("x")

        for number in range(100):
            log.info("long", number=number, text="x" * 100_000)

        found: list[dict[str, object]] = []
        done = threading.Event()

        def read() -> None:
            for line in reader:
                found.append(json.loads(line))
                if found[-1]["event"] == "last":
                    done.set()

        thread = threading.Thread(target=read)
        thread.start()
        flush()
        log.info("last")
        assert done.wait(30)
        monkeypatch.undo()
        stream.close()
        thread.join()

    kept = [event["number"] for event in found if event["event"] == "long"]
    (gap,) = [event for event in found if event["event"] == "log_lines_dropped"]
    assert list(range(len(kept))) == kept
    assert 100 == len(kept) + int(str(gap["lines"]))
    assert "warning" == gap["level"]
