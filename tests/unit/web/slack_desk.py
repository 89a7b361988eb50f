"""A plan that waits for people, with its card in Slack's stand-in, and the application that Slack's requests reach."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from remediator.clients.slack import SlackClient
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert
from remediator.model.audit import Sealed
from remediator.model.ids import Digest, RuleId, RunId
from remediator.model.message import Message, Post, Tone
from remediator.model.run import Decision
from remediator.pipeline.approvals import Approvals
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.explaining import Explanation
from remediator.pipeline.people import People
from remediator.settings import Settings
from remediator.storage.buttons import Button
from remediator.storage.runs import Claim, Entry
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock
from remediator.testing.slack import SlackStandIn, StoredMessage
from remediator.testing.slack_people import User
from remediator.web.slack.commands import Commands
from remediator.web.slack.inbox import SlackInbox
from remediator.web.slack.workspace import Workspace
from tests.contract.opening import RULE, open_run
from tests.unit.web.a_run import ASKED, EXAMINED, NOW, PLAN, PLANNED
from tests.unit.web.serving import Client, Nothing, api, until

SECRET = "stand-in-signing-secret"
RUN = RunId("d1m0k2s3abcdefgh")
ANA, BEN, EVE = User(), User("U00000200", "ben"), User("U00000666", "eve")
PEOPLE = {"ana": {"slack": ANA.id}, "ben": {"slack": BEN.id}}
TOKENS = {"approve": "approve-token-of-the-card", "deny": "deny-token-of-the-card"}


def card(channel: str, ts: str, tokens: dict[str, str] = TOKENS) -> StoredMessage:
    """A message with two buttons, as Slack keeps it."""
    buttons = [
        {"type": "button", "action_id": f"remediator.{which}", "value": token, "text": {"type": "plain_text"}}
        for which, token in tokens.items()
    ]
    blocks = [{"type": "actions", "elements": buttons}]
    return StoredMessage(channel, ts, "1000000.000001", "a card", blocks, None, [])


@dataclass
class Desk:
    """All of it."""

    slack: SlackStandIn
    store: SqliteStore
    clock: VirtualClock
    client: Client
    metrics: Metrics
    card: StoredMessage
    inbox: SlackInbox

    async def note_card(self) -> None:
        """Note where the card stands."""
        post = await self.store.next_post(resting=(), busy=(), passed=())
        assert post is not None
        await self.store.note_sent(post.seq, post.version, f"{self.card.channel}:{self.card.ts}")

    async def decisions(self) -> list[Decision]:
        run = await self.store.read_run(RUN)
        assert run is not None
        return [signal for signal in run.signals if isinstance(signal, Decision)]

    async def audited(self) -> list[tuple[str, str, str]]:
        """What the audit journal has: what, who, from where."""
        page: tuple[Sealed, ...] = await self.store.audit_page(after=0, limit=100)
        return [(one.entry.what, one.entry.who, one.entry.origin) for one in page]

    async def told(self, count: int = 1) -> list[tuple[str, str]]:
        """Whom Slack has shown something alone, once that was so often."""
        await until(lambda: len(self.slack.ephemerals) >= count)
        return [(one.user, one.text) for one in self.slack.ephemerals]

    def answered(self, what: str, status: int) -> float:
        labels = {"what": what, "status": str(status)}
        return self.metrics.registry.get_sample_value("remediator_slack_requests_total", labels) or 0.0


def _not_explained(alert: Alert) -> Explanation:
    return Explanation(alert, ())


@asynccontextmanager
async def at_the_desk(
    *,
    slack_settings: dict[str, Any] | None = None,
    approval: dict[str, Any] | None = None,
    asked: dict[str, Any] | None = None,
    patience: timedelta = timedelta(seconds=2),
    decide: Callable[..., Any] | None = None,
    rule_now: Callable[[RuleId], str] = lambda _rule: "",
    sent: bool = True,
    stand_in: Callable[..., SlackStandIn] = SlackStandIn,
) -> AsyncIterator[Desk]:
    """A run whose plan waits; `asked` changes its question, `decide` takes decisions in the place of the approvals.

    Unless `sent`, it is not noted yet where the card stands.
    """
    clock, metrics = VirtualClock(NOW), Metrics()
    store = SqliteStore(None, clock=clock, metrics=metrics)
    async with stand_in(clock=clock, signing_secret=SECRET) as slack:
        given = {"token": slack.token, "base_url": slack.base_url, "signing_secret": SECRET}
        settings = Settings(slack=given | (slack_settings or {}), people=PEOPLE, approval=approval or {})
        people = People(settings.people, settings.approval)
        redactor = Redactor(settings.secrets())
        dispatcher = HeapDispatcher(clock, at_once_per_rule=10)
        approvals = Approvals(store, people, dispatcher, clock, redactor, metrics, rule_now=rule_now)
        client = SlackClient(token=slack.token, base_url=slack.base_url)
        runs: Any = Nothing()
        commands = Commands(
            runs=runs,
            alerts=store,
            stops=_NO_STOPS,
            journal=store,
            health=_fail,
            explain=_not_explained,
            clock=clock,
            starts=_NO_STARTS,
            deciders=frozenset(settings.approval.groups),
        )
        runs.decide = decide or approvals.decide
        runs.list_runs, runs.read_run = store.list_runs, store.read_run
        inbox = SlackInbox(
            desk=runs,
            buttons=store,
            people=people,
            commands=commands,
            client=client,
            workspace=Workspace(settings.slack, client),
            clock=clock,
            redactor=redactor,
            patience=patience,
        )
        await store.open()
        await store.remember_rules({RULE: {"pack": "p"}})
        shown = card(slack.channel_id("alerts"), "1000001.000001")
        await _ask(store, asked or {}, shown, sent=sent)
        async with api(slack=inbox, settings=settings, clock=clock, metrics=metrics) as running:
            slack.people_call = str(running.make_url("")).rstrip("/")
            yield Desk(slack, store, clock, running, metrics, shown, inbox)
        await inbox.close()
        await store.close()


async def _ask(store: SqliteStore, asked: dict[str, Any], shown: StoredMessage, *, sent: bool) -> None:
    """Have a plan wait, with its card posted and its buttons kept."""
    claim: Claim = await open_run(store, RUN)
    posts = (Post("card", Message(Tone.WAITING, "May it?")),)
    await store.learn(claim, Entry(facts=(EXAMINED, PLANNED, replace(ASKED, **asked)), posts=posts))
    parent = await store.next_post(resting=(), busy=(), passed=())
    assert parent is not None
    await store.note_sent(parent.seq, parent.version, f"{shown.channel}:{shown.thread_ts}")
    post = await store.next_post(resting=(), busy=(), passed=())
    assert post is not None
    await store.keep_buttons(
        [
            Button(digest_of(token), RUN, 1, 1, Digest(PLAN.digest), which == "approve", post.seq, NOW)
            for which, token in TOKENS.items()
        ]
    )
    if sent:
        await store.note_sent(post.seq, post.version, f"{shown.channel}:{shown.ts}")


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


_NO_STOPS: Any = None  # nobody pauses here
_NO_STARTS: Any = None


async def _fail() -> Any:
    raise AssertionError("nobody asks for that here")
