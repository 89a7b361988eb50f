"""Approvals that count no more when it would begin: by a token that was revoked, or by who may not decide any more."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Asked, Voided
from remediator.model.person import Person
from remediator.model.token import Scope, Token
from remediator.pipeline.approvals import Answer
from remediator.settings import Settings
from remediator.web.shown import show_fact
from tests.unit.pipeline.gates import PEOPLE, ana, asking, audited, gated, of_kind, planned, say
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last

WHY = "the token 3f9c01ab77de, with which ana has approved it, was revoked"


async def anas_token(it: Harness, *, lasts: timedelta = timedelta(days=1)) -> Person:
    """Ana, as she speaks with a token that is made for her now."""
    now = it.clock.now()
    token = Token("3f9c01ab77de", "ana", Scope.DECIDE, (), b"d" * 32, now, "ann", now + lasts)
    await it.store.put_token(token)
    return it.process.people.of_token("ana", token=token.id)


async def revoke(it: Harness) -> None:
    assert await it.store.revoke_token("3f9c01ab77de", it.clock.now(), "ann")


async def test_an_approval_by_a_token_that_is_revoked_before_the_start_does_not_count(tmp_path: Path) -> None:
    """Whoever revokes a stolen token expects that nothing is done with it any more; all three tell it."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        thief = await anas_token(it)
        await it.process.kill()
        taken = await say(it, thief)
        await revoke(it)
        await it.crash()
        await it.pass_time(10 * SECOND)
        before = list(it.world.effects)
        run = await it.run()
        told = await it.store.waiting_posts(100)
        await say(it, ana(it))

        assert ["healed"] == await it.until_over()
        assert (Answer.TAKEN, [], ["web"]) == (taken.answer, before, it.world.effects)
        assert WHY == last(run, Voided).why
        assert f"what was asked for is void: {WHY}" == show_fact(last(run, Voided))["text"]
        assert any(WHY in str(post.message) for post in told)
        assert any(WHY in f"{entry.outcome} {entry.detail}" for entry in await audited(it) if entry.what != "approved")
        assert 2 == len(await of_kind(it, Asked))


@pytest.mark.parametrize(
    "changed",
    [{"people": {"ben": {}}, "groups": {"dba": ["ben"]}}, {"groups": {"dba": ["ben"]}}],
    ids=["no more among the people", "no more in the group"],
)
async def test_a_whole_approval_does_not_outlast_the_right_to_give_it(tmp_path: Path, changed: dict[str, Any]) -> None:
    """Somebody was taken out of the settings between their word and the start."""
    async with asking(tmp_path, gated(approvers=["dba"])) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        taken = await say(it, it.process.people.of_slack("UANA"))
        people = {"people": changed.get("people", PEOPLE["people"]), "approval": {"groups": changed["groups"]}}
        now = Settings.model_validate(people)
        it.settings = it.settings.model_copy(update={"people": now.people, "approval": now.approval})
        await it.crash()
        await it.pass_time(10 * SECOND)
        before = list(it.world.effects)
        await say(it, it.process.people.of_token("ben"))

        assert ["healed"] == await it.until_over()
        assert (Answer.TAKEN, [], ["web"]) == (taken.answer, before, it.world.effects)
        assert "ana, who has approved it, may not decide on it any more" == last(await it.run(), Voided).why


async def test_nobody_completes_a_quorum_that_was_begun_with_a_revoked_token(tmp_path: Path) -> None:
    """Also before the run itself has looked again: whoever comes second learns why, and is asked anew."""
    async with asking(tmp_path, gated(quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        shown = await planned(it)
        first = await say(it, await anas_token(it), of=shown)
        await revoke(it)
        second = await say(it, it.process.people.of_token("ben"), of=shown)
        await it.pass_time(SECOND)
        anew = await planned(it)
        again = [await say(it, person) for person in (it.process.people.of_token("ben"), ana(it))]

        assert ["healed"] == await it.until_over()
        assert (Answer.TAKEN, Answer.VOID) == (first.answer, second.answer)
        assert f"what was asked for is void: {WHY}. It is asked for anew" == second.says
        assert (shown.revision + 1, [1, 0]) == (anew.revision, [verdict.missing for verdict in again])


async def test_a_question_with_a_revoked_approval_is_asked_anew_within_a_minute(tmp_path: Path) -> None:
    """Nobody has to press to find out that the half of a quorum is gone."""
    async with asking(tmp_path, gated(quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await say(it, await anas_token(it))
        await revoke(it)
        await it.pass_time(MINUTE + SECOND)

        assert WHY == last(await it.run(), Voided).why
        assert 2 == len(await of_kind(it, Asked))


async def test_an_approval_by_a_token_that_has_expired_since_counts(tmp_path: Path) -> None:
    """It was good when it was used: that its time is over says nothing of what was said with it."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await say(it, await anas_token(it, lasts=SECOND))
        await it.pass_time(2 * SECOND)
        await it.crash()

        assert ["healed"] == await it.until_over()
        assert [] == await of_kind(it, Voided)


@pytest.mark.parametrize("is_read", [True, False], ids=["while it runs", "by who comes after"])
async def test_who_says_no_is_heard_also_where_an_approval_before_does_not_count_any_more(
    tmp_path: Path, is_read: bool
) -> None:
    """Asking anew would drop the word of somebody who may say it."""
    async with asking(tmp_path, gated(quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await say(it, await anas_token(it))
        if not is_read:
            await it.process.kill()
        await revoke(it)
        verdict = await say(it, it.process.people.of_token("ben"), approved=False, reason="no")
        if not is_read:
            await it.crash()

        assert Answer.TAKEN is verdict.answer
        assert ["denied"] == await it.until_over()
        assert [] == await of_kind(it, Voided)
