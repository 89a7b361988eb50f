"""Runs from alert to outcome, in virtual time on a real store."""

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Failed, OutcomeUnknown, Unavailable
from remediator.model.alert import fingerprint_of
from remediator.model.facts import Finished, Held, Planned, StepStatus
from remediator.model.outcome import Reason
from remediator.model.stage import Drafted, stage_of
from tests.unit.pipeline.flow_rules import GATED, NAME, unknown_steps
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule


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


async def test_one_place_is_enough_for_a_run_that_rests(tmp_path: Path) -> None:
    """It is an allowed setting."""
    async with Harness(tmp_path, runs_at_once=1) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert("one"))
        await it.deliver(alert("two"))

        assert ["healed", "healed"] == await it.until_over()


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
