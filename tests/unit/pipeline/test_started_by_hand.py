"""A rule that a person starts by hand: what is begun, what is refused, and how it ends without an alert."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from remediator.model.alert import Alert, AlertStatus, by_hand_fingerprint, fingerprint_of
from remediator.model.facts import Planned
from remediator.model.ids import ids_of_request
from remediator.model.message import PARENT, Fields
from remediator.model.person import Person, Via
from remediator.model.stage import by_hand
from remediator.pipeline.guards.alert_rules import AlertRules
from remediator.pipeline.guards.still_true import StillTrue
from remediator.pipeline.heartbeat import Heartbeat
from remediator.pipeline.intake import NothingAnew, NotStarted, OpenAlready, Stated
from remediator.pipeline.rerun import Reruns
from remediator.pipeline.silencing.silencing import Alertmanager
from remediator.pipeline.starting import Begun, NoSuchRule, OtherStart, Starts, Unfitting, Wish
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

ANN = Person("ann", Via.TOKEN, "ann", is_known=True)
WEB = {"service": "web"}


def starts(it: Harness) -> Starts:
    process = it.process
    return Starts(it.store, process.intake, process.rulebook, it.clock, process.intake._redactor)


async def start(it: Harness, labels: Mapping[str, str] = WEB, **said: Any) -> Begun:
    given = {"rule": "p/sick", "person": ANN, "annotations": {}, **said}
    return await starts(it).start(Wish(labels=labels, **given))


async def refusal(it: Harness, labels: Mapping[str, str] = WEB, **said: Any) -> str:
    with pytest.raises((NotStarted, OtherStart)) as raised:
        await start(it, labels, **said)
    return str(raised.value)


class GoneEverywhere:
    """Nothing is open as far as it knows."""

    async def open_alerts_of(self, run: object, *, limit: int) -> tuple[()]:
        return ()


async def test_the_log_tells_who_has_started_it_and_why(tmp_path: Path) -> None:
    """Whoever reads the log of that night finds no alert for the run."""
    async with Harness(tmp_path, rule()) as it:
        with capture_logs() as logs:
            await start(it, reason="the disk is full")

    told = [(log["by"], log["reason"]) for log in logs if log["event"] == "run_begun_by_hand"]
    assert [("ann", "the disk is full")] == told


async def test_it_is_carried_out_and_proven_though_no_alert_fires(tmp_path: Path) -> None:
    """Nobody but the person says that it is needed, which the plan tells; its alert is over with the run."""
    asked_for_groups = rule(group_by=["service"])
    nothing_fires = StillTrue(GoneEverywhere(), None, cast("AlertRules", Deaf()))
    async with Harness(tmp_path, asked_for_groups, probes=[nothing_fires]) as it:
        it.world.on_act = it.world.heal
        begun = await start(it, reason="the disk is full", annotations={"from": "the phone"})
        before = await it.store.newest_occurrence(by_hand_fingerprint(alert()))
        outcomes = await it.until_over()
        run = await it.run()
        after = await it.store.newest_occurrence(run.alert.fingerprint)

        assert begun == Begun(run.id, run.rule)
        assert ["healed"] == outcomes
        assert ["web"] == it.world.effects
        assert {"alertname": "Sick", "service": "web"} == run.alert.labels
        assert {"from": "the phone"} == run.alert.annotations
        word = by_hand(run)
        assert word is not None
        assert ("ann", "ann", "the disk is full", "token") == (word.by, word.person, word.reason, word.via)
        assert ("", "ann") == (last(run, Planned).alert_from, last(run, Planned).stated_by)
        assert "ann has started it by hand" in last(run, Planned).says_alert
        assert before is not None
        assert after is not None
        assert (None, before.id) == (before.closed_at, after.id)
        assert after.closed_at is not None
        assert () == await it.store.open_alerts_of(run.id, limit=5)
        (opening,) = [post.message for post in await it.posts(run.id) if post.key == PARENT]
        (fields,) = [part for part in opening.parts if isinstance(part, Fields)]
        assert "by ann: the disk is full" == dict(fields.pairs)["Started by hand"]


async def test_without_checks_it_is_told_that_the_proof_cannot_be_seen(tmp_path: Path) -> None:
    """No resolve ever comes, so nothing waits for one."""
    async with Harness(tmp_path, rule(verify={"within": "10m"})) as it:
        await start(it)
        began = it.clock.now()

        assert ["inconclusive"] == await it.until_over()
        assert (
            "inconclusive: whether it has helped cannot be seen: the rule has no checks, and no alert tells, as the "
            "run was started by hand"
        ) == await it.ending()
        assert it.clock.now() - began < 2 * MINUTE


async def test_what_recurs_is_done_once(tmp_path: Path) -> None:
    """As long as the alert fires, says the rule: and nobody would ever tell when that is over."""
    recurring = rule(remediate=[{"name": "cure", "every": "1h", "do": [{"test.act": {"name": "web"}}]}])
    async with Harness(tmp_path, recurring) as it:
        it.world.on_act = it.world.heal
        await start(it)

        assert ["healed"] == await it.until_over()
        assert None is last(await it.run(), Planned).plan.every
        assert ["web"] == it.world.effects


@pytest.mark.parametrize("by_alert", [True, False], ids=["by a sender", "by hand"])
async def test_it_is_refused_while_the_same_labels_are_open(tmp_path: Path, by_alert: bool) -> None:
    """Two runs of one problem would act twice; the one that is there is named."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        if by_alert:
            await it.deliver(alert())
        else:
            await start(it)
        await it.settle()
        (run,) = await it.runs()
        said = await refusal(it, alert())
        others = await start(it, {"service": "db"})

        assert (
            "an alert with these very labels is open already, and run "
            f"{run.id} of p/sick is under way for it; see: remediator runs show {run.id}"
        ) == said
        assert {run.id, others.run} == {one.id for one in await it.runs()}


async def test_an_open_alert_whose_run_is_over_is_begun_anew_instead(tmp_path: Path) -> None:
    """It fires still, as far as its sender has said."""
    async with Harness(tmp_path, rule(mode="observe")) as it:
        await it.deliver(alert())
        await it.until_over()
        (run,) = await it.runs()

        assert f"to begin anew: remediator rerun {run.id}" in await refusal(it)


async def test_once_it_has_ended_it_can_be_started_again(tmp_path: Path) -> None:
    """Also where the process was killed meanwhile."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await start(it)
        await it.pass_time(SECOND)
        await it.crash()
        await it.pass_time(SECOND)
        await it.decide(approved=False, reason="no")
        assert ["denied"] == await it.until_over()
        await start(it)
        await it.pass_time(SECOND)

        assert ["denied", None] == await it.outcomes()


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({}, 'it asks for service=~"web|db", and there is no such label'),
        ({"service": "x", "team": ""}, 'service is x; it asks for team="a", and there is no such label'),
        ({"service": "db", "team": "a", "alertname": "Other"}, 'it asks for alertname="Sick", and alertname is Other'),
    ],
)
async def test_labels_that_the_rule_is_not_for_are_refused(tmp_path: Path, labels: dict[str, str], said: str) -> None:
    """Each matcher that does not hold is named with what it has met."""
    match = ['alertname="Sick"', 'service=~"web|db"', 'team="a"']
    async with Harness(tmp_path, rule(match=match)) as it:
        with pytest.raises(Unfitting, match="the rule p/sick is not for an alert with these labels: ") as raised:
            await start(it, labels)

        assert said in str(raised.value)
        assert [] == await it.runs()


async def test_a_rule_that_is_not_there_is_refused_with_the_one_that_may_be_meant(tmp_path: Path) -> None:
    async with Harness(tmp_path) as it:
        with pytest.raises(NoSuchRule, match=r"there is no rule p/sik: did you mean p/sick\?"):
            await start(it, rule="p/sik")


async def test_somebody_whom_nobody_knows_starts_nothing(tmp_path: Path) -> None:
    """As they decide nothing."""
    async with Harness(tmp_path) as it:
        assert "nobody knows you here" in await refusal(it, person=Person("slack:U1", Via.SLACK, "x"))
        assert [] == await it.runs()


async def test_a_request_made_again_starts_nothing_twice(tmp_path: Path) -> None:
    """Whether its run is under way or over; another person's key is another one, and so is no key for another start."""
    async with Harness(tmp_path, rule(mode="observe")) as it:
        first = await start(it, key="k")
        at_once = await start(it, key="k")
        await it.until_over()
        later = await start(it, key="k")
        assert (first.run, first.run) == (at_once.run, later.run)
        assert (False, True, True) == (first.repeated, at_once.repeated, later.repeated)
        assert 1 == len(await it.runs())
        for other in ({"labels": {"service": "db"}}, {"annotations": {"from": "the phone"}}):
            assert "this key was used for another start already, of p/sick" in await refusal(it, key="k", **other)
        bob = await start(it, key="k", person=Person("bob", Via.TOKEN, "bob", is_known=True))
        assert bob.run != first.run


async def test_the_person_who_started_it_does_not_approve_it(tmp_path: Path) -> None:
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await start(it)
        await it.pass_time(SECOND)
        word = by_hand(await it.run())
        assert word is not None
        people = it.process.people

        assert "you have started this run" in people.refusal(ANN, (), starter=word.person)
        assert "" == people.refusal(Person("bob", Via.TOKEN, "bob", is_known=True), (), starter=word.person)


async def test_no_sender_reaches_it_and_silence_does_not_end_it(tmp_path: Path) -> None:
    """A resolve of the same labels is that of another alert; one that a person has stated is never given up."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        begun = await start(it)
        await it.deliver(alert(), resolved=True)
        sent = Alert(fingerprint_of(alert()), AlertStatus.FIRING, alert(), {}, it.clock.now())
        await it.deliver_all([sent])
        await it.settle()

        assert by_hand_fingerprint(alert()) != fingerprint_of(alert())
        assert 2 == len(await it.runs())
        assert (sent.fingerprint,) == tuple(
            one.fingerprint for one in await it.store.unheard(it.clock.now() + timedelta(days=99), 10)
        )
        found = await it.store.read_run(begun.run)
        assert found is not None
        assert ["again"] == [signal.kind for signal in found.signals]


async def test_it_is_not_begun_anew_by_rerun(tmp_path: Path) -> None:
    """Its alert was a person's word, which they would have to give anew."""
    async with Harness(tmp_path, rule(mode="observe")) as it:
        begun = await start(it)
        await it.until_over()
        reruns = Reruns(it.store, it.process.intake, it.clock, it.process.intake._redactor)
        with pytest.raises(NothingAnew, match="it was started by hand; start it so anew: remediator runs start p/sick"):
            await reruns.of_run(begun.run, "ann", "")
        with pytest.raises(NothingAnew, match="stated by a person"):
            await reruns.of_alert(by_hand_fingerprint(alert()), "ann", "")


async def test_a_problem_that_was_stated_is_over_with_its_run(tmp_path: Path) -> None:
    """Whoever has started it knows how it ended, so nobody is called for it then."""
    escalating = rule(mode="gated", escalate=[{"to": "boss", "after": "5s"}, {"to": "all", "after": "1h"}])
    async with Harness(tmp_path, escalating) as it:
        await start(it)
        await it.pass_time(10 * SECOND)
        told = [fact.kind for fact in (await it.run()).facts].count("escalated")
        await it.until_over()
        await it.pass_time(2 * 60 * MINUTE)

        assert (1, 1) == (told, (await it.facts()).count("escalated"))


class Deaf:
    """An Alertmanager, or a Prometheus, that must not be asked for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


async def test_nothing_is_silenced_for_what_a_person_states(tmp_path: Path) -> None:
    """It would hide a real alert with the same labels, and its silence tells nothing of the person's word."""
    async with Harness(tmp_path, rule(silence="30m"), alertmanager=cast("Alertmanager", Deaf())) as it:
        it.world.on_act = it.world.heal
        await start(it)

        assert ["healed"] == await it.until_over()
        assert {"silenced", "unsilenced"}.isdisjoint(await it.facts())


async def test_the_heartbeat_is_not_stated(tmp_path: Path) -> None:
    """No run is begun for it, whoever wants one."""
    async with Harness(tmp_path) as it:
        it.process.intake._heartbeat = Heartbeat(
            "Sick",
            MINUTE,
            store=it.store,
            clock=it.clock,
            metrics=it.process.metrics,
            channel="#c",
            on_message=lambda: None,
        )

        assert "these are the labels of the heartbeat" in await refusal(it)
        assert [] == await it.runs()


async def test_a_request_that_is_made_at_the_same_time_finds_the_first_one(tmp_path: Path) -> None:
    """Before anybody can read the run; and also where that has ended by then."""
    async with Harness(tmp_path, rule(mode="observe")) as it:
        begun = await asyncio.gather(*(start(it, key="k") for _ in range(5)))
        await it.until_over()
        run, occurrence = ids_of_request("ann\0k")
        (found,) = await it.runs()
        word = by_hand(found)
        (known,) = it.process.rulebook.book
        assert word is not None
        with pytest.raises(OpenAlready):
            await it.process.intake.run_by_hand(Stated(known, found.alert, word, occurrence, run))

        assert {run} == {one.run for one in begun}
        assert 1 == sum(not one.repeated for one in begun)
        assert 1 == len(await it.runs())


async def test_of_several_starts_with_one_key_at_once_one_is_begun(tmp_path: Path) -> None:
    """Whoever has used a key twice is told so, and not that something went wrong here."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        wishes = [start(it, {"service": f"web{number % 2}"}, key="k") for number in range(6)]
        begun = await asyncio.gather(*wishes, return_exceptions=True)

        assert {Begun, OtherStart} == {type(one) for one in begun}
        assert 1 == len(await it.runs())
