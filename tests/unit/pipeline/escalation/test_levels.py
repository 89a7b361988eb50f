"""Whom else a problem is told to, and when: decided by facts alone, and carried out in any state of a run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import OutcomeUnknown
from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert, AlertStatus
from remediator.model.facts import Acknowledged, Closed, Ended, Escalated, Fact, Verified
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import Mention, QueuedPost, Tone
from remediator.model.outcome import Outcome
from remediator.model.run import Acknowledge, Cancel, Resolved, Run, Settle, Signal
from remediator.model.stage import unsettled
from remediator.pipeline.escalation.levels import (
    Level,
    due_levels,
    is_over,
    levels_left,
    levels_of,
    next_level,
    taken_on,
)
from remediator.pipeline.escalation.notices import notices_of
from remediator.pipeline.timers import next_timer
from remediator.rules.book import Rule
from remediator.rules.loading import load_book
from remediator.settings import EscalationSettings
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule
from tests.unit.pipeline.world import World, actions_of

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TEAM = Mention("usergroup", "S0TEAM")
LEVELS = {"on-call": Level(("#on-call",), TEAM), "pager": Level(("webhook:pager",))}
LADDER = [{"after": "0s", "to": "on-call"}, {"after": "15m", "to": "pager"}, {"after": "1h", "to": "nobody"}]
ONE = [{"after": "15m", "to": "pager"}]


def rule_of(folder: Path, **changes: Any) -> Rule:
    import yaml

    (folder / "p.yaml").write_text(yaml.safe_dump({"pack": "p", "rules": [rule(**{"escalate": LADDER, **changes})]}))
    return next(iter(load_book([folder], actions_of(World()))))


@pytest.fixture
def ladder(tmp_path: Path) -> Rule:
    return rule_of(tmp_path)


def run_of(*facts: Fact, signals: tuple[Signal, ...] = ()) -> Run:
    labels = {"alertname": "Sick", "service": "web", "severity": "critical"}
    return Run(
        id=RunId("r1"),
        rule=RuleId("p/sick"),
        rule_digest=Digest("d" * 64),
        occurrence=OccurrenceId("o1"),
        alert=Alert(Fingerprint("f"), AlertStatus.FIRING, labels, {}, T0),
        summary="web is sick",
        channel="#c",
        owner=OwnerId("me"),
        epoch=1,
        created_at=T0,
        facts=facts,
        signals=signals,
    )


def ended(outcome: Outcome) -> Ended:
    return Ended(T0, outcome, "so it ended")


def told(number: int, to: str = "on-call", after: timedelta = timedelta(0)) -> Escalated:
    return Escalated(T0, number, to, after, ("#on-call",), TEAM)


# What is decided


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (timedelta(0), [(1, "on-call")]),
        (14 * MINUTE, [(1, "on-call")]),
        (15 * MINUTE, [(1, "on-call"), (2, "pager")]),
        (timedelta(days=1), [(1, "on-call"), (2, "pager"), (3, "nobody")]),
    ],
)
def test_levels_are_due_at_their_times(ladder: Rule, at: timedelta, due: list[tuple[int, str]]) -> None:
    """Also all at once, where nothing ran in between: what is due follows from the times alone."""
    assert due == [(level.level, level.to) for level in due_levels(run_of(), ladder, LEVELS, T0 + at)]


def test_a_level_that_was_told_is_not_due_again(ladder: Rule) -> None:
    """Whoever takes the run over works it out from its facts."""
    run = run_of(told(1))

    assert [2, 3] == [due.number for due in levels_left(run, ladder)]
    assert T0 + 15 * MINUTE == next_level(run, ladder) == next_timer(run, ladder)


def test_the_order_is_that_of_their_times(tmp_path: Path) -> None:
    """A rule may list them in any order."""
    found = rule_of(tmp_path, escalate=[{"after": "1h", "to": "late"}, {"after": "1m", "to": "early"}])

    assert ["early", "late"] == [due.level.to for due in levels_left(run_of(), found)]


@pytest.mark.parametrize(
    ("facts", "signals", "goes_on"),
    [
        ((), (), True),
        ((ended(Outcome.TOLD),), (), True),
        ((ended(Outcome.NOT_HEALED),), (), True),
        ((ended(Outcome.INCONCLUSIVE),), (), True),
        ((ended(Outcome.EXPIRED),), (), True),
        ((ended(Outcome.REFUSED),), (), True),
        ((ended(Outcome.FAILED),), (), True),
        ((ended(Outcome.UNKNOWN),), (), True),
        ((ended(Outcome.ROLLED_BACK),), (), True),
        ((ended(Outcome.HEALED),), (), False),
        ((ended(Outcome.RESOLVED_BY_ITSELF),), (), False),
        ((ended(Outcome.DENIED),), (), False),
        ((ended(Outcome.CANCELLED),), (Cancel(T0, "ann"),), False),
        ((ended(Outcome.CANCELLED),), (), True),
        ((), (Resolved(T0),), False),
        ((ended(Outcome.NOT_HEALED),), (Resolved(T0),), False),
        ((), (Acknowledge(T0, "ann"),), False),
    ],
)
def test_nobody_is_told_once_it_is_over_or_in_hand(
    ladder: Rule, facts: tuple[Fact, ...], signals: tuple[Signal, ...], *, goes_on: bool
) -> None:
    """That the ceiling was lowered cancels a run as well: of that nobody knows, so it goes on."""
    run = run_of(*facts, signals=signals)

    assert goes_on is (next_level(run, ladder) is not None)
    assert goes_on is bool(tuple(due_levels(run, ladder, LEVELS, T0 + timedelta(days=1))))


def test_every_outcome_was_thought_of() -> None:
    """A new one has to be put on one side or the other."""
    over = {outcome for outcome in Outcome if is_over(run_of(ended(outcome)))}

    assert {Outcome.HEALED, Outcome.RESOLVED_BY_ITSELF, Outcome.DENIED} == over
    assert 12 == len(Outcome)


def test_the_word_of_who_takes_it_on_is_a_fact_once() -> None:
    """Who says it twice, or second, changes nothing."""
    said = (Acknowledge(T0, "ann", "on it"), Acknowledge(T0 + MINUTE, "bob"))
    first = taken_on(run_of(signals=said), T0 + MINUTE)

    assert Acknowledged(T0 + MINUTE, "ann", "on it") == first
    assert first is not None
    assert taken_on(run_of(first, signals=said), T0 + 2 * MINUTE) is None


def test_where_a_level_leads_is_the_settings_word() -> None:
    """A chat of one channel, such as a terminal, tells all levels there."""
    settings = {
        "both": EscalationSettings.model_validate(
            {"channel": "#b", "mention": "@here", "webhook": "http://pager.example/x"}
        ),
        "hook": EscalationSettings.model_validate({"webhook": "http://pager.example/x"}),
    }

    assert {
        "both": Level(("#b", "webhook:both"), Mention("broadcast", "here")),
        "hook": Level(("webhook:hook",)),
    } == levels_of(settings)
    assert ("terminal", "webhook:both") == levels_of(settings, instead="terminal")["both"].channels


def test_a_level_that_there_is_not_is_due_all_the_same(ladder: Rule) -> None:
    """So that the run's own thread says that nobody was told."""
    late = tuple(due_levels(run_of(told(1), told(2)), ladder, LEVELS, T0 + timedelta(hours=1)))

    assert [("nobody", ())] == [(level.to, level.channels) for level in late]
    assert () == notices_of(run_of(*late), late, Redactor())


# What they are told


def test_a_level_is_told_what_there_is_to_know() -> None:
    """Who is called at night has nothing but this message."""
    fact = Escalated(T0, 1, "on-call", 15 * MINUTE, ("#on-call", "webhook:on-call"), TEAM)
    chat, hook = notices_of(run_of(fact), [fact], Redactor())
    text = repr(chat.message.parts)
    data = dict(chat.message.data)

    assert ("#on-call", "webhook:on-call") == (chat.channel, hook.channel)
    assert "escalation.r1.1" == chat.key == hook.key
    assert "Escalated to on-call: web is sick" == chat.message.title
    assert TEAM == chat.message.mention
    assert all(said in text for said in ("critical", "nothing was changed", "r1", "remediator escalation ack r1", "#c"))
    assert ("escalated", "r1", "web is sick", "critical") == (
        data["event"],
        data["run"],
        data["summary"],
        data["severity"],
    )
    assert "/api/v1/runs/r1/acknowledge" == data["acknowledge"]


@pytest.mark.parametrize(
    ("news", "signals", "event", "tone"),
    [
        (Acknowledged(T0, "ann", "on it"), (Acknowledge(T0, "ann", "on it"),), "acknowledged", Tone.WAITING),
        (Closed(T0, "resolved"), (Resolved(T0),), "over", Tone.GOOD),
        (ended(Outcome.HEALED), (), "over", Tone.GOOD),
    ],
)
def test_who_was_called_hears_the_end_of_it(news: Fact, signals: tuple[Signal, ...], event: str, tone: Tone) -> None:
    """The same message, edited: nobody gets up for what is over. It pings nobody."""
    (notice,) = notices_of(run_of(told(1), news, signals=signals), [news], Redactor())

    assert "escalation.r1.1" == notice.key
    assert (event, tone, None) == (dict(notice.message.data)["event"], notice.message.tone, notice.message.mention)
    assert "escalation ack" not in repr(notice.message.parts)


def test_the_end_still_names_who_had_taken_it_on() -> None:
    """A pager that closes its page keeps who worked on it."""
    word, over = Acknowledged(T0, "ann", "on it"), Closed(T0, "resolved")
    signals = (Acknowledge(T0, "ann", "on it"), Resolved(T0))
    (notice,) = notices_of(run_of(told(1), word, over, signals=signals), [over], Redactor())

    assert ("over", "ann (on it)") == tuple(dict(notice.message.data)[name] for name in ("event", "taken_on_by"))


def test_an_end_that_is_none_of_the_problem_edits_nothing() -> None:
    """The level is told of a problem; that the run gave up makes it no smaller."""
    news = ended(Outcome.NOT_HEALED)

    assert () == notices_of(run_of(told(1), news), [news], Redactor())


def test_secrets_are_taken_out_of_what_is_told() -> None:
    """A label or an error may quote one."""
    fact = told(1)
    run = replace(run_of(fact), summary="login with hunter2hunter2 failed")
    (notice,) = notices_of(run, [fact], Redactor(["hunter2hunter2"]))

    assert "hunter2hunter2" not in repr(notice)


# What is carried out


async def told_in(it: Harness, channel: str) -> list[QueuedPost]:
    return [post for post in await it.store.waiting_posts(1000) if post.run is None and post.channel == channel]


async def test_the_first_level_is_told_at_once_and_the_next_in_time(tmp_path: Path) -> None:
    """A rule that only looks escalates like any other; its run has long ended by then."""
    async with Harness(tmp_path, rule(mode="observe", escalate=LADDER), levels=LEVELS) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        at_once = [len(await told_in(it, channel)) for channel in ("#on-call", "webhook:pager")]
        await it.pass_time(14 * MINUTE)
        before = len(await told_in(it, "webhook:pager"))
        await it.pass_time(MINUTE)
        after = len(await told_in(it, "webhook:pager"))
        await it.pass_time(timedelta(days=1))

        assert [1, 0] == at_once
        assert ["told"] == await it.outcomes()
        assert (0, 1) == (before, after)
        assert [1, 1] == [len(await told_in(it, channel)) for channel in ("#on-call", "webhook:pager")]
        assert 3 == (await it.facts()).count("escalated")


async def test_a_level_that_the_settings_do_not_have_is_told_in_the_thread(tmp_path: Path) -> None:
    """Never silently nothing."""
    async with Harness(tmp_path, rule(mode="observe", escalate=ONE)) as it:
        await it.deliver(alert())
        await it.pass_time(16 * MINUTE)
        posts = {post.key: post.message for post in await it.posts((await it.run()).id)}

        assert "The settings have no level pager, so nobody is told" in repr(posts["escalated.1"])


@pytest.mark.parametrize("mode", ["gated", "auto"])
async def test_a_run_that_waits_escalates(tmp_path: Path, mode: str) -> None:
    """At a gate, and while it is held by a guard: the plan waits, and the problem lasts."""
    soon = [{"after": "10m", "to": "pager"}]
    async with Harness(tmp_path, rule(mode=mode, escalate=soon), levels=LEVELS) as it:
        if mode == "auto":
            await it.process.stops.pause("everything", "a test", "ann", None)
        await it.deliver(alert())
        await it.pass_time(9 * MINUTE)
        before = len(await told_in(it, "webhook:pager"))
        await it.pass_time(2 * MINUTE)

        assert (0, 1) == (before, len(await told_in(it, "webhook:pager")))
        assert [None] == await it.outcomes()
        assert ("asked" if mode == "gated" else "held") in await it.facts()


async def test_a_run_that_proves_something_escalates(tmp_path: Path) -> None:
    """A proof can take half an hour."""
    verify = {**rule()["verify"], "within": "1h"}
    async with Harness(tmp_path, rule(verify=verify, escalate=ONE), levels=LEVELS) as it:
        await it.deliver(alert())
        await it.pass_time(16 * MINUTE)

        assert 1 == len(await told_in(it, "webhook:pager"))
        assert [] == [fact for fact in (await it.run()).facts if isinstance(fact, Verified)]


@pytest.mark.parametrize("down", [timedelta(minutes=5), timedelta(minutes=40)], ids=["before", "over"])
async def test_a_restart_neither_forgets_a_level_nor_tells_it_twice(tmp_path: Path, down: timedelta) -> None:
    """The timer is worked out anew by whoever has the run."""
    async with Harness(tmp_path, rule(mode="observe", escalate=LADDER), levels=LEVELS) as it:
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        await it.process.kill()
        await it.clock.advance(down)
        await it.crash()
        await it.pass_time(20 * MINUTE)

        assert [1, 1] == [len(await told_in(it, channel)) for channel in ("#on-call", "webhook:pager")]


@pytest.mark.parametrize("after", [False, True])
async def test_no_death_of_the_process_loses_a_level_or_doubles_it(tmp_path: Path, *, after: bool) -> None:
    """Killed at each of its writes, before and after it: that it was told and the telling are one write."""
    for number in range(1, 8):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        async with Harness(folder, rule(mode="observe", escalate=LADDER[:2]), levels=LEVELS) as it:
            await it.deliver(alert())
            it.store.dies_at, it.store.dies_after_writing = it.store.writes + number, after
            await it.pass_time(20 * MINUTE)
            await it.crash()
            await it.pass_time(20 * MINUTE)

            assert [1, 1] == [len(await told_in(it, channel)) for channel in ("#on-call", "webhook:pager")]
            assert 2 == (await it.facts()).count("escalated")


@pytest.mark.parametrize("has_ended", [False, True])
async def test_who_takes_it_on_ends_the_escalation(tmp_path: Path, *, has_ended: bool) -> None:
    """Before the run has ended, and after; it is told in the thread, and to whoever was called."""
    mode = "observe" if has_ended else "gated"
    async with Harness(tmp_path, rule(mode=mode, escalate=LADDER), levels=LEVELS) as it:
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        run = await it.run()
        for name in ("ann", "bob"):
            await it.say(run.id, Acknowledge(it.clock.now(), name, "on it"))
            await it.pass_time(SECOND)
        await it.pass_time(timedelta(minutes=20))
        (called,) = await told_in(it, "#on-call")
        posts = {post.key: post.message.title for post in await it.posts(run.id)}

        assert [] == await told_in(it, "webhook:pager")
        assert "ann has taken it on" == posts["acknowledged.1"]
        assert ("Taken on: web is sick", None) == (called.message.title, called.message.mention)
        assert 1 == (await it.facts()).count("acknowledged")


async def test_what_is_over_escalates_no_more_and_its_return_begins_anew(tmp_path: Path) -> None:
    """A new run is a new problem: who took the old one on may be asleep by now."""
    async with Harness(tmp_path, rule(mode="observe", escalate=ONE), levels=LEVELS) as it:
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        await it.say((await it.run()).id, Acknowledge(it.clock.now(), "ann"))
        await it.deliver(alert(), resolved=True)
        await it.pass_time(20 * MINUTE)
        in_between = len(await told_in(it, "webhook:pager"))
        await it.deliver(alert())
        await it.pass_time(20 * MINUTE)

        assert 0 == in_between
        assert 2 == len(await it.runs())
        assert 1 == len(await told_in(it, "webhook:pager"))


async def test_what_was_healed_is_told_to_nobody_else(tmp_path: Path) -> None:
    """The level that was told at once hears that it is over."""
    async with Harness(tmp_path, rule(escalate=LADDER), levels=LEVELS) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        assert ["healed"] == await it.until_over()
        await it.pass_time(timedelta(hours=2))
        (called,) = await told_in(it, "#on-call")

        assert "Over: web is sick" == called.message.title
        assert "cure (it has helped)" in repr(called.message.parts)
        assert [] == await told_in(it, "webhook:pager")


async def test_to_be_told_makes_a_run_no_younger(tmp_path: Path) -> None:
    """It was away for hours; that a level is told as it comes back must not have it act by itself after all."""
    async with Harness(tmp_path, rule(escalate=ONE), levels=LEVELS) as it:
        it.store.dies_at = it.store.writes + 2
        await it.deliver(alert())
        await it.process.kill()
        await it.clock.advance(timedelta(hours=3))
        await it.crash()
        await it.until_over()

        assert [] == it.world.effects
        assert 1 == len(await told_in(it, "webhook:pager"))


async def test_a_run_that_could_not_be_carried_on_still_has_somebody_to_tell(tmp_path: Path) -> None:
    """It is broken, and so is what it should have mended. Its worker is told when to come back."""
    async with Harness(tmp_path, rule(mode="gated", escalate=ONE), levels=LEVELS) as it:
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        run = await it.store.take((await it.run()).id, it.process.owner)
        assert run is not None
        wake = await it.process.flow.give_up(run, "it is broken")

        assert run.created_at + 15 * MINUTE == wake
        assert [wake] == [one.at for one in await it.store.wakes()]


async def test_to_be_told_makes_the_rest_of_a_plan_no_younger(tmp_path: Path) -> None:
    """Half a plan of hours ago is not finished because somebody was told of it right now."""
    step = {"test.set": {"name": "a"}}
    changed = rule(remediate=[{"name": "cure", "do": [step, step]}], escalate=ONE)
    async with Harness(tmp_path, changed, levels=LEVELS) as it:
        it.world.on_act = lambda _name: setattr(it.store, "dies_at", it.store.writes + 2)
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await it.clock.advance(timedelta(hours=5))
        it.world.on_act = None
        await it.crash()
        await it.until_over()

        assert (await it.ending()).startswith("expired: it has waited 5h1s for its turn")
        assert ["a"] == it.world.effects
        assert 1 == len(await told_in(it, "webhook:pager"))


async def test_a_word_on_an_unknown_step_costs_nobody_their_turn(tmp_path: Path) -> None:
    """The run has ended; that a person settles it ends it once more, with its timer."""
    levels = [{"after": "1h", "to": "pager"}]
    async with Harness(tmp_path, rule(escalate=levels), levels=LEVELS) as it:
        it.world.on_act = _lose_sight
        await it.deliver(alert())
        assert ["unknown"] == await it.until_over()
        unknown = unsettled(await it.run())
        assert unknown is not None
        await it.say((await it.run()).id, Settle(it.clock.now(), unknown.step, unknown.attempt, False, "ann"))
        await it.pass_time(MINUTE)
        before = len(await told_in(it, "webhook:pager"))
        await it.pass_time(timedelta(hours=1))

        assert "settled" in await it.facts()
        assert (0, 1) == (before, len(await told_in(it, "webhook:pager")))


def _lose_sight(_name: str) -> None:
    raise OutcomeUnknown("the connection broke")
