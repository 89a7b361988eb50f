"""Calls that put changes back: what is kept for it, and what becomes of an inverse that fails or breaks."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from remediator.clients import Clients
from remediator.errors import Conflicted, Failed, OutcomeUnknown, TargetGone, Unavailable
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import MASK, Redactor
from remediator.model.facts import StepStatus
from remediator.model.ids import StepId
from remediator.model.plan import PlannedStep
from remediator.model.remains import Now, Remains
from remediator.model.target import Target
from remediator.pipeline.calls import Calls
from remediator.plugins import Action, ActionContext, Before, Effect, Inverse, Params, Restored, Result, action
from remediator.settings import Settings

TARGETS = (Target("thing", ("x",)),)


class Nothing(Params):
    """No parameters."""


class Was(Before):
    """How it was."""

    text: str


class Thing:
    """A thing that can be bent, whose inverse does what a test says."""

    def __init__(self, text: str = "straight", *, fails: BaseException | None = None) -> None:
        self.text, self.fails = text, fails
        self.seen: list[tuple[Target, ...]] = []
        self.tries = 0

    def _look(self, ctx: ActionContext) -> None:
        self.seen.append(ctx.targets)
        self.tries += 1
        if self.fails is not None:
            raise self.fails

    @property
    def bend(self) -> Action:
        async def targets(ctx: ActionContext, params: Nothing) -> tuple[Target, ...]:
            return TARGETS

        async def capture(ctx: ActionContext, params: Nothing) -> Was:
            self._look(ctx)
            return Was(text=self.text)

        async def remains(ctx: ActionContext, params: Nothing, before: Was) -> Remains:
            self._look(ctx)
            return Remains(Now.CHANGED, f"it was {before.text}, s3cr3t-s3cr3t")

        async def restore(ctx: ActionContext, params: Nothing, before: Was) -> Restored:
            self._look(ctx)
            return Restored(said=f"{before.text} again", changed=True)

        @action("thing.bend", effect=Effect.CHANGE, targets=targets, inverse=Inverse(capture, remains, restore))
        async def bend(ctx: ActionContext, params: Nothing) -> Result:
            """Bend it."""
            return Result()

        return bend


STEP = PlannedStep(
    StepId("remediate.0.0"), "thing.bend", {}, Effect.CHANGE, True, TARGETS, timedelta(seconds=20), "bend it"
)


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    clients = Clients(Settings())
    yield Calls(clients, SystemClock(), Redactor(["s3cr3t-s3cr3t"]), Metrics())
    await clients.close()


async def test_what_is_captured_comes_back_to_the_inverse(calls: Calls) -> None:
    """As plain JSON in between, and with the targets of the plan each time; what is told is redacted."""
    thing = Thing()
    before = await calls.capture(STEP, thing.bend)
    remains = await calls.remains(STEP, thing.bend, before)
    answer = await calls.restore(STEP, thing.bend, before)

    assert {"text": "straight"} == before
    assert Remains(Now.CHANGED, f"it was straight, {MASK}") == remains
    assert (StepStatus.DONE, "straight again", True) == (answer.status, answer.brief, answer.begun)
    assert [TARGETS] * 3 == thing.seen


async def test_a_secret_is_not_kept(calls: Calls) -> None:
    """A mask could not be put back; and it would be stored."""
    with pytest.raises(Failed, match="holds what looks like a secret, so it cannot be put back"):
        await calls.capture(STEP, Thing("s3cr3t-s3cr3t").bend)


@pytest.mark.parametrize(
    ("error", "status", "begun"),
    [
        (Conflicted("somebody was here"), StepStatus.FAILED, False),
        (TargetGone("it is gone"), StepStatus.FAILED, True),
        (Unavailable("no answer"), StepStatus.FAILED, True),
        (OutcomeUnknown("cut off"), StepStatus.UNKNOWN, True),
        (KeyError("oops"), StepStatus.UNKNOWN, True),
    ],
)
async def test_how_putting_back_ends(calls: Calls, error: Exception, status: StepStatus, *, begun: bool) -> None:
    """It is called once, and only of a conflict is it told apart that a person has to look."""
    thing = Thing(fails=error)
    answer = await calls.restore(STEP, thing.bend, {"text": "straight"})

    assert (status, begun, 1) == (answer.status, answer.begun, thing.tries)


async def test_an_inverse_that_breaks_while_it_looks_is_a_failure(calls: Calls) -> None:
    """Nothing was done yet, and the run must not die of it."""
    bend = Thing(fails=KeyError("oops")).bend
    with pytest.raises(Failed, match="what is there before was not read: KeyError"):
        await calls.capture(STEP, bend)
    with pytest.raises(Failed, match="what remains of the change was not read: KeyError"):
        await calls.remains(STEP, bend, {"text": "straight"})


@pytest.mark.parametrize("stored", [{}, {"text": "x", "more": 1}, {"text": 5}])
async def test_what_another_version_has_captured_is_not_guessed_at(calls: Calls, stored: dict[str, Any]) -> None:
    """An action may have changed since; then nothing is done."""
    thing = Thing()
    answer = await calls.restore(STEP, thing.bend, stored)

    assert (StepStatus.FAILED, 0) == (answer.status, thing.tries)
    assert "what was captured before the change cannot be read any more" in answer.brief
