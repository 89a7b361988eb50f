"""Runs that silence their own alerts while they act: what is silenced, when that ends, and that nothing hangs on it."""

from datetime import timedelta
from pathlib import Path

import pytest

from remediator.errors import Unavailable
from remediator.model.facts import Closed, Silenced, Unsilenced
from remediator.model.matchers import Matcher
from remediator.pipeline.silencing.silences import unsilenced_rules
from remediator.pipeline.silencing.silencing import MOST_SILENCES
from remediator.settings import AlertmanagerSettings
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule
from tests.unit.pipeline.silencing.silences import HALF_AN_HOUR, Desk, quiet, titles, unproven


async def test_the_alert_is_silenced_while_the_run_acts_and_no_longer(tmp_path: Path) -> None:
    """Exactly it, by all of its labels; the silence says whose it is."""
    desk, seen = Desk(), []
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:

        def act(name: str) -> None:
            seen.extend(desk.lasting(it.clock.now()))
            it.world.heal(name)

        it.world.before_act = desk.made.wait
        it.world.on_act = act
        await it.deliver(alert("web", zone="a"))
        assert ["healed"] == await it.until_over()
        run = await it.run()
        (silence,) = seen
        began = last(run, Silenced)

        assert {Matcher("alertname", "Sick"), Matcher("service", "web"), Matcher("zone", "a")} == silence.matchers
        assert f"run {run.id} of the rule p/sick acts on it" == silence.comment
        assert began.at + HALF_AN_HOUR == began.until
        assert [] == desk.lasting(it.clock.now())
        kinds = [fact.kind for fact in run.facts]
        assert ["started", "finished", "silenced", "verified", "unsilenced", "ended"] == kinds[2:]
        told = await titles(it)
        assert ["The alert is silenced meanwhile", "The alert is silenced no more"] == [
            title for title in told if "silenced" in title
        ]


async def test_the_settings_bound_how_long_a_silence_lasts(tmp_path: Path) -> None:
    """Whatever the rule says: a forgotten one hides the next outage."""
    async with Harness(tmp_path, rule(silence="10h"), alertmanager=Desk()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()
        silenced = last(await it.run(), Silenced)

        assert timedelta(hours=4) == silenced.until - silenced.at


async def test_without_silence_nothing_is_silenced(tmp_path: Path) -> None:
    """It is off by default."""
    desk = Desk()
    async with Harness(tmp_path, rule(), alertmanager=desk) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()

        assert ({}, 0) == (desk.silences, desk.asked)


async def test_what_resolves_under_its_silence_is_over_when_the_silence_is(tmp_path: Path) -> None:
    """Alertmanager never tells of it, neither then nor later."""
    desk = Desk()
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:

        def act(name: str) -> None:
            it.world.heal(name)
            desk.over.append(alert())

        it.world.on_act = act
        await it.deliver(alert())
        await it.until_over()
        run = await it.run()

        assert last(run, Closed).brief == "Alertmanager says that it has resolved"
        assert () == await it.store.open_alerts_of(run.id, limit=10)


async def test_a_proof_without_checks_asks_while_the_alert_is_silenced(tmp_path: Path) -> None:
    """It would never hear of the resolve that it waits for."""
    desk = Desk()
    async with Harness(tmp_path, unproven(), alertmanager=desk) as it:
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        running = await it.outcomes()
        desk.over.append(alert())
        await it.pass_time(6 * SECOND)

        assert ([None], ["healed"]) == (running, await it.outcomes())
        assert "the alert has resolved" in await it.ending()
        assert 10 < desk.asked < 20
        assert () == await it.store.open_alerts_of((await it.run()).id, limit=10)


async def test_an_alert_that_still_fires_stays_open(tmp_path: Path) -> None:
    """Its resolve is told, now that it is loud again."""
    async with Harness(tmp_path, quiet(), alertmanager=Desk()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()
        run = await it.run()

        assert 1 == len(await it.store.open_alerts_of(run.id, limit=10))
        assert "closed" not in [fact.kind for fact in run.facts]


async def test_alertmanager_that_was_just_started_is_not_believed(tmp_path: Path) -> None:
    """It has no alerts until Prometheus sends them again: a no of it says nothing."""
    desk = Desk()
    async with Harness(tmp_path, unproven(), alertmanager=desk) as it:
        await it.deliver(alert())
        await it.pass_time(10 * SECOND)
        desk.over.append(alert())
        desk.restarted_at = it.clock.now()
        await it.pass_time(4 * MINUTE)
        doubtful = await it.outcomes()
        await it.pass_time(MINUTE + 10 * SECOND)

        assert ([None], ["healed"]) == (doubtful, await it.outcomes())


@pytest.mark.parametrize("desk", [None, Desk(away=Unavailable("no answer"))], ids=["none", "away"])
async def test_that_it_cannot_be_silenced_holds_nothing_and_is_told_once(tmp_path: Path, desk: Desk | None) -> None:
    """It is a courtesy."""
    do = [{"test.act": {"name": "web"}}, {"test.set": {"name": "web"}}]
    async with Harness(tmp_path, quiet(remediate=[{"name": "cure", "do": do}]), alertmanager=desk) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        assert ["healed"] == await it.until_over()
        words = [fact for fact in (await it.run()).facts if isinstance(fact, Unsilenced)]

        assert ["no answer" if desk else "no Alertmanager is configured; set alertmanager.url"] == [
            word.brief for word in words
        ]
        assert 1 == (await titles(it)).count("The alert could not be silenced: the run goes on")


async def test_a_silence_that_was_made_before_a_crash_is_found_again(tmp_path: Path) -> None:
    """Made in Alertmanager, and not on disk."""
    desk = Desk(dies_after_making=True)
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        before = (len(desk.silences), await it.facts())
        await it.crash()
        assert ["healed"] == await it.until_over()

        assert (1, ["examined", "planned"]) == (before[0], before[1][:2])
        assert "silenced" not in before[1]
        assert ["s1"] == [*desk.silences]
        assert [] == desk.lasting(it.clock.now())


async def test_of_a_group_each_alert_is_silenced_up_to_a_bound(tmp_path: Path) -> None:
    """By its own labels: a wider silence could hide what is not the run's. It is told once, all the same."""
    desk = Desk()
    services = [f"web-{n}" for n in range(MOST_SILENCES + 2)]
    acts = [{"name": "cure", "do": [{"test.act": {"name": "all"}}]}]
    grouped = quiet(
        group_by=["alertname"],
        summary="sick",
        diagnose={},
        remediate=acts,
        verify={
            "settle": "5s",
            "sustain": "10s",
            "within": "2m",
            "checks": [{"test.check": {"name": "all"}, "expect": "not result.sick"}],
        },
    )
    async with Harness(tmp_path, grouped, alertmanager=desk) as it:

        def act(name: str) -> None:
            it.world.heal(name)
            desk.over.append(alert("web-3"))

        it.world.on_act = act
        await it.deliver_all([it.alert(alert(name)) for name in services])
        assert ["healed"] == await it.until_over()
        run = await it.run()
        left = {one.labels["service"] for one in await it.store.open_alerts_of(run.id, limit=100)}
        told = [title for title in await titles(it) if "silenced" in title]

        assert MOST_SILENCES == len(desk.silences)
        assert all(2 == len(one.matchers) for one in desk.silences.values())
        assert [] == desk.lasting(it.clock.now())
        assert {*services} - {"web-3"} == left
        assert ["The alert is silenced meanwhile", "The alert is silenced no more"] == told


@pytest.mark.parametrize("what", ["heard meanwhile", "another one", "it"])
async def test_only_what_did_not_fire_when_it_was_asked_for_is_closed(tmp_path: Path, what: str) -> None:
    """It may have come again while the answer was on its way."""
    async with Harness(tmp_path, quiet()) as it:
        await it.deliver(alert())
        run = await it.run()
        asked_at = it.clock.now() + SECOND
        gone = await it.store.open_alerts_of(run.id, limit=10)
        await it.pass_time(2 * SECOND)
        if what != "it":
            if what == "another one":
                await it.deliver(alert(), resolved=True)
                await it.pass_time(MINUTE)
            await it.deliver(alert())
        late = timedelta(hours=1) if what == "another one" else timedelta(0)  # by the clock of another replica
        await it.process.intake.close_resolved(gone, asked_at + late)
        (newest,) = await it.store.list_occurrences(limit=1, only_open=False)

        assert (what == "it") is (newest.closed_at is not None)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["`silence: 30m` silences nothing, as no Alertmanager is configured; set alertmanager.url"]),
        ({"url": "http://127.0.0.1:9093"}, []),
        (
            {"url": "http://127.0.0.1:9093", "longest_silence": "10m"},
            ["`silence: 30m` is cut to 10m, as alertmanager.longest_silence allows no more"],
        ),
        (
            {"url": "http://127.0.0.1:9093", "longest_silence": "0s"},
            ["`silence: 30m` silences nothing, as alertmanager.longest_silence allows none"],
        ),
    ],
)
async def test_a_rule_that_cannot_silence_as_it_says_is_found(
    tmp_path: Path, settings: dict[str, str], expected: list[str]
) -> None:
    """By `check`, `doctor` and at the start, not only in the night."""
    async with Harness(tmp_path, quiet()) as it:
        found = unsilenced_rules(it.process.rulebook.book, AlertmanagerSettings.model_validate(settings))

        assert [("p/sick", what) for what in expected] == list(found)
