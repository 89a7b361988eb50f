"""Where nobody hears of a change, or nobody can see whether it helped, a person has to approve it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from remediator.errors import Unavailable
from remediator.model.ids import StepId
from remediator.model.outcome import Reason
from remediator.model.plan import PlannedCheck
from remediator.pipeline.guards import Allow, Ask, Case, Hold, Review
from remediator.pipeline.guards.dead_man import DeadMan
from remediator.storage.outbox import OutboxState
from tests.unit.pipeline.guards.probing import AT, SECOND, a_case, review

MINUTE = 60 * SECOND


@dataclass
class Waiting:
    """An outbox whose oldest message waits since a time."""

    oldest: datetime | None = None
    asked: int = 0

    async def outbox_state(self) -> OutboxState:
        self.asked += 1
        return OutboxState(3 if self.oldest else 0, self.oldest)


def proving(action: str, at: datetime = AT) -> Case:
    """A case whose proof is a check by an action."""
    case = a_case()
    checks = (PlannedCheck(StepId("verify.0"), action, {}, 5 * SECOND, "result.value == 1", "look"),)
    plan = replace(case.plan, verification=replace(case.plan.verification, checks=checks))
    return replace(case, plan=plan, at=at)


def pinging(trouble: str = "") -> Callable[[], Awaitable[None]]:
    async def ping() -> None:
        if trouble:
            raise Unavailable(trouble)

    return ping


@pytest.mark.parametrize(
    ("waits", "asks"),
    [(None, False), (15 * MINUTE, False), (15 * MINUTE + SECOND, True), (24 * 60 * MINUTE, True)],
    ids=["none", "as-long", "longer", "a-day"],
)
async def test_a_person_is_asked_while_chat_was_not_told_for_too_long(waits: timedelta | None, asks: bool) -> None:
    """What nobody hears of must not go on by itself."""
    said = await review(DeadMan(Waiting(AT - waits if waits is not None else None), None), a_case())

    assert asks == isinstance(said, Ask)
    if isinstance(said, Ask):
        assert Reason.CANNOT_TELL is said.reason
        for part in ("3 messages", "15m", "limits.tell_within"):
            assert part in said.detail


@pytest.mark.parametrize(
    ("ran", "says"), [(timedelta(), Hold), (59 * SECOND, Hold), (MINUTE, Ask), (-SECOND, Ask)], ids=str
)
async def test_a_process_that_has_just_started_sends_what_waits_before_anybody_is_asked(
    ran: timedelta, says: type[Review]
) -> None:
    """It was off for an hour, and chat is fine: the first plan must not wait a quarter of an hour for a person."""
    said = await review(DeadMan(Waiting(AT - 60 * MINUTE), None, started=AT - ran), a_case())

    assert isinstance(said, says)
    if isinstance(said, Hold):
        assert (Reason.CANNOT_TELL, AT - ran + MINUTE) == (said.reason, said.until)


@pytest.mark.parametrize(
    ("action", "trouble", "asks"),
    [
        ("prometheus.query", "connection refused", True),
        ("prometheus.query", "", False),
        ("thing.look", "connection refused", False),
    ],
    ids=["away", "answers", "not-needed"],
)
async def test_a_person_is_asked_where_the_proof_needs_a_prometheus_that_is_away(
    action: str, trouble: str, asks: bool
) -> None:
    """A remedy for Prometheus itself, proven in another way, is not kept from it."""
    said = await review(DeadMan(Waiting(), pinging(trouble)), proving(action))

    assert asks == isinstance(said, Ask)
    if isinstance(said, Ask):
        assert Reason.CANNOT_VERIFY is said.reason
        assert trouble in said.detail


async def test_without_a_prometheus_it_is_not_asked() -> None:
    """Then the check itself says that there is none."""
    assert Allow() == await review(DeadMan(Waiting(), None), proving("prometheus.query"))


async def test_what_is_begun_is_ended() -> None:
    """Half a change is worse than one that nobody hears of."""
    case = replace(proving("prometheus.query"), begun=True)

    assert Allow() == await review(DeadMan(Waiting(AT - 60 * MINUTE), pinging("away")), case)


async def test_many_that_ask_at_once_are_given_one_answer() -> None:
    """In a storm thousands want to know it."""
    outbox, pings = Waiting(), 0

    async def ping() -> None:
        nonlocal pings
        pings += 1

    guard = DeadMan(outbox, ping)
    await asyncio.gather(*(guard.look(proving("prometheus.query")) for _ in range(50)))
    once = (outbox.asked, pings)
    await guard.look(proving("prometheus.query", AT + 5 * SECOND))

    assert ((1, 1), (2, 2)) == (once, (outbox.asked, pings))
