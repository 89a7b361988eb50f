"""When the silence of a run ends: by the run, after a crash, later, by a person, or by itself."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import OutcomeUnknown, Unavailable
from remediator.model.facts import Silenced, Unsilenced, Verified
from remediator.model.matchers import Matcher
from remediator.model.run import Cancel, Undo
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule
from tests.unit.pipeline.silencing.silences import HALF_AN_HOUR, Desk, Kept, quiet, titles, unproven


async def test_a_silence_that_was_made_before_a_crash_is_ended_although_nothing_is_done_any_more(
    tmp_path: Path,
) -> None:
    """Nobody else would end it."""
    desk = Desk(dies_after_making=True)
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await it.store.signal((await it.run()).id, Cancel(it.clock.now(), "ann"))
        await it.crash()

        assert ["cancelled"] == await it.until_over()
        assert (1, []) == (len(desk.silences), desk.lasting(it.clock.now()))


async def test_another_runs_silence_is_neither_taken_over_nor_ended(tmp_path: Path) -> None:
    """That run needs it still."""
    desk = Desk()
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:
        matchers = frozenset(Matcher(name, value) for name, value in alert().items())
        desk.silences["s1"] = Kept(matchers, "run x of the rule p/other acts on it", it.clock.now() + HALF_AN_HOUR)
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()

        assert 2 == len(desk.silences)
        assert [desk.silences["s1"]] == desk.lasting(it.clock.now())


@pytest.mark.parametrize("how", ["longer", "taken over"])
async def test_what_a_person_has_made_of_it_stays(tmp_path: Path, how: str) -> None:
    """Who prolongs it wants it to be quiet for longer."""
    desk = Desk()
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:

        def act(name: str) -> None:
            it.world.heal(name)
            silence = desk.silences["s1"]
            if how == "longer":
                silence.ends_at += HALF_AN_HOUR
            else:
                silence.created_by = "ann"

        it.world.before_act = desk.made.wait
        it.world.on_act = act
        await it.deliver(alert())
        await it.until_over()

        assert [desk.silences["s1"]] == desk.lasting(it.clock.now())
        assert "somebody has changed the silence since" in last(await it.run(), Unsilenced).brief


async def test_what_could_not_be_ended_is_ended_later(tmp_path: Path) -> None:
    """By a run that has ended: it wakes for that, also after a restart, and tells the trouble once."""
    desk = Desk(away=OutcomeUnknown("no answer"), away_to=frozenset({"end_silence"}))
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:

        def act(name: str) -> None:
            it.world.heal(name)
            desk.over.append(alert())

        it.world.on_act = act
        await it.deliver(alert())
        assert ["healed"] == await it.until_over()
        await it.pass_time(4 * MINUTE)
        still = len(desk.lasting(it.clock.now()))
        await it.crash()
        desk.away = None
        await it.pass_time(5 * MINUTE)
        words = [fact for fact in (await it.run()).facts if isinstance(fact, Unsilenced)]
        (summary,) = await it.store.list_runs(limit=1)

        assert (1, 0) == (still, len(desk.lasting(it.clock.now())))
        assert [1, 2, 3, 4, 0] == [word.tries for word in words]
        assert words[-1].ended
        assert 1 == (await titles(it)).count("The silence is not over yet")
        assert summary.wake_at is None


async def test_one_that_can_never_be_ended_is_over_by_itself(tmp_path: Path) -> None:
    """And what has resolved under it is found out as soon as somebody answers."""
    desk = Desk(away_to=frozenset({"find_silence", "is_firing"}))
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:

        def act(name: str) -> None:
            it.world.heal(name)
            desk.away = Unavailable("no answer")

        it.world.before_act = desk.made.wait
        it.world.on_act = act
        await it.deliver(alert())
        await it.until_over()
        run = await it.run()
        await it.pass_time(HALF_AN_HOUR + MINUTE)
        open_then = len(await it.store.open_alerts_of(run.id, limit=10))
        desk.away, desk.over = None, [alert()]
        await it.pass_time(HALF_AN_HOUR + MINUTE)

        assert (1, ()) == (open_then, await it.store.open_alerts_of(run.id, limit=10))
        assert last(await it.run(), Unsilenced).brief == "it has ended by itself"
        assert "closed" in await it.facts()


async def test_it_is_not_asked_for_ever(tmp_path: Path) -> None:
    """A day is enough; the facts of a run are few, too."""
    desk = Desk(away_to=frozenset({"find_silence", "is_firing"}))
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:

        def act(name: str) -> None:
            it.world.heal(name)
            desk.away = Unavailable("no answer")

        it.world.on_act = act
        await it.deliver(alert())
        await it.until_over()
        await it.pass_time(timedelta(days=2))
        words = [fact for fact in (await it.run()).facts if isinstance(fact, Unsilenced)]
        (summary,) = await it.store.list_runs(limit=1)

        assert words[-1].ended
        assert summary.wake_at is None
        assert 5 < len(words) < 20


async def test_between_two_remedies_the_alert_is_loud(tmp_path: Path) -> None:
    """What did not help may take a person: it was proven, so the silence is over. The next remedy has its own."""
    desk = Desk()
    acts = [{"name": name, "do": [{"test.act": {"name": "{{ labels.service }}", "way": name}}]} for name in ("a", "b")]
    async with Harness(tmp_path, quiet(remediate=acts), alertmanager=desk) as it:
        await it.deliver(alert())
        assert ["not healed"] == await it.until_over()
        run = await it.run()
        kinds = [fact.kind for fact in run.facts if isinstance(fact, Silenced | Unsilenced | Verified)]

        assert 2 * ["silenced", "verified", "unsilenced"] == kinds
        assert [] == desk.lasting(it.clock.now())


async def test_a_remedy_that_recurs_is_loud_until_its_next_time(tmp_path: Path) -> None:
    """It rests for a day: what fires meanwhile has to be heard."""
    desk = Desk()
    remedy = {"every": "24h", "do": [{"test.act": {"name": "{{ labels.service }}"}}]}
    async with Harness(tmp_path, rule(silence="3h", remediate=[remedy]), alertmanager=desk) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(2 * MINUTE)
        run = await it.run()

        assert ([], 1) == (desk.lasting(it.clock.now()), len(desk.silences))
        assert last(run, Unsilenced).ended


async def test_a_silence_is_ended_while_an_undoing_waits(tmp_path: Path) -> None:
    """Its timer must not keep the run awake either: it is looked at as seldom as what holds the undoing says."""
    desk = Desk()
    remedy = {"for": "20m", "do": [{"test.set": {"name": "{{ labels.service }}", "way": "hard"}}]}
    async with Harness(tmp_path, quiet(remediate=[remedy]), alertmanager=desk) as it:

        def act(name: str) -> None:
            it.world.heal(name)
            desk.away = Unavailable("gone")

        it.world.before_act = desk.made.wait
        it.world.on_act = act
        await it.deliver(alert())
        await it.until_over()
        run = await it.run()
        await it.process.stops.pause("everything", "", "ann", None)
        await it.say(run.id, Undo(it.clock.now(), "ann"))
        await it.pass_time(2 * MINUTE)
        before = len(desk.lasting(it.clock.now()))
        desk.away = None
        await it.pass_time(5 * MINUTE)

        assert (1, 0) == (before, len(desk.lasting(it.clock.now())))
        wakes = {wake.run: wake.at for wake in await it.store.wakes()}
        assert wakes[run.id] > it.clock.now()


async def test_a_silence_that_was_made_without_an_answer_is_ended_too(tmp_path: Path) -> None:
    """Nobody knows whether it is there; so it is looked for when the run ends."""
    desk = Desk()
    make = desk.make_silence

    async def make_and_break(*args: Any, **more: Any) -> str:
        await make(*args, **more)
        raise OutcomeUnknown("the connection broke")

    desk.make_silence = make_and_break  # type: ignore[method-assign]
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert ([], 1) == (desk.lasting(it.clock.now()), len(desk.silences))


async def test_a_run_that_is_stopped_ends_its_silence(tmp_path: Path) -> None:
    """Whatever its end is."""
    desk = Desk()
    do = [{"test.act": {"name": "web"}}, {"test.set": {"name": "web"}}]
    async with Harness(tmp_path, unproven(remediate=[{"name": "cure", "do": do}]), alertmanager=desk) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        lasting = len(desk.lasting(it.clock.now()))
        await it.say((await it.run()).id, Cancel(it.clock.now(), "ann"))
        it.world.pause.set()

        assert ["cancelled"] == await it.until_over()
        assert (1, []) == (lasting, desk.lasting(it.clock.now()))
