"""Two processes on one PostgreSQL escalate: each level is told once, whoever is lost between two of them."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from remediator.testing.slack import SlackStandIn
from tests import services
from tests.pair import Deed, Replica, bring_back, pair, start

RULES = """
pack: web
rules:
  - name: sick
    summary: "{{ labels.service }} is down"
    match: ['alertname="Sick"']
    mode: observe
    escalate:
      - {after: 0s, to: on-call}
      - {after: 1s, to: pager}
      - {after: 6s, to: manager}
      - {after: 7s, to: director}
  - name: seen
    match: ['alertname="Seen"']
    mode: observe
"""


@dataclass
class Phone:
    """A receiver of webhooks, for all levels that have one."""

    url: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """The level, the event, and the key by which a receiver knows a call that it had before."""

    def told(self) -> Counter[tuple[str, str]]:
        """How often each level was told of what, as a receiver sees it that knows what it had."""
        return Counter((level, event) for level, event, _ in dict.fromkeys(self.calls))

    def has(self, *levels: str, event: str = "escalated") -> bool:
        return {(level, event) for level in levels} <= self.told().keys()


@contextmanager
def ringing() -> Iterator[Phone]:
    phone = Phone()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            phone.calls.append((body["level"], body["event"], self.headers["Idempotency-Key"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    phone.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield phone
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@dataclass
class Desk:
    """The two, and those who are called."""

    one: Replica
    two: Replica
    phone: Phone
    slack: SlackStandIn
    flag: Path

    def configure(self, database: str) -> None:
        hook = {"webhook": self.phone.url}
        for replica in (self.one, self.two):
            replica.configure(
                store={"url": database, "directory": str(replica.folder / "store")},
                slack={
                    "token": self.slack.token,
                    "channel": self.slack.channel_id("alerts"),
                    "base_url": self.slack.base_url,
                    "post_interval": "0s",
                },
                escalation={
                    "on-call": {"channel": self.slack.channel_id("on-call")},
                    **dict.fromkeys(("pager", "manager", "director"), hook),
                },
            )
            (replica.folder / "rules.yaml").write_text(RULES)

    def until_told(self, *levels: str, event: str = "escalated") -> None:
        services.wait_until(lambda: self.phone.has(*levels, event=event), f"{levels} to hear: {event}")

    def until_quiet(self, leader: Replica) -> None:
        """Until all that is told is on record as told."""
        services.wait_until(lambda: leader.series()["remediator_outbox_waiting"] == 0, "all to be told")

    def end(self, victim: Replica, other: Replica, deed: Deed) -> None:
        """The last levels are told, the lost one is back, the alert is over; everybody has heard of that."""
        self.until_told("manager", "director")
        if deed == "SIGSTOP":
            bring_back(victim, other)
        other.deliver(alertname="Sick", service="web", resolved=True)
        self.until_told("pager", "manager", "director", event="over")
        self.until_quiet(other)


EACH_ONCE = {(level, event): 1 for level in ("pager", "manager", "director") for event in ("escalated", "over")}


@pytest.fixture
def desk(tmp_path: Path, new_database: str, slack: SlackStandIn) -> Iterator[Desk]:
    slack.add_channel("on-call")
    with ringing() as phone, pair(tmp_path) as (one, two):
        made = Desk(one, two, phone, slack, tmp_path / "flag")
        made.configure(new_database)
        yield made


@pytest.mark.parametrize("deed", ["SIGKILL", "SIGSTOP"])
@pytest.mark.parametrize("leads", [True, False], ids=["who-leads", "who-follows"])
def test_each_level_is_told_once_though_the_owner_is_lost_between_two(desk: Desk, deed: Deed, leads: bool) -> None:
    """The next ones are due while nobody knows yet that it is gone."""
    victim, other = (desk.one, desk.two) if leads else (desk.two, desk.one)
    start((desk.one, desk.two))
    victim.deliver(alertname="Sick", service="web")
    desk.until_told("pager")
    desk.until_quiet(desk.one)
    victim.do(deed)
    was_early = desk.phone.has("manager")
    desk.end(victim, other, deed)
    keys = [fact["to"] for fact in other.said("escalated", "Sick")]

    assert not was_early
    assert EACH_ONCE == Counter((level, event) for level, event, _ in desk.phone.calls)
    assert ["on-call", "pager", "manager", "director"] == keys
    assert 1 == len(desk.slack.messages["on-call"])


@pytest.mark.parametrize(("point", "deed"), [("post.attempt", "SIGSTOP"), ("post.sent", "SIGKILL")])
def test_who_is_lost_while_it_tells_makes_nobody_hear_it_twice(desk: Desk, point: str, deed: Deed) -> None:
    """A call that may have landed is repeated with the key that it had, and a message in chat is looked for."""
    for one in (desk.one, desk.two):
        one.arm(point, deed, desk.flag)
    start((desk.one, desk.two))
    desk.one.deliver(alertname="Sick", service="web")
    desk.until_told("pager")
    desk.until_quiet(desk.one)
    desk.flag.touch()
    desk.one.until(deed)
    desk.end(desk.one, desk.two, deed)
    replies = [message.shown for message in desk.slack.messages["alerts"] if "director" in message.shown]

    assert EACH_ONCE == desk.phone.told()
    assert len(desk.phone.calls) in ({6, 7} if point == "post.sent" else {6})
    assert 1 == len(desk.slack.messages["on-call"])
    assert 1 == len(replies)
