"""`/remediator …`: people look, pause and decide in Slack with the rights that they have everywhere else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.app import App
from remediator.errors import StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Fingerprint
from remediator.model.person import Person
from remediator.model.stop import Bar, Stop, StopKind
from remediator.pipeline.people import People
from remediator.plugins import Actions
from remediator.rules.loading import load_book
from remediator.settings import Settings
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock
from remediator.testing.slack import SlackStandIn
from remediator.testing.slack_people import User
from remediator.web.slack.commands import HELP, Commands
from tests import services
from tests.unit.web.a_run import NOW
from tests.unit.web.serving import Nothing, until

ANA, BEN, EVE = User(), User("U00000200", "ben"), User("U00000666", "eve")
RULES = """
pack: web
rules:
  - name: down
    summary: "{{ labels.service }} is down"
    match: ['alertname="Down"']
    mode: gated
    remediate:
      - name: mend
        do: [{command.run: {command: mend}}]
"""


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[tuple[App, SlackStandIn]]:
    """The whole service in this process, with a plan that waits."""
    (folder / "rules.yaml").write_text(RULES)
    actions = Actions.installed()
    async with SlackStandIn() as slack:
        needed = {
            "listen": f"127.0.0.1:{services.free_port()}",
            "store": {"directory": folder / "store"},
            "slack": {"token": slack.token, "base_url": slack.base_url, "signing_secret": slack.signing_secret},
            "people": {"ana": {"slack": ANA.id}, "ben": {"slack": BEN.id}},
            "commands": {"mend": {"argv": ["touch", str(folder / "mended")], "effect": "change", "target": "web"}},
        }
        made = Settings.model_validate(needed | settings)
        app = App(made, actions=actions, book=load_book([folder / "rules.yaml"], actions))
        await app.start()
        slack.people_call = f"http://127.0.0.1:{app.port}"
        try:
            await app.parts.intake.accept(_delivery(app))
            yield app, slack
        finally:
            await app.stop()


def _delivery(app: App) -> Delivery:
    labels = {"alertname": "Down", "service": "web"}
    alert = Alert(Fingerprint("f1"), AlertStatus.FIRING, labels, {}, app.parts.clock.now())
    return Delivery((alert,), received_at=app.parts.clock.now())


async def say(slack: SlackStandIn, text: str, user: User = ANA) -> str:
    answer = await slack.command(text, user=user)
    assert (200, "ephemeral") == (answer.status, answer.json["response_type"])
    return str(answer.json["text"])


async def plan_of(slack: SlackStandIn, run: str, user: User = ANA) -> str:
    """The plan's name, as the command that approves it has it."""
    return (await say(slack, f"approve {run}", user)).split()[-1]


async def waiting(slack: SlackStandIn) -> str:
    """The id of the run, once its plan waits."""
    async with asyncio.timeout(30):
        while "waits for a person" not in (said := await say(slack, "runs")):
            await asyncio.sleep(0.02)
    return said.split()[0]


async def test_people_look_and_decide_in_slack(tmp_path: Path) -> None:
    """All that somebody on call needs, without a terminal."""
    async with running(tmp_path) as (_, slack):
        run = await waiting(slack)

        status = await say(slack, "status")
        assert "The service is ready." in status
        assert "1 run is under way" in status
        for alert in (run, run[-6:], "f1", "Down service=web"):
            told = await say(slack, f"explain {alert}")
            assert "web/down matches: web is down (mode gated)" in told, alert
            assert "- remedy 1, mend: run command mend" in told
            assert "a person is asked" in told
        assert "No rule matches it." in await say(slack, "explain Up")
        plan = await plan_of(slack, run)
        assert (await say(slack, f"approve {run[-6:]} {plan}")).startswith("approved: plan ")
        await until((tmp_path / "mended").exists)
        assert f"no plan of run {run} waits for a decision" in await say(slack, f"approve {run}")


async def test_a_plan_is_approved_by_its_own_name(tmp_path: Path) -> None:
    """A run may have another plan by now than the one that somebody has read; the run's name approves none."""
    async with running(tmp_path) as (app, slack):
        run = await waiting(slack)

        for words in ("", " please", " abc"):
            shown = (await say(slack, f"approve {run}{words}")).splitlines()
            assert shown[0].startswith(f"run {run} of web/down waits with the plan mend, "), words
            assert "- run command mend (change)" == shown[1]
            assert shown[2].startswith(f"to approve it: /remediator approve {run} ")
        assert "the plan has changed since it was shown" in await say(slack, f"approve {run} {'0' * 12}")
        found = await app.parts.store.read_run(next(iter(await app.parts.store.list_runs(limit=1))).id)
        assert found is not None
        assert () == tuple(found.signals)
        assert not (tmp_path / "mended").exists()


async def test_a_denial_says_why(tmp_path: Path) -> None:
    """As everywhere."""
    async with running(tmp_path) as (app, slack):
        run = await waiting(slack)

        assert "say why not: a denial needs a reason" == await say(slack, f"deny {run}")
        assert (await say(slack, f"deny {run} we are at it")).startswith("denied: plan ")
        found = await app.parts.store.read_run(next(iter(await app.parts.store.list_runs(limit=1))).id)
        assert found is not None
        assert ["we are at it"] == [s.reason for s in found.signals if s.kind == "decision"]
        assert not (tmp_path / "mended").exists()


async def test_a_pause_is_put_and_lifted(tmp_path: Path) -> None:
    """It stands in every process at once, as one of the terminal does; who has put it is known."""
    async with running(tmp_path) as (app, slack):
        assert (await say(slack, "pause rule:web/down for 2h release")).startswith("paused until ")
        (stop,) = await app.parts.stops.standing()
        assert ("rule:web/down", "ana", "release") == (stop.scope, stop.by, stop.reason)
        assert "pause of rule:web/down, by ana" in await say(slack, "status")
        assert "there is no pause of everything; there is one of rule:web/down" == await say(slack, "resume")
        assert "there is no rule:web/other" == await say(slack, "pause rule:web/other")
        assert "resumed: rule:web/down" == await say(slack, "resume rule:web/down", BEN)
        assert () == tuple(await app.parts.stops.standing())
        who = [(one.entry.who, one.entry.via) for one in await app.parts.store.audit_page(after=0, limit=100)]
        assert {("ana", "slack"), ("ben", "slack")} <= set(who)


async def test_a_rule_is_started_by_hand_and_not_approved_by_who_has_started_it(tmp_path: Path) -> None:
    """As an emergency without an alert is played: two people, as for every change that waits."""
    async with running(tmp_path) as (app, slack):
        await waiting(slack)
        form = slack.command_form("start web/down alertname=Down service=db it hangs")
        assert app.parts.slack_inbox is not None
        begun, again = [await app.parts.slack_inbox.command(form) for _ in range(2)]
        assert begun is not None
        assert begun == again
        run = str(begun["text"]).split()[2]

        assert str(begun["text"]).startswith(f"started: run {run} of web/down")
        async with asyncio.timeout(30):
            while f"{run}  web/down  waits for a person" not in await say(slack, "runs"):
                await asyncio.sleep(0.02)
        plan = await plan_of(slack, run)
        assert "you have started this run" in await say(slack, f"approve {run} {plan}")
        assert (await say(slack, f"approve {run} {plan}", BEN)).startswith("approved: plan ")
        assert "there is no rule web/up" in await say(slack, "start web/up service=web")
        assert "alertname" in await say(slack, "start web/down alertname=Up service=web")


@dataclass
class Keeper:
    """Notes what it is asked for."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def standing(self) -> Sequence[Stop]:
        raise StoreUnavailable("gone")

    async def listed(self) -> Sequence[Any]:
        return ()

    def bars(self) -> Sequence[Bar]:
        return ()

    async def pause(
        self, scope: str, reason: str, by: str, lasts: timedelta | None, *, person: Person | None, origin: str
    ) -> tuple[Stop, str]:
        assert (person, origin) == (PEOPLE.of_slack(ANA.id), "slack C1")
        self.asked.append((scope, lasts, reason))
        return Stop(StopKind.PAUSE, scope, reason, by, NOW), "be careful"

    async def lift(self, kind: StopKind, scope: str, by: str, *, person: Person | None, origin: str) -> bool:
        self.asked.append((kind, scope, by))
        return True


_SETTINGS = Settings.model_validate({"people": {"ana": {"slack": ANA.id}, "ben": {"slack": BEN.id}}})
PEOPLE = People(_SETTINGS.people, _SETTINGS.approval)


async def nothing() -> Any:
    raise AssertionError("nobody asks for that here")


@asynccontextmanager
async def desk(*deciders: str) -> AsyncIterator[tuple[Commands, Keeper, SqliteStore]]:
    keeper = Keeper()
    store = SqliteStore(None, clock=VirtualClock(NOW), metrics=Metrics())
    await store.open()
    yield commands_on(store, keeper, *deciders), keeper, store
    await store.close()


def commands_on(store: SqliteStore, keeper: Keeper, *deciders: str) -> Commands:
    """Those of one process."""
    explain: Any = nothing
    starts: Any = None
    return Commands(
        runs=Nothing(),
        alerts=store,
        stops=keeper,
        journal=store,
        health=nothing,
        explain=explain,
        clock=VirtualClock(NOW),
        starts=starts,
        deciders=frozenset(deciders),
    )


PAUSES = {
    "everything": ("everything", None, ""),
    "everything 2h": ("everything", timedelta(hours=2), ""),
    "everything for 90m": ("everything", timedelta(minutes=90), ""),
    "pack:web for 2h the release of today": ("pack:web", timedelta(hours=2), "the release of today"),
    "target:command:web they are at it": ("target:command:web", None, "they are at it"),
}


@pytest.mark.parametrize(("words", "asked"), PAUSES.items(), ids=PAUSES.keys())
async def test_a_pause_is_read_as_people_write_it(words: str, asked: tuple[Any, ...]) -> None:
    """At night nobody looks the grammar up."""
    async with desk() as (commands, keeper, _):
        told = await commands.answer(PEOPLE.of_slack(ANA.id), f"Pause {words}", origin="slack C1")

    assert [asked] == keeper.asked
    assert told.startswith(f"paused: {asked[0]}")
    assert told.endswith("be careful")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("pause", "pause takes a scope"),
        ("pause everything for ever", "after `for` comes how long"),
        ("pause everything 0s", "it has to last longer than nothing"),
        ("explain", "explain takes a run's id"),
        ("explain Down web", "web is no label"),
        ("approve", "approve takes a run's id"),
        ("deny", "deny takes a run's id"),
        ("start", "start takes a rule with the labels"),
        ("approve nosuchrun", "there is no run nosuchrun under way"),
        ("approve ../../x", "there is no run ../../x under way"),
        ("", HELP),
        ("help", HELP),
        ("make me a sandwich", f"there is no /remediator make. There is:\n{HELP}"),
    ],
)
async def test_what_is_not_understood_is_said(words: str, told: str) -> None:
    """And nothing is done."""
    async with desk() as (commands, keeper, _):
        answer = await commands.answer(PEOPLE.of_slack(ANA.id), words, origin="slack C1")

    assert answer.startswith(told)
    assert [] == keeper.asked


@pytest.mark.parametrize("words", ["status", "runs", "explain Down", "pause everything", "approve abcd", "zzz", ""])
async def test_somebody_whom_nobody_knows_sees_and_does_nothing(words: str) -> None:
    """A workspace has more people than those who are on call; what they try is recorded without their words."""
    async with desk() as (commands, keeper, store):
        answer = await commands.answer(PEOPLE.of_slack(EVE.id, "eve"), words, origin="slack C1")
        (entry,) = await store.audit_page(after=0, limit=10)

    assert f"nobody knows you here: have `{EVE.id}` added to `people` in the settings" == answer
    assert [] == keeper.asked
    assert ("refused", f"slack:{EVE.id}", "slack C1") == (entry.entry.what, entry.entry.who, entry.entry.origin)
    assert "zzz" not in entry.entry.subject


@pytest.mark.parametrize("words", ["pause everything", "resume everything", "approve nosuchrun", "deny nosuchrun no"])
async def test_a_command_that_changes_something_is_taken_once(words: str) -> None:
    """What Slack has signed could be sent again, to another process on the same store; given again it is new."""
    async with desk() as (commands, keeper, store):
        again = commands_on(store, keeper)
        told = [
            await one.answer(PEOPLE.of_slack(ANA.id), words, origin="slack C1", key=key)
            for one, key in ((commands, "1337.a"), (commands, "1337.a"), (again, "1337.a"), (again, "1337.b"))
        ]

    assert [False, True, True, False] == [text.startswith("this very command was taken already") for text in told]
    assert len(keeper.asked) in (0, 2)


@pytest.mark.parametrize("words", ["pause everything", "resume everything", "start web/down a=b"])
async def test_where_there_are_groups_only_their_people_pause(words: str) -> None:
    """Whoever may not approve a change may not hold all of them up either, nor have one begun."""
    async with desk("dba", "sre") as (commands, keeper, store):
        answer = await commands.answer(PEOPLE.of_slack(ANA.id), words, origin="slack C1")
        (entry,) = await store.audit_page(after=0, limit=10)

    assert f"only dba and sre may {words.partition(' ')[0]} anything from here, and you are not in there" == answer
    assert [] == keeper.asked
    assert ("refused", "ana", "not allowed") == (entry.entry.what, entry.entry.who, entry.entry.outcome)
