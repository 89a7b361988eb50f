"""Of many plans of one rule that wait for people, one message tells that they do, and it is true later as well."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from remediator.errors import StoreUnavailable
from remediator.model.ids import Digest, RuleId, RunId
from remediator.model.message import Choice, Message, Post, Tone
from remediator.pipeline.digest import MANY, QuestionDigest
from remediator.storage.runs import Claim, Entry
from tests.unit.pipeline.desk import Desk

RULE = RuleId("p/r")
KEY = "asked.round.1.1"
MARK = "note/#c/waiting.p/r"


def digest(desk: Desk, *, leads: bool = True, rules: Sequence[RuleId] = (RULE,)) -> QuestionDigest:
    return QuestionDigest(
        desk.store,
        desk.clock,
        channel="#c",
        rules=lambda: rules,
        leads=lambda: leads,
        on_message=lambda: None,
    )


async def ask(desk: Desk, *runs: str) -> list[Claim]:
    claims = [await desk.open(run) for run in runs]
    for run, claim in zip(runs, claims, strict=True):
        choice = Choice(RunId(run), 1, 1, Digest("e" * 64))
        card = Message(Tone.WAITING, "This plan needs a person", choice=choice)
        await desk.store.learn(claim, Entry((), [Post(KEY, card)]))
    return claims


async def decide(desk: Desk, *claims: Claim) -> None:
    for claim in claims:
        await desk.store.learn(claim, Entry((), [Post(KEY, Message(Tone.WORKING, 'Approved, "choice":{"run":'))]))


async def said(desk: Desk, teller: QuestionDigest) -> list[str]:
    """What was told of it since, and how."""
    desk.chat.calls.clear()
    await teller.look()
    await desk.outbox.send_waiting()
    return [call for call in desk.chat.calls if call.endswith(MARK)]


def names(first: int, count: int) -> list[str]:
    return [f"r{number}" for number in range(first, first + count)]


async def test_few_questions_are_told_by_their_cards_alone(desk: Desk) -> None:
    """One more message for each would be noise."""
    await ask(desk, *names(0, MANY - 1))

    assert [] == await said(desk, digest(desk))


async def test_many_questions_are_told_in_one_message_that_is_edited_until_none_waits(desk: Desk) -> None:
    """People see at once how many there are, and how to decide them together."""
    claims = await ask(desk, *names(0, MANY + 1))
    teller = digest(desk)

    assert [f"post {MARK}"] == await said(desk, teller)
    assert f"{MANY + 1} plans of p/r wait for people" == desk.chat.shown[f"ref-{MARK}"]
    assert [] == await said(desk, teller)

    await decide(desk, *claims[:-1])

    assert [f"edit {MARK}"] == await said(desk, teller)
    assert "1 plan of p/r waits for people" == desk.chat.shown[f"ref-{MARK}"]

    await decide(desk, claims[-1])

    assert [f"edit {MARK}"] == await said(desk, teller)
    assert "No plan of p/r waits for people any more" == desk.chat.shown[f"ref-{MARK}"]
    assert [] == await said(desk, teller)


async def test_the_message_begins_anew_when_many_wait_once_more(desk: Desk) -> None:
    """Nobody is alerted to an edit far up in the channel."""
    teller = digest(desk)
    claims = await ask(desk, *names(0, MANY))
    await said(desk, teller)
    await decide(desk, *claims)
    await said(desk, teller)
    await ask(desk, *names(10, MANY))

    assert [f"post {MARK}"] == await said(desk, teller)


async def test_the_next_process_goes_on_with_the_message_of_the_one_before(desk: Desk) -> None:
    """Plans that nobody waits for any more must not be said to wait for ever; nor is the same told twice."""
    claims = await ask(desk, *names(0, MANY))
    await said(desk, digest(desk))
    assert [] == await said(desk, digest(desk))
    await decide(desk, *claims)

    assert [] == await said(desk, digest(desk, leads=False))
    assert [f"edit {MARK}"] == await said(desk, digest(desk))
    assert "No plan of p/r waits for people any more" == desk.chat.shown[f"ref-{MARK}"]


async def test_where_the_rule_is_gone_meanwhile_the_message_is_true_all_the_same(desk: Desk) -> None:
    """Its runs go on with it, and are decided; the last one leaves nothing to do."""
    rules = [RULE]
    claims = await ask(desk, *names(0, MANY))
    teller = digest(desk, rules=rules)
    await said(desk, teller)
    rules.clear()
    await decide(desk, *claims)

    assert [f"edit {MARK}"] == await said(desk, teller)
    assert "No plan of p/r waits for people any more" == desk.chat.shown[f"ref-{MARK}"]


async def test_what_goes_wrong_in_one_look_ends_neither_the_next_nor_the_service(desk: Desk) -> None:
    """A background task that ends takes the whole service with it, which heals more than it tells."""
    looks: list[Exception] = [RuntimeError("a mistake of ours"), StoreUnavailable("it is away")]
    done = asyncio.Event()

    class Broken:
        async def open_questions(self) -> Any:
            if looks:
                raise looks.pop(0)
            done.set()
            return ()

        async def read_notices(self, _wanted: object) -> Any:
            return ()

    broken: Any = Broken()
    teller = QuestionDigest(
        broken, desk.clock, channel="#c", rules=lambda: [RULE], leads=lambda: True, on_message=lambda: None
    )
    task = asyncio.create_task(teller.work())
    while not done.is_set() and not task.done():
        await desk.clock.advance(desk.clock.next_in() or timedelta(0))
        await asyncio.sleep(0)
    was_running = not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert was_running


async def test_who_leads_again_looks_anew(desk: Desk) -> None:
    """Another process may have told more meanwhile."""
    leads = [True]
    teller = QuestionDigest(
        desk.store, desk.clock, channel="#c", rules=lambda: [RULE], leads=lambda: leads[0], on_message=lambda: None
    )
    claims = await ask(desk, *names(0, MANY))
    await said(desk, teller)
    leads[0] = False
    await said(desk, teller)
    await decide(desk, *claims)
    await said(desk, digest(desk))
    leads[0] = True

    assert [] == await said(desk, teller)
