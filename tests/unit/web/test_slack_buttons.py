"""A press decides on the plan of its own message, once, for people who may; everybody else is told, alone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediator.errors import StoreUnavailable
from remediator.model.ids import RuleId
from remediator.model.run import Cancel, Resolved
from remediator.pipeline.approvals import Answer, Verdict
from remediator.storage.runs import Claim, Entry
from remediator.testing.slack_people import OpenedView
from tests.contract.opening import ENDED, ME
from tests.unit.web.a_run import ASKED, NOW, PLAN, PLANNED
from tests.unit.web.serving import until
from tests.unit.web.slack_desk import ANA, BEN, EVE, RUN, TOKENS, Desk, at_the_desk, card


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with at_the_desk() as made:
        yield made


async def opened(desk: Desk) -> OpenedView:
    await until(lambda: bool(desk.slack.views))
    return desk.slack.views[-1]


async def test_an_approval_is_on_disk_when_slack_is_answered(desk: Desk) -> None:
    """Slack shows that it went well; after that nothing may be lost."""
    answer = await desk.slack.click(desk.card, "approve")

    assert (200, b"") == (answer.status, answer.body)
    (decision,) = await desk.decisions()
    assert (True, PLAN.digest, "ana", "slack") == (decision.approved, decision.digest, decision.person, decision.via)
    assert [("approved", "ana", "slack C00000001")] == await desk.audited()
    assert [] == desk.slack.ephemerals


async def test_a_denial_asks_for_its_reason_first(desk: Desk) -> None:
    """Whoever reads the thread later wants to know why; the press alone decides nothing and is no refusal."""
    await desk.slack.click(desk.card, "deny")
    view = await opened(desk)

    assert ANA.id == view.user
    assert f"Run {RUN}, plan {PLAN.digest[:12]}" in view.texts
    assert ([], []) == (await desk.decisions(), await desk.audited())

    answer = await desk.slack.submit(view, reason=" not at night ")

    assert (200, b"") == (answer.status, answer.body)
    (decision,) = await desk.decisions()
    assert (False, "not at night", "ana") == (decision.approved, decision.reason, decision.person)


@pytest.mark.parametrize("reason", [None, "", " \n "])
async def test_a_denial_without_a_reason_is_given_back(desk: Desk, reason: str | None) -> None:
    """The modal stays open and says so."""
    await desk.slack.click(desk.card, "deny")

    answer = await desk.slack.submit(await opened(desk), reason=reason)

    assert {"response_action": "errors", "errors": {"reason": "say why not: a denial needs a reason"}} == answer.json
    assert [] == await desk.decisions()


async def test_a_reason_that_comes_too_late_is_told_in_the_modal(desk: Desk) -> None:
    """Somebody else was faster while it was typed."""
    await desk.slack.click(desk.card, "deny")
    view = await opened(desk)
    await desk.slack.click(desk.card, "approve", user=BEN)

    answer = await desk.slack.submit(view, reason="no")

    assert "update" == answer.json["response_action"]
    assert "ben has approved it already" in str(answer.json["view"])
    assert [True] == [decision.approved for decision in await desk.decisions()]


async def test_the_second_press_is_told_who_was_first(desk: Desk) -> None:
    """Only to who has pressed: the others know already."""
    await desk.slack.click(desk.card, "approve")
    again = await desk.slack.click(desk.card, "deny", user=BEN)

    assert 200 == again.status
    assert [(BEN.id, "ana has approved it already, at 12:00:00 UTC")] == await desk.told()
    assert 1 == len(await desk.decisions())
    assert ["approved", "refused"] == [what for what, _, _ in await desk.audited()]
    assert [] == desk.slack.views


async def test_a_card_whose_buttons_came_back_late_is_written_again_when_one_is_pressed(desk: Desk) -> None:
    """A process that was frozen has put them back on what is decided: whoever presses shows that, and they go."""
    await desk.slack.click(desk.card, "approve")
    for post in await desk.store.waiting_posts(10):
        await desk.store.note_sent(post.seq, post.version, post.ref or "C1:1.0")
    await desk.slack.click(desk.card, "approve", user=BEN)
    async with asyncio.timeout(60):
        while not (waiting := await desk.store.waiting_posts(10)):
            await asyncio.sleep(0.01)

    assert [f"{desk.card.channel}:{desk.card.ts}"] == [post.ref for post in waiting]


async def test_what_is_told_alone_stands_in_the_thread_of_its_card(desk: Desk) -> None:
    """Else nobody knows what it is about."""
    await desk.slack.click(desk.card, "approve", user=EVE)
    await desk.told()

    assert desk.card.thread_ts == desk.slack.ephemerals[0].thread_ts


@pytest.mark.parametrize("which", ["approve", "deny"])
async def test_somebody_whom_nobody_knows_decides_nothing(desk: Desk, which: str) -> None:
    """They are told what to do about it, nobody else is, and it is recorded."""
    answer = await desk.slack.click(desk.card, which, user=EVE)

    assert 200 == answer.status
    ((told, text),) = await desk.told()
    assert (EVE.id, True) == (told, text.startswith(f"nobody knows you here: have `{EVE.id}` added"))
    assert ([], []) == (await desk.decisions(), desk.slack.views)
    assert [("refused", f"slack:{EVE.id}", "slack C00000001")] == await desk.audited()


async def test_two_people_at_once_decide_once(desk: Desk) -> None:
    """Both press in the same moment; the store judges one after the other."""
    both = await asyncio.gather(
        desk.slack.click(desk.card, "approve"), desk.slack.click(desk.card, "approve", user=BEN)
    )

    assert [200, 200] == [answer.status for answer in both]
    (decision,) = await desk.decisions()
    ((told, text),) = await desk.told()
    assert {decision.person, "ana" if told == ANA.id else "ben"} == {"ana", "ben"}
    assert text.startswith(f"{decision.person} has approved it already")


async def test_one_person_is_not_two() -> None:
    """A plan that needs two people is not approved by one who presses twice."""
    async with at_the_desk(asked={"quorum": 2}) as desk:
        await desk.slack.click(desk.card, "approve")
        await desk.slack.click(desk.card, "approve")

        assert [(ANA.id, "you have approved it already, at 12:00:00 UTC")] == await desk.told()
        await desk.slack.click(desk.card, "approve", user=BEN)
        assert ["ana", "ben"] == [decision.person for decision in await desk.decisions()]


TORN = {
    "another message": {"ts": "1000002.000001"},
    "another channel": {"channel": "C00000002"},
}


@pytest.mark.parametrize("place", TORN.values(), ids=TORN.keys())
@pytest.mark.parametrize("which", ["approve", "deny"])
async def test_a_button_decides_in_its_own_message_alone(desk: Desk, place: dict[str, Any], which: str) -> None:
    """A token that was copied elsewhere would have people approve what they do not see."""
    desk.slack.add_channel("other")
    copied = replace(card(desk.card.channel, desk.card.ts), **place)

    answer = await desk.slack.click(copied, which)

    assert 200 == answer.status
    assert [(ANA.id, "this button does not belong to this message, so it decides nothing")] == await desk.told()
    assert ([], []) == (await desk.decisions(), desk.slack.views)
    assert [("refused", "ana", f"slack {copied.channel}:{copied.ts}")] == await desk.audited()


async def test_the_token_of_a_denial_approves_nothing(desk: Desk) -> None:
    """The answer is bound to the token, not to the name of the button."""
    swapped = card(desk.card.channel, desk.card.ts, {"approve": TOKENS["deny"], "deny": TOKENS["approve"]})

    await desk.slack.click(swapped, "approve")
    await desk.slack.click(swapped, "deny")

    assert {"this button does not belong to this message, so it decides nothing"} == {
        text for _, text in await desk.told(2)
    }
    assert ([], []) == (await desk.decisions(), desk.slack.views)


async def test_the_reason_of_a_modal_is_bound_to_the_message_as_well(desk: Desk) -> None:
    """What the modal carries along comes back from a person's browser."""
    await desk.slack.click(desk.card, "deny")
    view = await opened(desk)
    note = view.view["private_metadata"].replace(desk.card.ts, "1000002.000001")

    answer = await desk.slack.submit(replace(view, view={**view.view, "private_metadata": note}), reason="no")

    assert "does not belong to this message" in str(answer.json["view"])
    assert [] == await desk.decisions()


@pytest.mark.parametrize("token", ["", "no such token", "x" * 500, "\ud7ff"])
async def test_a_token_that_nobody_made_decides_nothing(desk: Desk, token: str) -> None:
    """Tokens cannot be guessed; the one of a run that was forgotten is the same."""
    await desk.slack.click(card(desk.card.channel, desk.card.ts, {"approve": token}), "approve")

    ((_, text),) = await desk.told()
    assert text.startswith("this button is not known here (any more)")
    assert [] == await desk.decisions()
    assert ["refused"] == [what for what, _, _ in await desk.audited()]


async def test_a_press_before_it_is_known_where_the_message_stands_is_to_be_repeated() -> None:
    """Slack shows the message before it tells us where it stands, and its answer may be lost."""
    async with at_the_desk(sent=False) as early:
        pressing = asyncio.create_task(early.slack.click(early.card, "approve"))
        while not pressing.done():
            await until(lambda: pressing.done() or early.clock.next_in() is not None)
            await early.clock.advance(timedelta(milliseconds=250))

        assert 200 == (await pressing).status
        ((_, text),) = await early.told()
        assert "press again" in text
        assert ([], []) == (await early.decisions(), await early.audited())


async def test_a_press_a_moment_before_the_message_is_noted_counts() -> None:
    """Who is that fast shall not have to press twice."""
    async with at_the_desk(sent=False) as early:
        pressing = asyncio.create_task(early.slack.click(early.card, "approve"))
        await until(lambda: early.clock.next_in() is not None)
        await early.note_card()
        await early.clock.advance(timedelta(milliseconds=100))

        assert 200 == (await pressing).status
        assert ["ana"] == [decision.person for decision in await early.decisions()]
        assert [] == early.slack.ephemerals


async def _expire(desk: Desk) -> None:
    await desk.clock.advance(timedelta(minutes=15, seconds=1))


async def _resolve(desk: Desk) -> None:
    await desk.store.signal(RUN, Resolved(NOW))


async def _cancel(desk: Desk) -> None:
    await desk.store.signal(RUN, Cancel(NOW, "zoe"))


async def _replace(desk: Desk) -> None:
    anew = replace(PLANNED, revision=2, plan=replace(PLAN, name="another"))
    await desk.store.learn(Claim(RUN, ME, 1, 0), Entry(facts=(anew,)))


async def _ask_anew(desk: Desk) -> None:
    """The same plan, as another question."""
    facts = (replace(PLANNED, revision=2), replace(ASKED, revision=2))
    await desk.store.learn(Claim(RUN, ME, 1, 0), Entry(facts=facts))


async def _end(desk: Desk) -> None:
    claim = Claim(RUN, ME, 1, 0)
    await desk.store.end(claim, Entry(facts=(replace(ENDED, at=NOW),)), replace(ENDED, at=NOW), keep_locks_until=None)


LATE = {
    "expired": (_expire, "the time to decide is over"),
    "resolved": (_resolve, "no plan of this run waits"),
    "cancelled": (_cancel, "no plan of this run waits"),
    "another plan": (_replace, "no plan of this run waits"),
    "asked anew": (_ask_anew, "the plan has changed since it was shown"),
    "ended": (_end, "no plan of this run waits"),
}


@pytest.mark.parametrize("which", ["approve", "deny"])
@pytest.mark.parametrize(("change", "says"), LATE.values(), ids=LATE.keys())
async def test_a_press_on_what_does_not_wait_any_more_decides_nothing(
    desk: Desk, change: Any, says: str, which: str
) -> None:
    """The message may stand there for a while before its buttons go."""
    await change(desk)

    await desk.slack.click(desk.card, which)

    ((_, text),) = await desk.told()
    assert text.startswith(says)
    assert ([], []) == (await desk.decisions(), desk.slack.views)
    assert ["refused"] == [what for what, _, _ in await desk.audited()]


async def test_a_press_after_the_rule_changed_decides_nothing() -> None:
    """What was asked for goes by a rule that is not in force any more."""

    def rule_now(_rule: RuleId) -> str:
        return "another"

    async with at_the_desk(asked={"rule_now": "d" * 64}, rule_now=rule_now) as desk:
        await desk.slack.click(desk.card, "approve")

        ((_, text),) = await desk.told()
        assert text.startswith("the rule has changed since")
        assert [] == await desk.decisions()


async def test_only_the_groups_that_are_asked_may_decide() -> None:
    """Somebody who is known, and is in no such group, is told who may."""
    async with at_the_desk(asked={"approvers": ("dba",)}, approval={"groups": {"dba": ["ben"]}}) as desk:
        await desk.slack.click(desk.card, "approve")
        assert [(ANA.id, "only dba may decide on this, and you are not in there")] == await desk.told()

        await desk.slack.click(desk.card, "approve", user=BEN)
        assert ["ben"] == [decision.person for decision in await desk.decisions()]


async def test_a_store_that_is_away_takes_nothing_and_loses_nothing() -> None:
    """Slack shows an error; the person presses again."""
    words: list[Verdict | StoreUnavailable] = [StoreUnavailable("gone"), StoreUnavailable("gone")]
    words.append(Verdict(Answer.TAKEN, "approved"))

    async def decide(*_: Any) -> Verdict:
        word = words.pop(0)
        if isinstance(word, Verdict):
            return word
        raise word

    async with at_the_desk(decide=decide) as desk:
        assert [503, 503, 200] == [(await desk.slack.click(desk.card, "approve")).status for _ in range(3)]
        assert 2 == desk.answered("interaction", 503)


async def test_a_reason_is_kept_in_its_modal_while_the_store_is_away() -> None:
    """Nobody wants to type it twice."""
    words: list[Verdict | StoreUnavailable] = [Verdict(Answer.NEEDS_REASON, "say why"), StoreUnavailable("gone")]
    words.append(Verdict(Answer.TAKEN, "denied"))

    async def decide(*_: Any) -> Verdict:
        word = words.pop(0)
        if isinstance(word, Verdict):
            return word
        raise word

    async with at_the_desk(decide=decide) as desk:
        await desk.slack.click(desk.card, "deny")
        view = await opened(desk)
        away = await desk.slack.submit(view, reason="no")
        assert ("errors", True) == (away.json["response_action"], "press again" in str(away.json["errors"]))
        assert b"" == (await desk.slack.submit(view, reason="no")).body


async def test_a_slow_store_is_not_waited_for_longer_than_slack_waits() -> None:
    """Slack gives three seconds. What is written after that is told to who has pressed."""
    written = asyncio.Event()

    async def decide(*_: Any) -> Verdict:
        await written.wait()
        return Verdict(Answer.TAKEN, "approved: plan 1 of run 2")

    async with at_the_desk(decide=decide, patience=timedelta(milliseconds=50)) as desk:
        answer = await desk.slack.click(desk.card, "approve")
        assert 503 == answer.status
        assert [] == desk.slack.ephemerals

        written.set()
        assert [(ANA.id, "approved: plan 1 of run 2")] == await desk.told()


async def test_slack_that_does_not_answer_keeps_nobody_waiting() -> None:
    """What is told beside is best effort."""
    async with at_the_desk() as desk:
        desk.slack.fail_next("chat.postEphemeral", hang=True)

        assert 200 == (await desk.slack.click(desk.card, "approve", user=EVE)).status
        assert 200 == (await desk.slack.click(desk.card, "approve")).status
        assert 1 == len(await desk.decisions())


async def test_a_modal_that_cannot_be_opened_is_told(desk: Desk) -> None:
    """Else a denial would seem to be taken."""
    desk.slack.fail_next("views.open", error="expired_trigger_id")

    await desk.slack.click(desk.card, "deny")

    ((_, text),) = await desk.told()
    assert f"remediator deny {RUN}" in text
    assert [] == await desk.decisions()


async def test_what_is_told_pings_and_links_nothing(desk: Desk) -> None:
    """A reason is a person's words, and is told to others."""
    await desk.slack.click(desk.card, "deny")
    await desk.slack.submit(await opened(desk), reason="<!channel> & <https://evil.example|here>")

    await desk.slack.click(desk.card, "approve", user=BEN)

    ((_, text),) = await desk.told()
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;" in text


async def test_presses_of_other_buttons_are_nothing_to_us(desk: Desk) -> None:
    """Another program may share the app."""
    payload = desk.slack.click_payload(desk.card, "approve")
    payload["actions"][0]["action_id"] = "other.button"

    assert 200 == (await desk.slack.send_interaction(payload)).status
    assert ([], []) == (await desk.decisions(), await desk.audited())


async def test_tokens_are_in_no_entry_of_the_journal_and_no_log(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads a log must not be able to approve."""
    await desk.slack.click(replace(desk.card, ts="1000002.000001"), "approve")
    await desk.slack.click(desk.card, "approve", user=EVE)
    await desk.slack.click(desk.card, "approve")
    await desk.told(2)

    written = capsys.readouterr()
    page = await desk.store.audit_page(after=0, limit=100)
    assert TOKENS["approve"] not in f"{written.out}{written.err}{page}"
    assert 3 == len(page)
