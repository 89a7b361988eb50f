"""What is kept of an action's answer, whoever wrote the action and whatever the answer came from."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.actions import http, prometheus
from remediator.actions.docker import Logs
from remediator.clients import Clients
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import MASK, Redactor
from remediator.model.facts import Examined, StepStatus
from remediator.model.ids import StepId
from remediator.model.message import Excerpt
from remediator.model.plan import PlannedStep
from remediator.model.target import Target
from remediator.pipeline import story
from remediator.pipeline.answer import Answer
from remediator.pipeline.calls import Calls
from remediator.plugins import Action, ActionContext, Effect, Params, Result, action
from remediator.settings import HttpSettings, PrometheusSettings, Settings
from remediator.storage import codec

AT = datetime(2026, 1, 2, tzinfo=UTC)
KEY = ["-----BEGIN RSA PRIVATE KEY-----", *["Hunter2" + "K" * 57] * 48, "-----END RSA PRIVATE KEY-----"]


class Nothing(Params):
    """No parameters."""


class Anything(Result):
    """What a plug-in may find."""

    value: Any
    said: str = ""
    written: str = ""

    def brief(self) -> str:
        return self.said

    def detail(self) -> str:
        return self.written


class Broken(Anything):
    """A plug-in's own mistake."""

    def detail(self) -> str:
        raise KeyError("text")


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    clients = Clients(Settings())
    yield Calls(clients, SystemClock(), Redactor(["s3cr3t-s3cr3t"]), Metrics())
    await clients.close()


async def answer_of(calls: Calls, found: Result) -> Answer:
    @action("test.find", effect=Effect.READ)
    async def find(ctx: ActionContext, params: Nothing) -> Result:
        """Finds what it was given."""
        return found

    return await calls.read(StepId("diagnose.it"), find, Nothing(), None)


def logs_of(*lines: str) -> Logs:
    return Logs(lines=lines, count=len(lines))


async def test_the_newest_lines_are_kept_and_told(calls: Calls) -> None:
    """The reason of a crash stands at the end of a log."""
    lines = (*(f"line {number} " + "x" * 250 for number in range(99)), "FATAL: the reason of the crash")

    evidence = (await answer_of(calls, logs_of(*lines))).as_evidence("docker.logs")
    message = story._evidence(Examined(AT, 1, {"logs": evidence}))

    assert evidence.detail.endswith("\nFATAL: the reason of the crash")
    assert evidence.detail.startswith("… (")
    assert evidence.detail.split("\n")[1].startswith("line ")
    shown = message.parts[-1]
    assert isinstance(shown, Excerpt)
    assert shown.text.endswith("\nFATAL: the reason of the crash")


@pytest.mark.parametrize("lines", [KEY, KEY[5:], KEY[:20]], ids=["whole", "without its start", "without its end"])
async def test_a_private_key_in_a_log_is_masked(calls: Calls, lines: list[str]) -> None:
    """In the text and in the list of lines; `tail` may begin inside it."""
    answer = await answer_of(calls, logs_of("before it", *lines))

    assert "Hunter2" not in str(answer)
    assert "before it" in answer.detail
    assert 1 + len(lines) == len(answer.result["lines"])


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (float("nan"), None),
        (float("inf"), None),
        ([1.5, float("-inf")], [1.5, None]),
        (2**70, 2**70),
        (10**5000, None),
        (-(10**400), None),
        (True, True),
        ("\ud800x", "\ufffdx"),
        ({"\udfff": ["\ud800"]}, {"\ufffd": ["\ufffd"]}),
        ("\0", "\0"),
    ],
    ids=lambda value: ascii(value)[:20] if not isinstance(value, int) else f"{value.bit_length()} bits",
)
async def test_a_result_is_the_same_after_a_restart(calls: Calls, found: Any, kept: Any) -> None:
    """A `when` must not be true before a restart and false after it."""
    evidence = (await answer_of(calls, Anything(value=found, said="a\ud800", written="b\udfff"))).as_evidence(
        "test.find"
    )
    stored = codec.read_fact(codec.write_fact(Examined(AT, 1, {"it": evidence})))

    assert isinstance(stored, Examined)
    assert kept == evidence.result["value"]
    assert evidence == stored.evidence["it"]
    assert ("a\ufffd", "b\ufffd") == (evidence.brief, evidence.detail)


async def test_a_result_that_cannot_be_read_is_an_answer(calls: Calls) -> None:
    """A mistake in a plug-in must not end the run."""
    answer = await answer_of(calls, Broken(value=1))

    assert StepStatus.FAILED is answer.status
    assert "the action broke: KeyError: 'text'" == answer.brief


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "value",
    [
        "s3cr3t-s3cr3t " * 2_000_000,
        [f"{number} s3cr3t-s3cr3t" for number in range(1_000_000)],
        {"deep": ["s3cr3t-s3cr3t"] * 1_000_000},
    ],
    ids=["text", "lines", "object"],
)
async def test_a_huge_result_is_cut_before_it_takes_time(calls: Calls, value: Any) -> None:
    """Everything else waits meanwhile; and the cut lets no secret through."""
    huge = "s3cr3t-s3cr3t " * 2_000_000

    answer = await answer_of(calls, Anything(value=value, said=huge, written=huge))

    assert 64_000 >= len(json.dumps(answer.result["value"]))
    assert (True, True) == (len(answer.brief) <= 500, len(answer.detail) <= 16_000)
    assert "s3cr" not in str(answer)
    assert "cr3t" not in str(answer)
    if isinstance(value, list):
        assert f"999999 {MASK}" == answer.result["value"][-1]


@pytest.fixture
async def hung() -> AsyncIterator[str]:
    """A service that takes connections and never answers; its host and port."""
    over = asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1")
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    over.set()
    server.close()
    await server.wait_closed()


async def look_at(host: str, asked: Action, *, timeout: timedelta | None, own: timedelta) -> Answer:
    """The answer of a step that asks a hung service, whose client has a time limit of its own as well."""
    settings = Settings(
        prometheus=PrometheusSettings(url=f"http://ann:hunter2@{host}", timeout=own),
        http=HttpSettings(allow=("127.0.0.0/8",), timeout=own),
    )
    clients = Clients(settings)
    params = {"query": "up"} if asked is prometheus.query else {"url": f"http://{host}/health?key=hunter2"}
    try:
        calls = Calls(clients, SystemClock(), Redactor(), Metrics())
        return await calls.read(StepId("diagnose.x"), asked, asked.params.model_validate(params), timeout)
    finally:
        await clients.close()


BRIEFLY, LONG = timedelta(milliseconds=100), timedelta(minutes=1)
LONGER = "is it running? If it needs longer,"


@pytest.mark.parametrize(
    ("asked", "timeout", "own", "said"),
    [
        (
            prometheus.query,
            BRIEFLY,
            LONG,
            "Prometheus at http://HOST: no answer within 100ms; {} give the step a longer",
        ),
        (http.get, BRIEFLY, LONG, "http://HOST/health: no answer within 100ms; {} give the step a longer `timeout`"),
        (
            prometheus.query,
            None,
            BRIEFLY,
            "POST http://HOST/api/v1/query: no answer in 0.1 s; {} raise prometheus.timeout",
        ),
        (
            http.get,
            None,
            BRIEFLY,
            "no complete answer in 0.1 s; {} raise the step's parameter `timeout`, or http.timeout",
        ),
        (prometheus.query, 100 * BRIEFLY, 2 * BRIEFLY, "/query: no answer in 0.2 s; {} raise prometheus.timeout"),
    ],
    ids=["prometheus", "http", "prometheus-own-limit", "http-own-limit", "told-before-the-steps-limit"],
)
async def test_a_hung_service_is_named_with_what_to_do(
    hung: str, asked: Action, timeout: timedelta | None, own: timedelta, said: str
) -> None:
    """Whoever reads the thread must know which service it is, whichever limit was reached first."""
    found = await look_at(hung, asked, timeout=timeout, own=own)

    assert StepStatus.FAILED is found.status
    assert said.replace("HOST", hung).format(LONGER) in found.brief
    assert "hunter2" not in found.brief


@pytest.mark.parametrize("asked", [prometheus.query, http.get], ids=lambda asked: asked.name)
def test_one_hung_service_holds_up_the_evidence_for_some_seconds_only(asked: Action) -> None:
    """All evidence waits for the slowest step, and a person waits for the evidence."""
    params = {"query": "up"} if asked is prometheus.query else {"url": "http://127.0.0.1/"}
    nature = asked.nature_of(Clients(Settings()), asked.params.model_validate(params))

    assert timedelta(seconds=12) == nature.timeout


async def test_a_change_without_an_answer_names_whom_it_asked(hung: str) -> None:
    """Nobody knows whether it was done, and that is where to look."""
    clients = Clients(Settings(http=HttpSettings(allow=("127.0.0.0/8",))))
    url = f"http://{hung}/restart?key=hunter2"
    step = PlannedStep(
        id=StepId("remediate.0.0"),
        action="http.post",
        params={"url": url},
        effect=Effect.CHANGE,
        idempotent=False,
        targets=(Target("http", (hung,)),),
        timeout=BRIEFLY,
        sentence="POST",
    )
    try:
        found = await Calls(clients, SystemClock(), Redactor(), Metrics()).change(step, http.post, may_retry=False)
    finally:
        await clients.close()

    assert (StepStatus.UNKNOWN, f"http://{hung}/restart: no answer within 0.1 s; it may have been done") == (
        found.status,
        found.brief,
    )
