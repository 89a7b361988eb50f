"""Runs from alert to outcome, in virtual time on a real store: what the product promises, one promise a test."""

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Failed, OutcomeUnknown, Unavailable
from remediator.model.alert import fingerprint_of
from remediator.model.facts import Asked, Finished, Held, Planned, Started, StepStatus
from remediator.model.ids import Digest
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.run import Cancel, Decision
from remediator.model.stage import Drafted, stage_of
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

GATED = rule(mode="gated")
NAME = "{{ labels.service }}"


def two_rungs(**changes: Any) -> dict[str, Any]:
    return rule(
        remediate=[
            {"name": "first", "do": [{"test.act": {"name": NAME, "way": "first"}}]},
            {"name": "second", "when": "steps.state.sick", "do": [{"test.act": {"name": NAME, "way": "second"}}]},
        ],
        **changes,
    )


async def test_an_alert_is_diagnosed_acted_on_once_and_proven(tmp_path: Path) -> None:
    """The main way."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert ["web"] == it.world.effects
        assert ["examined", "planned", "started", "finished", "verified", "ended"] == await it.facts()


async def test_verification_waits_until_it_has_lasted(tmp_path: Path) -> None:
    """A service that answers once and dies again is not healed."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(14 * SECOND)
        early = await it.outcomes()
        await it.pass_time(4 * SECOND)

        assert [None] == early
        assert ["healed"] == await it.outcomes()


async def test_what_does_not_help_is_followed_by_the_next_rung_with_new_evidence(tmp_path: Path) -> None:
    """The condition of the second remedy must see the world after the first."""
    async with Harness(tmp_path, two_rungs()) as it:
        it.world.on_act = lambda _name: it.world.heal("") if len(it.world.effects) == 2 else None
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert ["web", "web"] == it.world.effects
        assert 2 == it.world.looks
        run = await it.run()
        assert ["first", "second"] == [f.plan.name for f in run.facts if isinstance(f, Planned)]


async def test_a_ladder_at_its_end_is_not_healed(tmp_path: Path) -> None:
    """It must not start over."""
    async with Harness(tmp_path, two_rungs()) as it:
        await it.deliver(alert())

        assert ["not healed"] == await it.until_over()
        assert ["web", "web"] == it.world.effects


async def test_a_failed_step_stops_its_rung_and_the_next_one_is_tried(tmp_path: Path) -> None:
    """A remedy that cannot be carried out is no reason to give up the others; but a person has to say so now."""

    def fail_first(_name: str) -> None:
        if len(it.world.effects) == 1:
            raise Failed("no such thing")
        it.world.heal("")

    async with Harness(tmp_path, two_rungs()) as it:
        it.world.on_act = fail_first
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide()

        assert ["healed"] == await it.until_over()


async def test_a_failed_last_step_ends_as_failed_with_its_reason(tmp_path: Path) -> None:
    """People must see the error itself."""

    def fail(_name: str) -> None:
        raise Failed("the engine said: permission denied")

    async with Harness(tmp_path) as it:
        it.world.on_act = fail
        await it.deliver(alert())

        assert ["failed"] == await it.until_over()
        assert "permission denied" in await it.ending()
        assert ["web"] == it.world.effects


def unknown_steps(it: Harness) -> float | None:
    """What the alert `RemediatorStepUnknown` goes by: a lost answer and a lost process count alike."""
    return it.process.metrics.registry.get_sample_value("remediator_steps_unknown_total", {"action": "test.act"})


@pytest.mark.parametrize(("heals", "expected"), [(True, "healed"), (False, "unknown")])
async def test_a_step_that_may_have_been_done_is_looked_into_and_not_repeated(
    tmp_path: Path, heals: bool, expected: str
) -> None:
    """A broken connection right after the order is given: doing it again could be the second restart."""

    def act(_name: str) -> None:
        if heals:
            it.world.heal("")
        raise OutcomeUnknown("the connection broke")

    async with Harness(tmp_path, two_rungs()) as it:
        it.world.on_act = act
        await it.deliver(alert())

        assert [expected] == await it.until_over()
        assert ["web"] == it.world.effects
        assert StepStatus.UNKNOWN is last(await it.run(), Finished).status
        assert 1 == unknown_steps(it)


async def test_an_action_that_breaks_counts_as_unknown_and_not_as_not_done(tmp_path: Path) -> None:
    """Somebody's plug-in raises what it likes, perhaps after it has acted."""

    def break_down(_name: str) -> None:
        raise ZeroDivisionError

    async with Harness(tmp_path) as it:
        it.world.on_act = break_down
        await it.deliver(alert())

        assert ["unknown"] == await it.until_over()
        assert "ZeroDivisionError" in last(await it.run(), Finished).brief


async def test_checks_that_only_err_prove_nothing(tmp_path: Path) -> None:
    """Prometheus being away is no reason to try the next remedy on a service that may be well."""
    async with Harness(tmp_path, two_rungs()) as it:
        it.world.fail_check = Unavailable("Prometheus does not answer")
        await it.deliver(alert())

        assert ["inconclusive"] == await it.until_over()
        assert ["web"] == it.world.effects


@pytest.mark.parametrize(("mode", "ceiling"), [("observe", Mode.AUTO), ("auto", Mode.OBSERVE)])
async def test_observing_tells_and_does_nothing(tmp_path: Path, mode: str, ceiling: Mode) -> None:
    """The first mode of a rule that nobody trusts yet, and the ceiling over one that somebody trusts too much."""
    async with Harness(tmp_path, rule(mode=mode), ceiling=ceiling) as it:
        await it.deliver(alert())

        assert ["told"] == await it.until_over()
        assert ([], ["examined", "ended"]) == (it.world.effects, await it.facts())


async def test_suggesting_posts_the_plan_and_does_nothing(tmp_path: Path) -> None:
    """A person sees what would be done."""
    async with Harness(tmp_path, rule(mode="suggest")) as it:
        await it.deliver(alert())

        assert ["told"] == await it.until_over()
        assert ([], ["examined", "planned", "ended"]) == (it.world.effects, await it.facts())


async def test_a_gated_plan_waits_and_runs_once_it_is_approved(tmp_path: Path) -> None:
    """The shipped mode."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(5 * MINUTE)
        waiting = list(it.world.effects)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"]) == (waiting, it.world.effects)


async def test_the_shipped_ceiling_gates_a_rule_that_says_auto(tmp_path: Path) -> None:
    """A rule file from somewhere does not get to decide how far it may go."""
    async with Harness(tmp_path, rule(mode="auto"), ceiling=Mode.GATED) as it:
        await it.deliver(alert())

        assert ["expired"] == await it.until_over()
        assert [] == it.world.effects


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"remediate": [{"gate": True, "do": [{"test.act": {"name": NAME}}]}]}, id="gated-rung"),
        pytest.param({"remediate": [{"do": [{"test.destroy": {"name": NAME}}]}]}, id="destroying-step"),
    ],
)
async def test_some_plans_need_a_person_in_any_mode(tmp_path: Path, changes: dict[str, Any]) -> None:
    """What destroys, and what its author gated, is not for the machine alone."""
    async with Harness(tmp_path, rule(**changes)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)

        assert isinstance((await it.run()).facts[-1], Asked)
        assert [] == it.world.effects


async def test_a_denied_plan_is_not_carried_out(tmp_path: Path) -> None:
    """And the thread says who said no, and why."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide(approved=False, reason="we are deploying")

        assert ["denied"] == await it.until_over()
        assert "denied: ann said no: we are deploying" == await it.ending()
        assert [] == it.world.effects


async def test_a_decision_on_another_plan_decides_nothing(tmp_path: Path) -> None:
    """What was approved is what runs."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        run = await it.run()
        await it.say(
            run.id, Decision(it.clock.now(), approved=True, digest=Digest("0" * 64), round=1, revision=1, by="ann")
        )

        assert ["expired"] == await it.until_over()
        assert [] == it.world.effects


async def test_an_approval_is_void_once_the_target_is_another(tmp_path: Path) -> None:
    """The container was created anew while the person thought about it: they are asked again."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.world.incarnation = "id-2"
        await it.decide()
        await it.pass_time(SECOND)
        after_first, plans = list(it.world.effects), [f for f in (await it.run()).facts if isinstance(f, Planned)]
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"]) == (after_first, it.world.effects)
        assert ["test:web@id-1", "test:web@id-2"] == [str(p.plan.targets[0]) for p in plans]


async def test_a_resolve_voids_what_was_not_begun(tmp_path: Path) -> None:
    """Nobody restarts a service that has recovered."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.deliver(alert(), resolved=True)

        assert ["resolved by itself"] == await it.until_over(limit=MINUTE)
        await it.say(
            (await it.run()).id,
            Decision(it.clock.now(), approved=True, digest=Digest("0" * 64), round=1, revision=1, by="ann"),
        )
        await it.pass_time(MINUTE)
        assert [] == it.world.effects


async def test_a_cancelled_run_stops_and_says_who_did_it(tmp_path: Path) -> None:
    """The person on call knows better."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.say((await it.run()).id, Cancel(it.clock.now(), "bob", "I am on it"))

        assert ["cancelled"] == await it.until_over(limit=MINUTE)
        assert "cancelled: bob cancelled it: I am on it" == await it.ending()


async def test_the_end_of_the_alert_is_told_after_the_end_of_the_run(tmp_path: Path) -> None:
    """The thread is not left with an alert that seems to go on."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()
        await it.deliver(alert(), resolved=True)
        await it.deliver(alert(), resolved=True)
        await it.pass_time(SECOND)

        assert ["closed"] == (await it.facts())[-1:]
        assert 1 == (await it.facts()).count("closed")


async def test_a_resolve_while_it_is_checked_counts_as_proof_when_the_checks_hold(tmp_path: Path) -> None:
    """Both say so: there is nothing left to wait for."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(6 * SECOND)
        await it.deliver(alert(), resolved=True)
        await it.pass_time(3 * SECOND)

        assert ["healed"] == await it.outcomes()


async def test_a_rule_without_checks_is_proven_by_the_resolve(tmp_path: Path) -> None:
    """And inconclusive without it."""
    async with Harness(tmp_path, rule(verify={"within": "5m"})) as it:
        await it.deliver(alert("one"))
        await it.deliver(alert("two"))
        await it.pass_time(MINUTE)
        await it.deliver(alert("one"), resolved=True)

        assert {"healed", "inconclusive"} == set(await it.until_over())


async def test_two_runs_never_act_on_one_target_at_a_time(tmp_path: Path) -> None:
    """The second waits, says why once, and goes on when the first has ended."""
    async with Harness(tmp_path) as it:
        await it.deliver(alert(severity="warning"))
        await it.pass_time(SECOND)
        await it.deliver(alert(severity="critical"))
        await it.pass_time(30 * SECOND)
        _, second = await it.runs()
        during = list(it.world.effects)
        held = [f for f in second.facts if isinstance(f, Held)]

        assert ["not healed", "not healed"] == await it.until_over()
        assert ["web"] == during
        assert ["web", "web"] == it.world.effects
        assert [Reason.TARGET_BUSY] == [f.reason for f in held]


async def test_what_is_held_too_long_expires(tmp_path: Path) -> None:
    """Work that is an hour late is not done any more."""
    async with Harness(tmp_path, rule(verify={"within": "3h"})) as it:
        await it.deliver(alert(severity="warning"))
        await it.pass_time(SECOND)
        await it.deliver(alert(severity="critical"))

        assert "expired" in await it.until_over(limit=timedelta(hours=4))
        assert ["web"] == it.world.effects


async def test_a_missing_label_refuses_the_plan(tmp_path: Path) -> None:
    """`restart ""` must never be what is left of a template."""
    changed = rule(remediate=[{"do": [{"test.act": {"name": "x{{ labels.container }}"}}]}])
    async with Harness(tmp_path, changed) as it:
        await it.deliver(alert())

        assert ["refused"] == await it.until_over()
        assert Reason.LABEL_MISSING in await it.ending()
        assert [] == it.world.effects


@pytest.mark.parametrize(("count", "reason"), [(0, Reason.NO_TARGET), (2, Reason.TOO_MANY_TARGETS)])
async def test_no_target_or_too_many_refuse_the_plan(tmp_path: Path, count: int, reason: Reason) -> None:
    """None never means all."""
    async with Harness(tmp_path) as it:
        it.world.targets = count
        await it.deliver(alert())

        assert ["refused"] == await it.until_over()
        assert reason in await it.ending()
        assert [] == it.world.effects


async def test_a_condition_without_its_evidence_ends_the_ladder(tmp_path: Path) -> None:
    """It never falls through to the next remedy, which was meant for another case."""
    rungs = [
        {"name": "gentle", "when": "steps.state.sick", "do": [{"test.act": {"name": NAME}}]},
        {"name": "brutal", "do": [{"test.act": {"name": NAME}}]},
    ]
    async with Harness(tmp_path, rule(remediate=rungs)) as it:
        it.world.fail_look = Unavailable("nobody answers")
        await it.deliver(alert())

        assert ["told"] == await it.until_over()
        assert [] == it.world.effects
        assert "gentle" in await it.ending()


async def test_a_repeated_alert_starts_nothing(tmp_path: Path) -> None:
    """Alertmanager repeats every few hours, and with every new alert of the group."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        labels = alert()
        now = it.clock.now()
        await it.deliver(labels)
        await it.until_over()
        it.clock.jump(now - it.clock.now())  # the same startsAt again
        await it.deliver(labels)
        await it.pass_time(MINUTE)

        assert ["web"] == it.world.effects
        assert 1 == len(await it.runs())


async def test_each_message_of_the_story_is_queued_once(tmp_path: Path) -> None:
    """One thread: the opening, evidence, plan, what was done, how it ended."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()
        posts = await it.posts((await it.run()).id)

        assert ["web is sick: healed", "Evidence", "Plan: cure", "Done: test.act name='web'", "Healed"] == [
            post.message.title for post in posts
        ]


# After a crash


Wait = Callable[[Harness], Any]


async def test_a_gated_run_waits_on_after_a_restart(tmp_path: Path) -> None:
    """A gate holds no task: the person may take their time over a deployment of ours."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash()
        await it.pass_time(MINUTE)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ["web"] == it.world.effects
        assert 1 == (await it.facts()).count("asked")


async def test_a_step_cut_short_by_a_crash_is_unknown_told_and_not_repeated(tmp_path: Path) -> None:
    """Nobody can know whether the restart went out."""
    async with Harness(tmp_path) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash()

        assert ["unknown"] == await it.until_over()
        assert ["web"] == it.world.effects
        run = await it.run()
        assert StepStatus.UNKNOWN is last(run, Finished).status
        assert any("Not known whether" in p.message.title for p in await it.posts(run.id))
        assert 1 == unknown_steps(it)


async def test_an_unknown_step_that_helped_is_healed_and_says_so(tmp_path: Path) -> None:
    """Verification looks into it."""
    async with Harness(tmp_path) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.world.sick = False
        await it.crash()

        assert ["healed"] == await it.until_over()
        assert "not known" in await it.ending()


async def test_an_idempotent_step_cut_short_is_repeated_once_and_it_is_said(tmp_path: Path) -> None:
    """Setting a value twice is the same as once."""
    changed = rule(remediate=[{"do": [{"test.set": {"name": NAME}}]}])
    async with Harness(tmp_path, changed) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash()
        await it.pass_time(SECOND)
        await it.crash()

        assert ["unknown"] == await it.until_over()
        assert ["web", "web"] == it.world.effects
        run = await it.run()
        assert [1, 2] == [f.attempt for f in run.facts if isinstance(f, Started)]
        assert any("Repeating" in p.message.title for p in await it.posts(run.id))


async def test_the_target_of_an_unknown_step_stays_locked_until_its_deadline(tmp_path: Path) -> None:
    """The call may still be under way."""
    async with Harness(tmp_path, rule(verify={"settle": "0s", "sustain": "0s", "within": "1s", "every": "1s"})) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert(severity="warning"))
        await it.pass_time(SECOND)
        await it.crash()
        await it.pass_time(SECOND)
        await it.deliver(alert(severity="critical"))
        await it.pass_time(20 * SECOND)

        assert ["web"] == it.world.effects


async def test_a_stop_lets_an_acting_step_end_and_be_recorded(tmp_path: Path) -> None:
    """A rolling upgrade of ours must not leave an unknown behind."""
    async with Harness(tmp_path) as it:
        it.world.pause, it.world.on_act = asyncio.Event(), it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        stopping = asyncio.create_task(it.process.stop())
        await it.settle()
        it.world.pause.set()
        await stopping
        recorded = await it.facts()
        await it.process.start()

        assert "finished" in recorded
        assert ["healed"] == await it.until_over()
        assert ["web"] == it.world.effects


# What an attack on it has found


async def test_one_body_may_open_close_and_open_again(tmp_path: Path) -> None:
    """Refused, it would be sent again for ever, and everything else in it with it."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        firing, gone = it.alert(alert()), it.alert(alert(), resolved=True)
        later = dataclasses.replace(firing, starts_at=firing.starts_at + SECOND)
        await it.deliver_all([firing, gone, later, it.alert(alert("other"))])

        assert 3 == len(await it.until_over())


async def test_a_clock_that_steps_back_hides_no_open_alert(tmp_path: Path) -> None:
    """The newest occurrence is the one that was opened last, whatever its time says."""
    async with Harness(tmp_path, rule(mode="observe")) as it:
        await it.deliver(alert())
        await it.deliver(alert(), resolved=True)
        it.clock.jump(-MINUTE * 10)
        await it.pass_time(2 * MINUTE)
        it.clock.jump(MINUTE * 9)
        await it.deliver(alert())
        it.clock.jump(-MINUTE * 5)
        await it.deliver(alert())
        await it.deliver(alert(), resolved=True)
        await it.pass_time(SECOND)
        found = await it.store.newest_occurrence(fingerprint_of(alert()))

        assert 2 == len(await it.runs())
        assert found is not None
        assert found.closed_at is not None


@pytest.mark.parametrize("ceiling", [Mode.OBSERVE, Mode.SUGGEST])
async def test_a_lowered_ceiling_holds_for_plans_that_wait(tmp_path: Path, ceiling: Mode) -> None:
    """The operator lowered it because something went wrong."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide()
        await it.process.kill()
        await it.crash(ceiling=ceiling)

        assert ["told"] == await it.until_over()
        assert [] == it.world.effects


@pytest.mark.parametrize("ceiling", [Mode.OBSERVE, Mode.GATED])
async def test_a_lowered_ceiling_holds_for_the_rest_of_a_plan(tmp_path: Path, ceiling: Mode) -> None:
    """Nobody has approved the second step of what was begun unattended."""
    steps = [{"test.set": {"name": NAME, "way": way}} for way in ("one", "two")]
    async with Harness(tmp_path, rule(remediate=[{"do": steps}])) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash(ceiling=ceiling)

        assert ["unknown"] == await it.until_over()
        assert ["web"] == it.world.effects


async def test_an_idempotent_step_is_not_repeated_for_an_alert_that_is_over(tmp_path: Path) -> None:
    """There is no more reason to."""
    changed = rule(remediate=[{"do": [{"test.set": {"name": NAME}}]}])
    async with Harness(tmp_path, changed) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await it.deliver(alert(), resolved=True)
        await it.crash()

        assert ["unknown"] == await it.until_over()
        assert ["web"] == it.world.effects


async def test_one_place_is_enough_for_a_run_that_rests(tmp_path: Path) -> None:
    """It is an allowed setting."""
    async with Harness(tmp_path, runs_at_once=1) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert("one"))
        await it.deliver(alert("two"))

        assert ["healed", "healed"] == await it.until_over()


async def test_an_approval_does_not_count_for_a_question_that_was_asked_anew(tmp_path: Path) -> None:
    """A, then B, then A again: the person has approved the first A, in another situation."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.world.incarnation = "id-2"
        await it.decide()
        await it.pass_time(SECOND)
        it.world.incarnation = "id-1"
        await it.decide()
        await it.pass_time(SECOND)
        waiting = stage_of(await it.run())

        assert ["expired"] == await it.until_over()
        assert isinstance(waiting, Drafted)
        assert (3, None) == (waiting.planned.revision, waiting.decision)
        assert [] == it.world.effects


async def test_a_run_that_cannot_be_carried_on_with_a_step_in_doubt_is_unknown_and_stays_locked(tmp_path: Path) -> None:
    """`failed` would say that nothing was done."""
    async with Harness(tmp_path) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await it.process.flow.give_up(await it.run(), "its rule cannot be read")

        assert ["unknown"] == await it.outcomes()
        assert StepStatus.UNKNOWN is last(await it.run(), Finished).status
        assert 1 == unknown_steps(it)
        await it.crash()
        await it.deliver(alert(severity="critical"))
        await it.pass_time(20 * SECOND)
        assert ["web"] == it.world.effects


async def test_a_jump_of_the_clock_proves_nothing(tmp_path: Path) -> None:
    """An hour forward is neither an hour of health nor the end of patience; an hour back is no hour more."""
    for jump in (timedelta(hours=1), -timedelta(hours=1)):
        folder = tmp_path / str(jump.total_seconds())
        folder.mkdir()
        async with Harness(folder, two_rungs()) as it:
            await it.deliver(alert())
            await it.pass_time(8 * SECOND)
            it.clock.jump(jump)
            await it.pass_time(8 * SECOND)
            it.world.sick = False

            assert ["healed"] == await it.until_over(limit=timedelta(hours=3))
            assert ["web"] == it.world.effects
            assert 60 > it.clock.monotonic()


async def test_a_target_that_is_another_at_each_look_is_not_looked_at_without_a_pause(tmp_path: Path) -> None:
    """It would be asked thousands of times a second."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        for number in range(2, 8):
            it.world.incarnation = f"id-{number}"
            stage = stage_of(await it.run())
            if isinstance(stage, Drafted) and stage.asked is not None:
                await it.decide()
            await it.pass_time(SECOND)
        plans = [f for f in (await it.run()).facts if isinstance(f, Planned)]

        assert len(plans) < 6
        assert [] == it.world.effects
