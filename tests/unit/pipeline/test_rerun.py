"""Another run for an alert that fires still: who may have one, what it is told, and what it may not get round."""

from pathlib import Path

import pytest

from remediator.model.ids import RunId
from remediator.model.message import PARENT, Fields
from remediator.model.run import Again, Cancel, Run
from remediator.model.stage import again
from remediator.model.stop import StopKind
from remediator.pipeline.intake import NothingAnew
from remediator.pipeline.rerun import Reruns
from remediator.rules.loading import load_book
from tests.unit.pipeline.harness import MINUTE, Harness, alert, rule

GATED = rule(mode="gated")


def reruns(it: Harness) -> Reruns:
    process = it.process
    return Reruns(it.store, process.intake, it.clock, process.intake._redactor)


async def said(it: Harness, run: Run, name: str) -> str:
    """What the opening message of a run says under a name."""
    (opening,) = [post.message for post in await it.posts(run.id) if post.key == PARENT]
    (fields,) = [part for part in opening.parts if isinstance(part, Fields)]
    return dict(fields.pairs).get(name, "")


async def cancelled(it: Harness) -> Run:
    """A run that a person has stopped while its alert fires on."""
    await it.deliver(alert())
    await it.settle()
    await it.say((await it.run()).id, Cancel(it.clock.now(), "bob"))
    await it.pass_time(MINUTE)
    return await it.run()


async def test_an_alert_that_fires_still_gets_another_run(tmp_path: Path) -> None:
    """The new run asks anew, and both threads say who wanted it."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        old = await cancelled(it)
        begun = await reruns(it).of_run(old.id, "ann", "the disk is back")
        await it.settle()
        first, second = await it.runs()

        assert begun is not None
        assert ((second.id, "p/sick"),) == begun.runs
        assert Again(second.created_at, "ann", "the disk is back") == again(second)
        assert "by ann: the disk is back" == await said(it, second, "Begun anew")
        assert "by another run, which ann has had begun" == await said(it, first, "Followed")
        assert "" == await said(it, first, "Alert ended")
        closed = [post.message for post in await it.posts(old.id) if post.key.startswith("closed")]
        assert ["Another run goes on with it"] == [message.title for message in closed]
        assert ["cancelled", None] == await it.outcomes()
        assert [] == it.world.effects


async def test_the_new_run_is_not_ended_by_what_ended_the_old_one(tmp_path: Path) -> None:
    """It acts by itself where its rule may, and the alert's real end reaches it."""
    async with Harness(tmp_path, rule()) as it:
        it.world.on_act = None
        await it.deliver(alert())
        await it.until_over()
        (old,) = await it.runs()
        await it.pass_time(11 * MINUTE)
        it.world.on_act = it.world.heal
        await reruns(it).of_alert(old.alert.fingerprint, "ann", "")

        assert "healed" == (await it.until_over())[-1]
        assert ["web", "web"] == it.world.effects


async def test_a_pause_holds_the_new_run_as_any_other(tmp_path: Path) -> None:
    """Asking for another run is no way round a guard."""
    async with Harness(tmp_path, rule()) as it:
        await it.deliver(alert())
        await it.until_over()
        (old,) = await it.runs()
        before = list(it.world.effects)
        await it.pass_time(11 * MINUTE)
        await it.process.stops.pause("everything", "", "bob", None)
        await reruns(it).of_run(old.id, "ann", "")
        await it.pass_time(MINUTE)

        _, new = await it.runs()

        assert before == it.world.effects
        assert "held" == new.facts[-1].kind
        assert [StopKind.PAUSE] == [stop.kind for stop in await it.process.stops.standing()]


async def test_what_has_a_run_under_way_gets_no_other(tmp_path: Path) -> None:
    """Two runs would ask, act and count twice for one trouble."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.settle()
        run = await it.run()
        for ask in (reruns(it).of_run(run.id, "ann", ""), reruns(it).of_alert(run.alert.fingerprint, "ann", "")):
            with pytest.raises(NothingAnew, match=f"run {run.id} of this alert is under way"):
                await ask

        assert 1 == len(await it.runs())


async def test_the_second_of_two_who_ask_is_refused(tmp_path: Path) -> None:
    """Whoever presses twice at night has one run."""
    async with Harness(tmp_path, GATED) as it:
        old = await cancelled(it)
        await reruns(it).of_run(old.id, "ann", "")
        with pytest.raises(NothingAnew, match="has a later run already: "):
            await reruns(it).of_run(old.id, "bob", "")
        with pytest.raises(NothingAnew, match="under way"):
            await reruns(it).of_alert(old.alert.fingerprint, "bob", "")

        assert 2 == len(await it.runs())


async def test_what_was_read_before_another_has_asked_begins_nothing(tmp_path: Path) -> None:
    """Between the look and the commit somebody else may have been quicker; the commit finds that out."""
    async with Harness(tmp_path, GATED) as it:
        old = await cancelled(it)
        read = await it.store.open_alerts_of(old.id, limit=5)
        await reruns(it).of_run(old.id, "ann", "")
        with pytest.raises(NothingAnew, match="just now"):
            await it.process.intake.run_anew(read, Again(it.clock.now(), "bob"))

        assert 2 == len(await it.runs())


async def test_what_has_resolved_gets_none(tmp_path: Path) -> None:
    """There is nothing to mend."""
    async with Harness(tmp_path, GATED) as it:
        old = await cancelled(it)
        await it.deliver(alert(), resolved=True)
        for ask in (reruns(it).of_run(old.id, "ann", ""), reruns(it).of_alert(old.alert.fingerprint, "ann", "")):
            with pytest.raises(NothingAnew, match="the alert has resolved"):
                await ask


async def test_an_alert_that_no_rule_was_for_is_begun_once_there_is_one(tmp_path: Path) -> None:
    """A rule that was written for what fires now; until then it says that none matches, and leaves it as it is."""
    async with Harness(tmp_path, GATED) as it:
        labels = alert() | {"alertname": "Other"}
        await it.deliver(labels)
        fingerprint = it.alert(labels).fingerprint
        with pytest.raises(NothingAnew, match="no rule matches"):
            await reruns(it).of_alert(fingerprint, "ann", "")
        before = await it.store.newest_occurrence(fingerprint)
        path = tmp_path / "later.yaml"
        path.write_text((tmp_path / "rules" / "p.yaml").read_text().replace("Sick", "Other"))
        await it.process.rulebook.replace(load_book([path], it.process.rulebook.actions))
        begun = await reruns(it).of_alert(fingerprint, "ann", "")

        assert before is not None
        assert before.closed_at is None
        assert begun is not None
        assert ["p/sick"] == [rule for _, rule in begun.runs]


async def test_there_is_none_for_what_was_never_heard_of(tmp_path: Path) -> None:
    """A misspelt name begins nothing."""
    async with Harness(tmp_path, GATED) as it:
        assert await reruns(it).of_run(RunId("nobody"), "ann", "") is None
        assert await reruns(it).of_alert("nobody", "ann", "") is None


async def test_all_alerts_of_a_group_that_fire_still_share_the_new_run(tmp_path: Path) -> None:
    """And one of them alone has one for itself, which another of the group then joins."""
    grouped = rule(mode="gated", group_by=["service"])
    async with Harness(tmp_path, grouped) as it:
        await it.deliver_all([it.alert(alert(instance=f"web-{number}")) for number in range(3)])
        await it.settle()
        await it.say((await it.run()).id, Cancel(it.clock.now(), "bob"))
        await it.pass_time(MINUTE)
        await it.deliver(alert(instance="web-0"), resolved=True)
        old = await it.run()
        begun = await reruns(it).of_run(old.id, "ann", "")
        await it.settle()
        _, new = await it.runs()

        assert begun is not None
        assert [new.id] == [run for run, _ in begun.runs]
        assert 2 == len(await it.store.open_alerts_of(new.id, limit=5))


async def test_an_alert_that_joins_a_run_of_its_group_says_which(tmp_path: Path) -> None:
    """One of the group was begun anew already: the next one is with it."""
    grouped = rule(mode="gated", group_by=["service"])
    async with Harness(tmp_path, grouped) as it:
        alerts = [it.alert(alert(instance=f"web-{number}")) for number in range(2)]
        await it.deliver_all(alerts)
        await it.settle()
        await it.say((await it.run()).id, Cancel(it.clock.now(), "bob"))
        await it.pass_time(MINUTE)
        first = await reruns(it).of_alert(alerts[0].fingerprint, "ann", "")
        second = await reruns(it).of_alert(alerts[1].fingerprint, "ann", "")

        assert first is not None
        assert second is not None
        assert ((), first.runs) == (second.runs, second.joined)
