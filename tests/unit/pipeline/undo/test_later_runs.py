"""Two runs that change the same for a while: the first to end must not take it from under the other."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Failed, OutcomeUnknown
from remediator.model.facts import Ended, Finished, Held
from remediator.model.outcome import Reason
from remediator.model.run import Run, Settle, TakeOver, Undo
from remediator.model.undo import Left, Undone
from remediator.pipeline.undo.verdicts import Back, LeftTo, PutBack, verdicts_on
from remediator.storage.runs import Refusal
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

SHIPPED, HARD, HARDER = "as shipped", "hard", "harder"


def setting(service: str, way: str, lasts: str | None, target: str = "x") -> dict[str, Any]:
    """The rule of one service: it sets a target for a while, or for good."""
    remedy: dict[str, Any] = {"name": way, "do": [{"test.set": {"name": target, "way": way}}]}
    return rule(
        name=f"set-{service}",
        match=['alertname="Sick"', f'service="{service}"'],
        remediate=[{**remedy, "for": lasts} if lasts else remedy],
    )


def same(first: str | None = "20m", second: str | None = "20m") -> tuple[dict[str, Any], ...]:
    return setting("a", HARD, first), setting("b", HARD, second)


async def heals(it: Harness, service: str, after: timedelta = timedelta(0)) -> Run:
    """A run of this service's rule sets its target, and that helps."""
    await it.pass_time(after)
    it.world.sick = True
    it.world.on_act = it.world.heal
    await it.deliver(alert(service))
    assert {"healed"} == set(await it.until_over())
    return (await it.runs())[-1]


async def both(it: Harness) -> tuple[Run, Run]:
    """The second one ten minutes after the first."""
    return await heals(it, "a"), await heals(it, "b", 10 * MINUTE)


async def anew(it: Harness, run: Run) -> Run:
    found = await it.store.read_run(run.id)
    assert found is not None
    return found


def ways(run: Run) -> list[type]:
    return [type(verdict) for verdict in verdicts_on(run.facts)]


async def test_what_a_later_run_has_set_as_well_stays_until_that_one_is_over(tmp_path: Path) -> None:
    """The first would take it from under the second; and what both have raised must not stay for ever."""
    async with Harness(tmp_path, *same()) as it:
        older, younger = await both(it)
        await it.pass_time(11 * MINUTE)
        between = it.world.setting
        older = await anew(it, older)
        await it.pass_time(20 * MINUTE)
        younger = await anew(it, younger)

        assert (HARD, SHIPPED, [SHIPPED]) == (between, it.world.setting, it.world.restores)
        assert ([LeftTo], [Back]) == (ways(older), ways(younger))
        until = last(older, Left).until
        assert last(younger, Undone).at - until < 5 * SECOND
        assert f"left to run {younger.id}, which has changed the same until {until:%Y-%m-%d %H:%M}" in _said(older)
        assert f"to what was there before run {older.id}" in _said(younger)
        assert not last(older, Undone).asks


def _said(run: Run) -> str:
    return str(last(run, Undone).brief)


async def test_people_read_to_whom_it_is_left(tmp_path: Path) -> None:
    """Nothing went wrong, and nothing was put back."""
    async with Harness(tmp_path, *same()) as it:
        older, younger = await both(it)
        await it.pass_time(11 * MINUTE)
        (post,) = [post for post in await it.posts(older.id) if post.key.startswith("undone")]

        assert "It is left to a later run" == post.message.title
        assert (await anew(it, younger)).id in str(post.message.parts)


async def test_the_later_one_that_ends_first_goes_back_to_the_earlier(tmp_path: Path) -> None:
    """Each puts back what it has met, as long as they end in the order in which people expect it."""
    async with Harness(tmp_path, setting("a", HARD, "60m"), setting("b", HARDER, "20m")) as it:
        await both(it)
        await it.pass_time(25 * MINUTE)
        between = it.world.setting
        await it.pass_time(30 * MINUTE)

        assert (HARD, SHIPPED) == (between, it.world.setting)
        assert [HARD, SHIPPED] == it.world.restores


async def test_the_same_value_stays_when_the_later_one_ends_first(tmp_path: Path) -> None:
    """It has met what the first had set, so there is nothing to put back for it."""
    async with Harness(tmp_path, *same("60m", "20m")) as it:
        _, younger = await both(it)
        await it.pass_time(25 * MINUTE)
        between = it.world.setting
        await it.pass_time(30 * MINUTE)

        assert (HARD, SHIPPED, [SHIPPED]) == (between, it.world.setting, it.world.restores)
        assert [Back] == ways(await anew(it, younger))


async def test_another_value_goes_back_to_what_was_before_both(tmp_path: Path) -> None:
    """Nobody has to be asked about what another run has changed since."""
    async with Harness(tmp_path, setting("a", HARD, "20m"), setting("b", HARDER, "20m")) as it:
        older, _ = await both(it)
        await it.pass_time(11 * MINUTE)
        between = it.world.setting
        await it.pass_time(20 * MINUTE)

        assert (HARDER, SHIPPED, [SHIPPED]) == (between, it.world.setting, it.world.restores)
        assert not last(await anew(it, older), Undone).asks


async def test_it_goes_on_from_run_to_run(tmp_path: Path) -> None:
    """The last one puts back what was there before the first."""
    rules = [setting(service, HARD, "20m") for service in "abc"]
    async with Harness(tmp_path, *rules) as it:
        await both(it)
        third = await heals(it, "c", 5 * MINUTE)
        await it.pass_time(16 * MINUTE)
        between = it.world.setting
        await it.pass_time(20 * MINUTE)
        first, second, _ = await it.runs()

        assert (HARD, SHIPPED, [SHIPPED]) == (between, it.world.setting, it.world.restores)
        assert (second.id, third.id) == (last(first, Left).run, last(second, Left).run)


async def test_it_goes_to_the_next_one_of_several(tmp_path: Path) -> None:
    """The last one goes back to the second's value, and that one to what was there before the first."""
    rules = [setting("a", HARD, "20m"), setting("b", HARDER, "60m"), setting("c", "hardest", "20m")]
    async with Harness(tmp_path, *rules) as it:
        await both(it)
        await heals(it, "c", MINUTE)
        await it.pass_time(12 * MINUTE)
        first, second, _ = await it.runs()
        await it.pass_time(12 * MINUTE)
        between = it.world.setting
        await it.pass_time(40 * MINUTE)

        assert second.id == last(first, Left).run
        assert (HARDER, SHIPPED) == (between, it.world.setting)


async def test_a_later_change_for_good_keeps_it(tmp_path: Path) -> None:
    """Nobody wants it back until a person says so; then it goes back to what was there before both."""
    async with Harness(tmp_path, *same("20m", None)) as it:
        older, younger = await both(it)
        await it.pass_time(60 * MINUTE)
        between = it.world.setting
        await it.say(younger.id, Undo(it.clock.now(), "ann"))
        await it.settle()

        assert (HARD, SHIPPED) == (between, it.world.setting)
        assert "which has changed the same for good" in _said(await anew(it, older))


async def test_a_person_who_asks_has_it_left_as_well(tmp_path: Path) -> None:
    """What the later run needs still stands; whoever wants it gone asks that run."""
    async with Harness(tmp_path, *same()) as it:
        older, younger = await both(it)
        await it.say(older.id, Undo(it.clock.now(), "ann"))
        await it.settle()
        between = it.world.setting
        await it.say(younger.id, Undo(it.clock.now(), "ann"))
        await it.settle()

        assert (HARD, SHIPPED) == (between, it.world.setting)
        assert [LeftTo] == ways(await anew(it, older))


async def test_another_target_is_none_of_its_business(tmp_path: Path) -> None:
    """Only what was changed on the same target counts."""
    async with Harness(tmp_path, setting("a", HARD, "20m"), setting("b", HARD, "20m", target="y")) as it:
        older, _ = await both(it)
        await it.pass_time(11 * MINUTE)

        assert (SHIPPED, [Back]) == (it.world.setting, ways(await anew(it, older)))


@pytest.mark.parametrize("begun", [True, False], ids=["failed", "not begun"])
async def test_a_later_run_that_has_changed_nothing_is_passed_over(tmp_path: Path, begun: bool) -> None:
    """It has nothing that could be taken from it."""
    async with Harness(tmp_path, *same()) as it:
        older = await heals(it, "a")
        await it.pass_time(10 * MINUTE)
        if begun:
            it.world.on_act = _refuse
        else:
            it.store.slow_starts = 10
        it.world.sick = True
        await it.deliver(alert("b"))
        await it.until_over()
        it.store.slow_starts = 0
        await it.pass_time(15 * MINUTE)

        assert (SHIPPED, [Back]) == (it.world.setting, ways(await anew(it, older)))


def _refuse(_name: str) -> None:
    raise Failed("no")


async def test_what_may_have_been_set_later_is_for_a_person(tmp_path: Path) -> None:
    """Neither is right: to put it back under the other, and to leave it to one that may have changed nothing."""
    async with Harness(tmp_path, *same()) as it:
        older = await heals(it, "a")
        await it.pass_time(10 * MINUTE)

        def lose(_name: str) -> None:
            raise OutcomeUnknown("the connection broke")

        it.world.sick, it.world.on_act = True, lose
        await it.deliver(alert("b"))
        await it.until_over()
        younger = (await it.runs())[-1]
        await it.pass_time(11 * MINUTE)
        over = last(await anew(it, older), Undone)
        between = it.world.setting
        unknown = next(fact for fact in younger.facts if isinstance(fact, Finished))
        await it.say(younger.id, Settle(it.clock.now(), unknown.step, unknown.attempt, done=False, by="ann"))
        await it.settle()
        await it.say(older.id, Undo(it.clock.now(), "ann"))
        await it.settle()

        assert (HARD, True) == (between, over.asks)
        assert f"run {younger.id} has changed the same later, and needs a person first" in over.brief
        assert SHIPPED == it.world.setting


async def test_it_waits_for_one_that_is_being_put_back(tmp_path: Path) -> None:
    """That one has begun without knowing of the first: so the first puts its own back, after it."""
    async with Harness(tmp_path, setting("a", HARD, "20m"), setting("b", HARDER, "5m")) as it:
        gate, begun = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            begun.set()
            await gate.wait()

        it.world.on_restore = wait
        older, younger = await both(it)
        await it.pass_time(6 * MINUTE)
        assert begun.is_set()
        await it.say(older.id, Undo(it.clock.now(), "ann"))
        await it.pass_time(3 * SECOND)
        held = last(await anew(it, older), Held)
        it.world.on_restore = None
        gate.set()
        await it.pass_time(2 * MINUTE)

        assert (Reason.TARGET_BUSY, True) == (held.reason, younger.id in held.detail)
        assert ([HARD, SHIPPED], SHIPPED) == (it.world.restores, it.world.setting)


async def test_word_that_comes_while_it_is_looked_at_is_heard(tmp_path: Path) -> None:
    """It would else be on record as back already, and what both have raised would stay for ever."""
    async with Harness(tmp_path, *same("60m", "20m")) as it:
        older, younger = await both(it)
        (verdict,) = verdicts_on(older.facts)
        assert isinstance(verdict, PutBack)
        word = TakeOver(
            it.clock.now(), 1, verdict.step.id, {"value": SHIPPED}, older.created_at, older.id, 1, verdict.step.id
        )

        async def leave() -> None:
            it.world.on_remains = None
            await it.store.signal(younger.id, word)

        it.world.on_remains = leave
        await it.pass_time(21 * MINUTE)

        assert ([SHIPPED], SHIPPED) == (it.world.restores, it.world.setting)


async def test_a_change_that_comes_between_the_look_and_the_start_is_seen(tmp_path: Path) -> None:
    """The store asks again, in the transaction that records the start."""
    async with Harness(tmp_path, *same("60m", "60m")) as it:
        older = await heals(it, "a")
        (verdict,) = verdicts_on(older.facts)
        seen = await it.process.younger.look(older, verdict, lambda _one, _other: True)
        at_once = seen.reservation.judge(await it.store.known(seen.reservation.questions))
        await heals(it, "b")

        assert (None, None) == (seen.later, at_once)
        known = await it.store.known(seen.reservation.questions)
        assert Refusal(Reason.SIGNALLED) == seen.reservation.judge(known)


@pytest.mark.parametrize("writing", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", range(1, 7))
async def test_it_survives_a_crash_at_any_write(tmp_path: Path, write: int, writing: bool) -> None:
    """Whatever is cut short, the later one keeps it, and in the end nothing is left of both."""
    async with Harness(tmp_path, *same()) as it:
        older, younger = await both(it)
        due = last(older, Finished).at + 20 * MINUTE
        await it.pass_time(due - it.clock.now() - SECOND)
        it.store.dies_after_writing, it.store.dies_at = writing, it.store.writes + write
        await it.clock.advance(2 * SECOND)
        for _ in range(200):
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: None)
        await it.crash()
        await it.pass_time(MINUTE)
        between, told = it.world.setting, _words((await anew(it, younger)).signals)
        await it.pass_time(20 * MINUTE)

        assert (HARD, 1) == (between, told)
        assert (SHIPPED, [SHIPPED]) == (it.world.setting, it.world.restores)
        assert [LeftTo] == ways(await anew(it, older))


def _words(signals: Sequence[object]) -> int:
    return sum(isinstance(one, TakeOver) for one in signals)


async def test_it_is_taken_over_by_a_run_that_has_not_ended(tmp_path: Path) -> None:
    """Word from another run neither stops nor delays it."""
    slow = {"settle": "5m", "sustain": "10m", "within": "20m", "every": "1m"}
    checks = rule()["verify"]["checks"]
    younger_rule = {**setting("b", HARD, "20m"), "verify": {**slow, "checks": checks}}
    async with Harness(tmp_path, setting("a", HARD, "12m"), younger_rule) as it:
        older = await heals(it, "a")
        await it.pass_time(10 * MINUTE)
        it.world.sick = True
        await it.deliver(alert("b"))
        await it.pass_time(5 * MINUTE)
        younger = (await it.runs())[-1]
        is_over = any(isinstance(fact, Ended) for fact in younger.facts)
        await it.pass_time(30 * MINUTE)

        assert (False, 1) == (is_over, _words(younger.signals))
        assert [LeftTo] == ways(await anew(it, older))
        assert ({"healed"}, SHIPPED) == (set(await it.outcomes()), it.world.setting)
