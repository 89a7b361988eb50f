"""Runs that silence their own alerts while they act: what is silenced, when that ends, and that nothing hangs on it."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.clients.alertmanager import CREATED_BY, OwnSilence, Silence
from remediator.errors import OutcomeUnknown, RemediatorError, Unavailable
from remediator.model.facts import Closed, Silenced, Unsilenced, Verified
from remediator.model.matchers import Matcher
from remediator.model.run import Cancel, Undo
from remediator.pipeline.silencing.silences import unsilenced_rules
from remediator.pipeline.silencing.silencing import MOST_SILENCES
from remediator.settings import AlertmanagerSettings
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

HALF_AN_HOUR = timedelta(minutes=30)


@dataclass
class Kept:
    """A silence as Alertmanager has it."""

    matchers: frozenset[Matcher]
    comment: str
    ends_at: datetime
    created_by: str = CREATED_BY


@dataclass
class Desk:
    """An Alertmanager: what fires there, and its silences."""

    silences: dict[str, Kept] = field(default_factory=dict)
    over: list[dict[str, str]] = field(default_factory=list)
    """Labels of alerts that do not fire any more; all others do."""
    away: RemediatorError | None = None
    """What every call fails with."""
    away_to: frozenset[str] = frozenset()
    """The only calls that fail, where any are named."""
    restarted_at: datetime | None = None
    dies_after_making: bool = False
    """Whether the next caller never hears that its silence was made."""
    asked: int = 0
    made: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether a silence was made."""

    def _answer(self, call: str) -> None:
        if self.away is not None and (not self.away_to or call in self.away_to):
            raise self.away

    def lasting(self, now: datetime) -> list[Kept]:
        return [one for one in self.silences.values() if one.ends_at > now]

    async def is_firing(self, labels: Mapping[str, str]) -> bool:
        self._answer("is_firing")
        self.asked += 1
        return dict(labels) not in self.over

    async def up_since(self) -> datetime:
        return self.restarted_at or datetime.fromisoformat("2020-01-01T00:00:00+00:00")

    async def own_silences(self, matchers: Collection[Matcher]) -> tuple[OwnSilence, ...]:
        self._answer("own_silences")
        found = [(name, one) for name, one in self.silences.items() if one.matchers == frozenset(matchers)]
        return tuple(OwnSilence(name, one.ends_at, one.ends_at, one.ends_at, one.comment) for name, one in found)

    async def find_silence(self, silence_id: str) -> Silence | None:
        self._answer("find_silence")
        found = self.silences.get(silence_id)
        return None if found is None else Silence(silence_id, found.created_by, found.comment, found.ends_at)

    async def make_silence(
        self, matchers: Collection[Matcher], *, starts_at: datetime, ends_at: datetime, comment: str
    ) -> str:
        self._answer("make_silence")
        name = f"s{len(self.silences) + 1}"
        self.silences[name] = Kept(frozenset(matchers), comment, ends_at)
        self.made.set()
        if self.dies_after_making:
            self.dies_after_making = False
            await asyncio.Event().wait()  # until the process is killed
        return name

    async def end_silence(self, silence_id: str) -> None:
        self._answer("end_silence")
        self.silences[silence_id].ends_at = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


def quiet(**changes: Any) -> dict[str, Any]:
    """A rule that silences its alert for half an hour at most."""
    return rule(silence="30m", **changes)


def unproven(**changes: Any) -> dict[str, Any]:
    """One without checks: the alert's own resolution is the proof."""
    return quiet(verify={"settle": "5s", "sustain": "10s", "within": "10m"}, **changes)


async def titles(it: Harness) -> list[str]:
    run = await it.run()
    return [post.message.title for post in await it.posts(run.id)]


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
