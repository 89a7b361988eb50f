"""What webhooks hear once a person has stopped a run: that it is over only where the problem is."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.kit.redaction import Redactor
from remediator.model.facts import Closed, Ended, Fact
from remediator.model.outcome import Outcome
from remediator.model.run import Cancel, Resolved, Signal
from remediator.pipeline.escalation.notices import notices_of
from tests.unit.pipeline.escalation.test_levels import LADDER, LEVELS, T0, run_of, told
from tests.unit.pipeline.harness import MINUTE, Harness, alert, rule

CANCELLED = Ended(T0, Outcome.CANCELLED, "ann cancelled it: mine")
DENIED = Ended(T0, Outcome.DENIED, "ann said no: not now")


@pytest.mark.parametrize(
    ("facts", "signals", "event", "fires", "stopped"),
    [
        ([CANCELLED], (Cancel(T0, "ann"),), "stopped", "yes", CANCELLED.brief),
        ([DENIED], (), "stopped", "yes", DENIED.brief),
        ([CANCELLED, Closed(T0, "resolved")], (Cancel(T0, "ann"), Resolved(T0)), "over", "no", ""),
        ([Ended(T0, Outcome.HEALED, "it helped")], (), "over", "yes", ""),
        ([Ended(T0, Outcome.RESOLVED_BY_ITSELF, "resolved")], (Resolved(T0),), "over", "no", ""),
        ([Closed(T0, "anew")], (Resolved(T0, anew="ann"),), "stopped", "yes", "ann has had another run begun for it"),
    ],
)
def test_over_is_said_of_what_is_over(
    facts: Sequence[Fact], signals: tuple[Signal, ...], event: str, fires: str, stopped: str
) -> None:
    """A pager closes its page when it hears `over`; the alert that a person has stopped remediator for still fires."""
    (notice,) = notices_of(run_of(told(1), *facts, signals=signals), facts, Redactor())[-1:]
    data = dict(notice.message.data)

    assert (event, fires, stopped) == (data["event"], data["alert_fires"], data["stopped"])
    assert (event == "stopped") is ("The alert still fires" in repr(notice.message.parts))
    assert notice.message.mention is None


async def test_a_cancelled_run_says_stopped_at_first_and_over_when_its_alert_ends(tmp_path: Path) -> None:
    """The whole way: the second word comes by itself, long after the run has ended."""
    async with Harness(tmp_path, rule(mode="gated", escalate=LADDER[:1]), levels=LEVELS) as it:

        async def event() -> str:
            (post,) = [post for post in await it.store.waiting_posts(1000) if post.channel == "#on-call"]
            return dict(post.message.data)["event"]

        await it.deliver(alert())
        await it.pass_time(MINUTE)
        said = [await event()]
        await it.say((await it.run()).id, Cancel(it.clock.now(), "ann", "mine"))
        await it.pass_time(MINUTE)
        said.append(await event())
        await it.pass_time(timedelta(hours=1))
        said.append(await event())
        await it.deliver(alert(), resolved=True)
        await it.pass_time(MINUTE)
        said.append(await event())

        assert ["escalated", "stopped", "stopped", "over"] == said


@pytest.mark.parametrize(
    ("signal", "then"),
    [
        (Cancel(T0, "ann"), "nobody else is told of it"),
        (Resolved(T0, anew="ann"), "that run has an escalation of its own"),
    ],
    ids=["stopped", "begun anew"],
)
def test_who_hears_of_it_from_now_on_is_said(signal: Signal, then: str) -> None:
    """Whoever was called must not think that it is theirs alone, nor that somebody else is called."""
    facts = [CANCELLED] if isinstance(signal, Cancel) else [Closed(T0, "anew")]
    (notice,) = notices_of(run_of(told(1), *facts, signals=(signal,)), facts, Redactor())[-1:]

    assert f"The alert still fires, and {then}" in repr(notice.message.parts)
