"""Escalation by the service as a process: a real receiver is told in time, over a kill too, until it is taken on."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from remediator.testing.slack import SlackStandIn
from tests import services
from tests.integration.delivering import body_of
from tests.served import Served

SECRET, PATH = "Bearer t0ken-of-the-pager", "/hook/s3cr3t-path"
RULES = """
pack: web
rules:
  - name: seen
    summary: "{{ labels.service }} is down"
    match: ['alertname="Seen"']
    mode: observe
    escalate:
      - {after: 0s, to: on-call}
      - {after: FIRST, to: pager}
      - {after: SECOND, to: manager}
      - {after: SECOND, to: nobody}
"""


@dataclass
class Pager:
    """A receiver of webhooks that answers as it is told to."""

    status: int = 200
    told: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    tries: int = 0
    url: str = ""

    def levels(self) -> list[tuple[str, str]]:
        return [(one["level"], one["event"]) for one in self.told]


@contextmanager
def receiving(pager: Pager) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pager.tries += 1
            if pager.status == 200:
                pager.headers.append(dict(self.headers))
                pager.told.append(body)
            self.send_response(pager.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pager.url = f"http://127.0.0.1:{server.server_port}{PATH}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def pager() -> Iterator[Pager]:
    made = Pager()
    with receiving(made):
        yield made


def configure(served: Served, pager: Pager, *, first: str, second: str, **settings: Any) -> None:
    served.configure(
        escalation={
            "on-call": {"channel": "#on-call", "mention": "S0TEAM"},
            "pager": {"webhook": pager.url, "secret": SECRET},
            "manager": {"webhook": pager.url, "secret": SECRET, "header": "X-Auth"},
        },
        **settings,
    )
    (served.folder / "rules.yaml").write_text(RULES.replace("FIRST", first).replace("SECOND", second))


def deliver(served: Served, *, resolved: bool = False) -> None:
    labels = {"alertname": "Seen", "service": "web", "severity": "critical"}
    assert 202 == served.ask("/api/v1/alerts", body=body_of(labels, resolved=resolved))[0]


def wait_until_delivered(served: Served, *levels: str) -> None:
    """Wait until it is noted that they were told: a service that is killed before that tells them again."""

    def noted() -> set[str]:
        found = served.get("/api/v1/escalations")["escalations"]
        return {level["level"] for one in found for level in one["levels"] if level["state"] == "delivered"}

    services.wait_until(lambda: set(levels) <= noted(), f"{', '.join(levels)} to be noted as told")


def logs(served: Served) -> str:
    return "".join(path.read_text(errors="replace") for path in sorted(served.folder.glob("*-[0-9]")) if path.is_file())


def test_each_level_is_told_in_time_and_a_kill_in_between_changes_nothing(served: Served, pager: Pager) -> None:
    """The second is due while nothing runs; nobody is told twice, and no secret is in the logs."""
    configure(served, pager, first="1s", second="6s")
    served.start()
    deliver(served)
    wait_until_delivered(served, "on-call", "pager")
    served.kill()
    killed = time.monotonic()
    services.wait_until(lambda: time.monotonic() - killed > 6, "the next level to be due")
    served.start()
    services.wait_until(lambda: len(pager.told) >= 2, "the second webhook to be told")
    services.wait_until(lambda: served.run()["outcome"] == "told", "the run")
    deliver(served, resolved=True)
    services.wait_until(lambda: len(pager.told) >= 4, "both to hear that it is over")
    nobody = "The settings have no level nobody, so nobody is told"
    services.wait_until(lambda: nobody in logs(served), "the thread to be told")
    timeline = [one for one in served.run()["timeline"] if one["kind"] == "escalated"]
    out = logs(served)

    assert [("pager", "escalated"), ("manager", "escalated")] == pager.levels()[:2]
    assert {("pager", "over"), ("manager", "over")} == set(pager.levels()[2:])
    assert ["on-call", "pager", "manager", "nobody"] == [one["to"] for one in timeline]
    assert [SECRET, SECRET] == [pager.headers[0]["Authorization"], pager.headers[1]["X-Auth"]]
    assert 4 == len({one["Idempotency-Key"] for one in pager.headers})
    assert {
        "version": 1,
        "event": "escalated",
        "level": "pager",
        "number": "2",
        "after": "1s",
        "run": served.run()["id"],
        "rule": "web/seen",
        "alert": "Seen",
        "severity": "critical",
        "summary": "web is down",
        "tried": "nothing was changed",
        "repeated": False,
    }.items() <= pager.told[0].items()
    assert "Escalated to on-call: web is down" in out
    assert "escalation_level_unknown" in out
    assert not any(secret in out for secret in ("t0ken", "s3cr3t-path"))


def test_who_takes_it_on_by_the_command_line_is_told_and_nobody_else_is(served: Served, pager: Pager) -> None:
    """The whole way of a person at a terminal."""
    configure(served, pager, first="1s", second="1h")
    served.start()
    deliver(served)
    wait_until_delivered(served, "on-call", "pager")
    run = str(served.run()["id"])
    before = served.command("escalation", "list")
    taken = served.command("escalation", "ack", run[-6:], "--reason", "on it")
    again = served.command("escalation", "ack", run)
    services.wait_until(lambda: len(pager.told) >= 2, "the pager to hear of it")
    listed = json.loads(served.command("escalation", "list", "-o", "json").stdout)["escalations"]
    shown = served.command("runs", "show", run).stdout
    deliver(served, resolved=True)
    services.wait_until(lambda: len(pager.told) >= 3, "the pager to hear that it is over")
    late = served.command("escalation", "ack", run)
    series = served.series()

    reached = (
        "on-call: delivered to terminal",
        "pager: delivered to webhook:pager at ",
        "manager: due at ",
        "nobody: not",
    )
    assert all(word in before.stdout for word in (run, *reached, "manager at ", "web is down"))
    assert (0, 0) == (taken.returncode, again.returncode), taken.stderr + again.stderr
    assert "taken on by " in taken.stdout
    assert ([None], ["on it"]) == ([one["next"] for one in listed], [one["taken_on"]["reason"] for one in listed])
    assert "has taken it on: on it" in shown
    assert ["escalated", "acknowledged", "over"] == [one["event"] for one in pager.told]
    assert 1 == late.returncode
    assert "the problem is over" in late.stderr
    assert {'{level="on-call"}': 1.0, '{level="pager"}': 1.0} == {
        name.removeprefix("remediator_escalations_total"): value
        for name, value in series.items()
        if name.startswith("remediator_escalations_total")
    }


def test_a_webhook_that_is_down_is_told_later_and_keeps_nobody_waiting(served: Served, pager: Pager) -> None:
    """The others hear theirs meanwhile, and readiness names the trouble."""
    configure(served, pager, first="1s", second="1h")
    pager.status = 403
    served.start()
    deliver(served)
    services.wait_until(lambda: pager.tries > 0, "the pager to be tried")
    deliver_other = body_of({"alertname": "Seen", "service": "other"})
    assert 202 == served.ask("/api/v1/alerts", body=deliver_other)[0]
    services.wait_until(lambda: "Escalated to on-call: other is down" in logs(served), "the chat to be told")
    pager.status = 200
    services.wait_until(lambda: len(pager.told) >= 2, "the pager to be told")

    assert {"web is down", "other is down"} == {one["summary"] for one in pager.told}
    assert "answered 403" in logs(served)


def test_a_level_that_was_taken_out_of_the_settings_is_told_in_the_channel_of_the_threads(
    served: Served, pager: Pager
) -> None:
    """What waits for it must not wait for ever, nor be lost."""
    configure(served, pager, first="1s", second="1h")
    pager.status = 500
    served.start()
    deliver(served)
    services.wait_until(lambda: pager.tries > 0, "the pager to be tried")
    served.kill()
    settings = yaml.safe_load((served.folder / "remediator.yaml").read_text())
    del settings["escalation"]["pager"]
    (served.folder / "remediator.yaml").write_text(yaml.safe_dump(settings))
    served.start()
    services.wait_until(lambda: "Escalated to pager: web is down" in logs(served), "the chat to be told instead")

    assert [] == pager.told


async def test_in_slack_a_level_is_told_in_its_channel_and_pings_its_group(served: Served, pager: Pager) -> None:
    """And nobody else: what the alert says pings nobody."""
    async with SlackStandIn() as slack:
        slack.add_channel("on-call")
        told = {"token": slack.token, "channel": "#alerts", "base_url": slack.base_url, "post_interval": "0s"}
        configure(served, pager, first="1h", second="2h", slack=told)
        await asyncio.to_thread(served.start)
        await asyncio.to_thread(deliver, served)
        async with asyncio.timeout(60):
            while not slack.messages["on-call"]:
                await asyncio.sleep(0.01)
        (called,) = slack.messages["on-call"]
        pings = set(slack.pings)

    assert "Escalated to on-call: web is down" in called.shown
    assert {"<!subteam^S0TEAM>", '{"type": "usergroup", "usergroup_id": "S0TEAM"}'} == pings
