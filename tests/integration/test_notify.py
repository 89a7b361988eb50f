"""Other places and Socket Mode by the service as a process: real receivers are told, once, and people decide by it."""

import asyncio
import json
import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from remediator.clients.webhook import signature
from remediator.testing.slack import StoredMessage
from remediator.testing.slack_people import User, has_buttons
from remediator.testing.slack_socket import SlackSocketStandIn
from tests import services
from tests.integration.delivering import deliver, down
from tests.served import Served

SECRET, PATH = "0123456789abcdef-s3cr3t", "/hook/s3cr3t-p4th-of-ours"


@dataclass
class Receiver:
    """Whoever is told by POST; it may refuse what is signed at first."""

    port: int = 0
    refusals: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    genuine: list[bool] = field(default_factory=list)

    def events(self) -> list[str]:
        return [one["event"] for one in self.told if "event" in one]

    def titles(self) -> list[str]:
        return [one["title"] for one in self.told if "title" in one]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_signed = "X-Remediator-Signature" in self.headers
            if is_signed and made.refusals:
                made.refusals -= 1
                self.send_error(404)
                return
            if is_signed:
                proof = signature(SECRET, self.headers["X-Remediator-Timestamp"], body)
                made.genuine.append(proof == self.headers["X-Remediator-Signature"])
            made.told.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join(10)


def logs(served: Served) -> str:
    return "".join(path.read_text(errors="replace") for path in sorted(served.folder.glob("*-[0-9]")) if path.is_file())


def test_places_hear_of_a_plan_that_waits_and_of_its_end_once(served: Served, receiver: Receiver) -> None:
    """What they are told is enough to decide by, and nothing of their addresses is in a log."""
    receiver.refusals = 1
    served.configure(
        public_url=served.url,
        notify={
            "mail": {"url": f"json://127.0.0.1:{receiver.port}{PATH}"},
            "board": {
                "webhook": f"http://127.0.0.1:{receiver.port}{PATH}",
                "secret": SECRET,
                "events": ["asked", "acting", "ended"],
            },
            "others": {"url": f"json://127.0.0.1:{receiver.port}/others", "rules": ["docker/*"]},
        },
    )
    served.start()
    deliver(served, down())
    services.wait_until(lambda: receiver.events() == ["asked"] and len(receiver.titles()) == 1, "both to be asked")
    (asked,) = (one for one in receiver.told if "event" in one)
    approve = asked["text"].split(f"To decide, at {served.url}:\n")[1].splitlines()[0]
    said = served.command(*shlex.split(approve)[1:])
    services.wait_until(lambda: len(receiver.told) >= 5, "both to hear of the end")
    run = served.run()

    assert 0 == said.returncode, said.stderr
    assert "healed" == run["outcome"]
    assert (["asked", "acting", "ended"], [True] * 3) == (receiver.events(), receiver.genuine)
    assert ["A plan waits for a person: web is down", "Healed: web is down"] == receiver.titles()
    assert (run["id"], "web/down", False) == (asked["run"], asked["rule"], asked["repeated"])
    assert "the webhook of board (127.0.0.1): answered 404" in logs(served)
    assert not any(secret in logs(served) for secret in ("s3cr3t", "0123456789abcdef"))


async def test_a_press_over_socket_mode_carries_a_plan_out_once(served: Served) -> None:
    """From the alert to the deed, without anything being let in from outside."""
    async with SlackSocketStandIn() as slack:
        served.configure(
            slack={
                "token": slack.token,
                "base_url": slack.base_url,
                "channel": "#alerts",
                "post_interval": "50ms",
                "app_token": slack.app_token,
            },
            people={"ana": {"slack": User().id}},
        )
        await asyncio.to_thread(served.start)
        await asyncio.to_thread(deliver, served, down())
        card: StoredMessage = await _there(lambda: _card(slack))
        await slack.press(card, "approve")
        await asyncio.to_thread(services.wait_until, lambda: served.run()["outcome"] == "healed", "the run")
        _, ready = await asyncio.to_thread(served.readiness)
        metric = (await asyncio.to_thread(served.series))["remediator_slack_socket"]

    assert ["mended-web"] == [path.name for path in served.folder.glob("mended-*")]
    assert [] == slack.ephemerals
    assert (1.0, 1) == (metric, slack.opened)
    assert "connected" in json.dumps(ready)
    assert 404 == (await asyncio.to_thread(served.ask, "/slack/interactions", body=b"x"))[0]


def _card(slack: SlackSocketStandIn) -> StoredMessage | None:
    return next((one for one in slack.messages["alerts"] if has_buttons(one.blocks) and slack.connections), None)


async def _there(look: Callable[[], StoredMessage | None]) -> StoredMessage:
    async with asyncio.timeout(30):
        while (found := look()) is None:
            await asyncio.sleep(0.02)
    return found
