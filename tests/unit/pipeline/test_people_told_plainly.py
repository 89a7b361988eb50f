"""What people did is told with who and why; they are asked about what is unknown; what was lifted is told as it is."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.kit.redaction import Redactor
from remediator.model.facts import Finished, StepStatus
from remediator.model.message import Excerpt
from remediator.model.run import Cancel, Run
from remediator.model.stop import Stop, StopKind
from remediator.model.undo import Cause, Undoing, Undone, undo_step
from remediator.pipeline import story
from remediator.pipeline.intake import NothingAnew
from remediator.pipeline.rerun import Reruns
from remediator.pipeline.stops import tell_lapsed, tell_lifted
from remediator.pipeline.undo.putting_back import lost_sight_of
from remediator.web.shown import show_run
from tests.unit.pipeline.harness import MINUTE, Harness, alert, rule
from tests.unit.web.a_run import ENDED, EXAMINED, FINISHED, NOW, PLANNED, STARTED, STEP, run_with

UNKNOWN = replace(FINISHED, status=StepStatus.UNKNOWN)


async def test_both_runs_say_why_another_was_begun(tmp_path: Path) -> None:
    """Whoever looks at either sees it: the old one is where people look first."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await it.deliver(alert())
        await it.settle()
        old = await it.run()
        await it.say(old.id, Cancel(it.clock.now(), "bob"))
        await it.pass_time(MINUTE)
        reruns = Reruns(it.store, it.process.intake, it.clock, Redactor())
        await reruns.of_run(old.id, "ann", "the disk is back")
        first, second = await it.runs()
        with pytest.raises(NothingAnew) as refused:
            await reruns.of_run(old.id, "bob", "")

        assert ["the disk is back"] == [one["reason"] for one in signals(first, "resolved")]
        assert ["the disk is back"] == [one["reason"] for one in signals(second, "again")]
        assert str(refused.value).endswith(f"{second.id}; see: remediator runs show {second.id}")


def signals(run: Run, kind: str) -> list[Mapping[str, Any]]:
    return [one for one in show_run(run)["signals"] if one["kind"] == kind]


@pytest.mark.parametrize(
    ("unknown", "question"),
    [
        (UNKNOWN, "Once you know whether it was done"),
        (replace(UNKNOWN, step=undo_step(STEP.id, 1)), "Once you know whether it was put back"),
    ],
    ids=["the step", "its undo"],
)
def test_a_person_is_asked_about_what_is_unknown(unknown: Finished, question: str) -> None:
    """A step whose end nobody saw was never being put back."""
    undone = Undone(NOW, 1, asks=True, brief="")
    done = () if unknown is UNKNOWN else (FINISHED,)
    undoing = Undoing(NOW, 1, Cause.ASKED, by="ann")
    run = run_with(EXAMINED, PLANNED, STARTED, *done, unknown, ENDED, undoing, undone)
    posts = story.tell(run, (undone,), Redactor())
    parts = [part for post in posts for part in post.message.parts if isinstance(part, Excerpt)]

    assert [question] == [part.title for part in parts]


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (StopKind.PAUSE, "Changes go on: x"),
        (StopKind.QUARANTINE, "Out of quarantine: x"),
        (StopKind.FLAPPING, "Its returns are counted anew: x"),
        (StopKind.DEMOTION, "Acts by itself again: x"),
        (StopKind.BREAKER, "Its breaker is closed again: x"),
        (StopKind.STORM, "No storm any more: new changes go on: x"),
    ],
)
def test_what_was_lifted_is_told_as_it_is_now(kind: StopKind, title: str) -> None:
    """“Lifted: acts by itself no more” says the opposite to whoever reads its end."""
    stop = Stop(kind, "x", "why", "ann", NOW)

    assert (title, title) == (tell_lifted(stop, "bob").title, tell_lapsed(stop).title)


def test_nobody_claims_that_the_service_was_stopped() -> None:
    """It may have been killed: all that is known is that nobody saw the end."""
    assert "stopped or died" in lost_sight_of(STARTED, NOW).brief
