"""Who decides on a plan, how many of them, and what makes their word void: nothing goes on that was not approved."""

from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Asked, Voided
from remediator.model.ids import Digest
from remediator.model.outcome import Reason
from remediator.model.run import Again
from remediator.pipeline.approvals import Answer, Said
from remediator.pipeline.guards import Allow, Ask, Hold
from remediator.pipeline.guards.pause_file import PauseFile
from tests.unit.pipeline.gates import ana, asking, audited, change_rule, gated, of_kind, pause, planned, resume, say
from tests.unit.pipeline.guarded import SET
from tests.unit.pipeline.guarded import Said as Says
from tests.unit.pipeline.harness import MINUTE, SECOND, alert, last, rule

# -- who decides --


async def test_a_quorum_is_of_people_and_not_of_ways(tmp_path: Path) -> None:
    """One person in Slack and with a token is still one."""
    async with asking(tmp_path, gated(quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        people = it.process.people
        first = await say(it, people.of_slack("UANA"))
        again = await say(it, people.of_token("ana"))
        before = list(it.world.effects)
        second = await say(it, people.of_token("ben"))

        assert ["healed"] == await it.until_over()
        assert [Answer.TAKEN, Answer.SAID_BEFORE, Answer.TAKEN] == [first.answer, again.answer, second.answer]
        assert (1, 0) == (first.missing, second.missing)
        assert ([], ["web"]) == (before, it.world.effects)


async def test_the_admin_token_is_one_person_whatever_name_is_given(tmp_path: Path) -> None:
    """Else a quorum would be a matter of typing two names."""
    async with asking(tmp_path, gated(quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        people = it.process.people
        answers = [(await say(it, people.of_admin(name))).answer for name in ("ana", "ben")]
        await it.pass_time(SECOND)

        assert [Answer.TAKEN, Answer.SAID_BEFORE] == answers
        assert [] == it.world.effects


@pytest.mark.parametrize(("started", "answer"), [(True, Answer.NOT_ALLOWED), (False, Answer.TAKEN)])
async def test_who_has_stated_the_alert_does_not_decide_but_who_has_asked_for_another_run_does(
    tmp_path: Path, started: bool, answer: Answer
) -> None:
    """An alert that fires is reason enough; at night nobody else may be there to approve what was begun anew for it."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.say((await it.run()).id, Again(it.clock.now(), "ana", person="ana", by_hand=started))
        await it.settle()
        verdict = await say(it, ana(it))
        await it.pass_time(MINUTE)

        assert answer is verdict.answer
        assert ([] if started else ["web"]) == it.world.effects


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (lambda it: it.process.people.of_slack("UMALLORY"), "nobody knows you here"),
        (lambda it: it.process.people.of_token("eve"), "only dba may decide on this, and you are not in there"),
    ],
    ids=["a stranger", "another group"],
)
async def test_who_may_not_decide_is_told_and_recorded(tmp_path: Path, who: Any, why: str) -> None:
    """And nothing is done because of it."""
    async with asking(tmp_path, gated(approvers=["dba"])) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        person = who(it)
        verdict = await say(it, person)
        await it.pass_time(MINUTE)

        assert Answer.NOT_ALLOWED is verdict.answer
        assert why in verdict.says
        assert [("refused", person.name)] == [(e.what, e.who) for e in await audited(it) if e.what == "refused"]
        assert [] == it.world.effects


async def test_a_denial_needs_a_reason_and_ends_it_also_after_ones_own_approval(tmp_path: Path) -> None:
    """Who has had second thoughts is heard as long as it is not decided."""
    async with asking(tmp_path, gated(quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        approved = await say(it, ana(it))
        bare = await say(it, ana(it), approved=False)
        denied = await say(it, ana(it), approved=False, reason="not during the sale")

        assert ["denied"] == await it.until_over()
        assert [Answer.TAKEN, Answer.NEEDS_REASON, Answer.TAKEN] == [approved.answer, bare.answer, denied.answer]
        assert "denied: ana said no: not during the sale" == await it.ending()
        assert [] == it.world.effects


async def test_a_decision_comes_with_its_entry_in_the_audit_journal(tmp_path: Path) -> None:
    """Who, what, on which plan: without the entry there would be no decision."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        digest = (await planned(it)).plan.digest
        await say(it, ana(it), reason="go")

        (entry,) = [entry for entry in await audited(it) if entry.what == "approved"]
        assert ("ana", "token", digest, "go") == (entry.who, entry.via, entry.digest, entry.detail)


async def test_a_question_that_nobody_may_answer_says_so(tmp_path: Path) -> None:
    """To wait for people who are not there would be in vain."""
    async with asking(tmp_path, gated(approvers=["ops"], quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)

        why = last(await it.run(), Asked).why
        assert "nobody can approve it as things are: approval.groups has no group ops; 2 have to approve" in why


# -- what voids a question --


async def test_a_pause_voids_what_was_asked_for(tmp_path: Path) -> None:
    """Whoever approves after it has to know that somebody had stopped everything."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        before = await planned(it)
        await pause(it)
        await it.pass_time(2 * MINUTE)
        while_paused = await say(it, ana(it), of=before)
        await resume(it)
        await it.pass_time(MINUTE)
        stale = await say(it, ana(it), of=before)
        await it.pass_time(MINUTE)
        effects = list(it.world.effects)
        fresh = await say(it, ana(it))

        assert ["healed"] == await it.until_over()
        assert [Answer.VOID, Answer.CHANGED, Answer.TAKEN] == [v.answer for v in (while_paused, stale, fresh)]
        assert "void: changes are paused: everything: by ben" in while_paused.says
        assert ([], ["web"]) == (effects, it.world.effects)
        assert (2, 1) == (len(await of_kind(it, Asked)), len(await of_kind(it, Voided)))


async def test_nothing_is_approved_while_it_is_paused_but_can_be_denied(tmp_path: Path) -> None:
    """The run has not looked yet when the word comes: it would be no approval of what goes on later."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await pause(it)
        approved = await say(it, ana(it))
        denied = await say(it, ana(it), approved=False, reason="no")

        assert ["denied"] == await it.until_over()
        assert [Answer.VOID, Answer.TAKEN] == [approved.answer, denied.answer]
        assert "changes are paused: everything, by ben" in approved.says
        assert [] == it.world.effects


async def test_the_pause_file_voids_as_well(tmp_path: Path) -> None:
    """It is the stop switch for when nothing else answers."""
    file = tmp_path / "PAUSE"
    async with asking(tmp_path, probes=[PauseFile(file)]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        file.touch()
        await it.pass_time(2 * MINUTE)
        file.unlink()
        await it.pass_time(2 * MINUTE)

        assert (2, 1) == (len(await of_kind(it, Asked)), len(await of_kind(it, Voided)))
        assert [] == it.world.effects


async def test_a_rule_that_goes_by_itself_asks_after_a_void_question(tmp_path: Path) -> None:
    """People were told that nothing is done without them: that the guard has no doubts any more changes nothing."""
    probe = Says(Ask(Reason.LAST_OF_POOL, "it is the only one", subject="shop"))
    async with asking(tmp_path, rule(), probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        probe.review = Allow()
        await pause(it)
        await it.pass_time(2 * MINUTE)
        await resume(it)
        await it.pass_time(5 * MINUTE)

        assert [] == it.world.effects
        assert 2 == len(await of_kind(it, Asked))


async def test_who_was_shown_a_question_does_not_answer_the_next_one(tmp_path: Path) -> None:
    """The plan is the same, and a guard has doubts meanwhile that they were not told of."""
    probe = Says()
    async with asking(tmp_path, probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        shown = last(await it.run(), Asked).at
        probe.review = Ask(Reason.LAST_OF_POOL, "it is the only one", subject="shop")
        await it.pass_time(2 * MINUTE)
        digest, run = (await planned(it)).plan.digest, (await it.run()).id
        told = last(await it.run(), Asked).at
        answers = []
        for asked_at in (shown, told):
            said = Said(ana(it), True, digest, asked_at=asked_at)
            verdict = await it.process.approvals.decide(run, said)
            await it.settle()
            assert verdict is not None
            answers.append((verdict.answer, list(it.world.effects)))

        assert [Answer.CHANGED, Answer.TAKEN] == [answer for answer, _ in answers]
        assert [] == answers[0][1]


async def test_a_void_question_is_not_forgotten_in_a_hurry(tmp_path: Path) -> None:
    """A plan that is only seconds old begins without a review where nothing is known against it; this one asks."""
    probe = Says(Ask(Reason.LAST_OF_POOL, "it is the only one", subject="shop"))
    async with asking(tmp_path, rule(), probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        probe.review = Allow()
        await change_rule(it, rule(summary="another"))
        it.process.dispatcher.wake((await it.run()).id, it.clock.now())
        await it.pass_time(SECOND)

        assert [] == it.world.effects
        assert ["asked", "voided", "planned", "asked"] == (await it.facts())[2:]


async def test_an_approval_that_was_void_does_not_come_back_with_a_plan_made_anew(tmp_path: Path) -> None:
    """The plan is the same, and stood for the one that was approved: until somebody paused it."""
    probe = Says()
    async with asking(tmp_path, probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(10 * MINUTE)
        probe.review = Hold(Reason.DEPENDENCY_DOWN, it.clock.now() + 30 * SECOND, "the database is down")
        await say(it, ana(it))
        await it.pass_time(SECOND)
        assert (1, 1) == (await planned(it)).renews
        await pause(it)
        await it.pass_time(MINUTE)
        probe.review = Allow()
        await resume(it)
        await it.pass_time(5 * MINUTE)

        assert [] == it.world.effects
        assert (2, 1) == (len(await of_kind(it, Asked)), len(await of_kind(it, Voided)))
        await say(it, ana(it))
        assert ["healed"] == await it.until_over()


async def test_a_rule_that_changes_voids_what_was_asked_for(tmp_path: Path) -> None:
    """Who has written another rule may not want what the old one does; the run says so, and asks."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await change_rule(it, gated(quorum=2))
        at_once = await say(it, ana(it))
        await it.pass_time(MINUTE)
        asked = await of_kind(it, Asked)
        later = await say(it, ana(it))

        assert ["healed"] == await it.until_over()
        assert [Answer.CHANGED, Answer.TAKEN] == [at_once.answer, later.answer]
        assert "the rule has changed since it was asked for" in last(await it.run(), Voided).why
        assert [1, 1] == [question.quorum for question in asked]


async def test_an_approval_is_void_once_its_giver_may_not_decide_any_more(tmp_path: Path) -> None:
    """Somebody has left; their half of a quorum goes with them."""
    async with asking(tmp_path, gated(quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await say(it, it.process.people.of_slack("UANA"))
        it.settings = it.settings.model_copy(update={"people": {"ben": it.settings.people["ben"]}})
        await it.crash()
        await it.pass_time(MINUTE)
        left = await say(it, it.process.people.of_token("ben"))

        assert "ana, who has approved it, may not decide on it any more" == last(await it.run(), Voided).why
        assert (Answer.TAKEN, 1) == (left.answer, left.missing)
        assert [] == it.world.effects


@pytest.mark.parametrize("changed", [{"approvers": ("dba",)}, {"quorum": 2}], ids=["approvers", "quorum"])
async def test_a_question_is_void_once_others_or_more_have_to_approve_it(tmp_path: Path, changed: Any) -> None:
    """What the settings ask for holds from their next start on, also for what waits, and what older versions asked."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.settings = it.settings.model_copy(update={"approval": it.settings.approval.model_copy(update=changed)})
        await it.crash()
        await say(it, it.process.people.of_token("eve"))  # before the run has looked again, or right after it
        await it.pass_time(MINUTE)

        assert [] == it.world.effects
        assert "the settings have changed who has to approve it" == last(await it.run(), Voided).why
        asked = last(await it.run(), Asked)
        assert (changed.get("approvers", ()), changed.get("quorum", 1)) == (asked.approvers, asked.quorum)
        assert [] == it.world.effects


async def test_a_question_about_what_is_gone_is_void(tmp_path: Path) -> None:
    """The container was replaced while people thought about it: they are told, and shown the plan for the new one."""
    probe = Says()
    async with asking(tmp_path, probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(10 * SECOND)
        gone = Hold(Reason.POOL_UNCERTAIN, it.clock.now() + MINUTE, "no such container", is_outdated=True)
        it.world.incarnation, probe.later = "id-2", [gone]
        await it.pass_time(2 * MINUTE)
        await say(it, ana(it))

        assert ["healed"] == await it.until_over()
        assert "no such container" in last(await it.run(), Voided).why
        assert (2, ["web"]) == (len(await of_kind(it, Asked)), it.world.effects)


async def test_an_approval_covers_what_was_there_when_it_was_asked_for(tmp_path: Path) -> None:
    """Somebody has set it otherwise meanwhile: to overwrite that is not what was approved."""
    async with asking(tmp_path, gated(SET)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.world.setting = "as ben likes it"
        await say(it, ana(it))
        await it.pass_time(10 * SECOND)
        before = list(it.world.effects)
        await say(it, ana(it))

        assert ["healed"] == await it.until_over()
        why = "what is there before has changed since it was asked for: test.set name='web'"
        assert why == last(await it.run(), Voided).why
        assert ([], ["web"], 2) == (before, it.world.effects, len(await of_kind(it, Asked)))


async def test_a_click_on_what_was_decided_tells_who_has(tmp_path: Path) -> None:
    """Two click at once; the second learns who was first, and nothing is done twice."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        shown = await planned(it)
        first = await say(it, ana(it), of=shown)
        second = await say(it, it.process.people.of_token("ben"), of=shown)
        await it.until_over()
        after = await say(it, it.process.people.of_token("ben"), of=shown)
        other = Said(ana(it), True, Digest("0" * 64), "", None)
        unknown = await it.process.approvals.decide((await it.run()).id, other)

        assert [Answer.TAKEN, Answer.DECIDED, Answer.DECIDED] == [v.answer for v in (first, second, after)]
        assert "ana has approved it already" in second.says
        assert unknown is not None
        assert Answer.NOBODY_ASKS is unknown.answer
        assert ["web"] == it.world.effects


async def test_a_decision_outlives_the_process_that_was_to_act_on_it(tmp_path: Path) -> None:
    """It is stored before anybody looks at it, by whichever replica: whoever comes next acts, once."""
    async with asking(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        verdict = await say(it, ana(it))
        before = list(it.world.effects)
        await it.crash()

        assert ["healed"] == await it.until_over()
        assert (Answer.TAKEN, [], ["web"]) == (verdict.answer, before, it.world.effects)
