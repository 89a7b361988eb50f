"""Slack hangs while people are asked: they decide at the terminal, the run goes on, and the cards say so afterwards."""

import re

from remediator.testing.slack import SlackStandIn, StoredMessage
from remediator.testing.slack_people import User, has_buttons
from tests import services, storm
from tests.faults import Fault, FaultProxy
from tests.served import Served

ANA = User()


def fire(served: Served, name: str) -> None:
    assert 202 == served.ask("/api/v1/alerts", body=storm.body_of({"alertname": "Down", "service": name}))[0]


def ids(served: Served) -> dict[str, str]:
    """The runs that wait for people, by the service that each is about."""
    return {one["labels"]["service"]: one["id"] for one in served.get("/api/v1/approvals")["approvals"]}


def card(slack: SlackStandIn, name: str) -> StoredMessage | None:
    """The question about a service, answered or not."""
    threads = {one.ts for one in slack.messages["alerts"] if f"{name} is down" in one.shown and not one.thread_ts}
    told = [one for one in slack.messages["alerts"] if one.thread_ts in threads]
    return next((one for one in told if has_buttons(one.blocks) or re.search(r"(Approved|Denied) by", one.shown)), None)


def says(slack: SlackStandIn, name: str, *words: str) -> bool:
    """Whether its card says that, and has no buttons."""
    found = card(slack, name)
    return found is not None and not has_buttons(found.blocks) and all(word in found.shown for word in words)


def test_people_decide_at_the_terminal_while_slack_hangs_and_the_cards_say_so_later(
    served: Served, slack: SlackStandIn
) -> None:
    """One was asked before Slack went away, and one while it was: whoever reads it later must not press any more."""
    with FaultProxy(slack.base_url.split("/")[2]) as link:
        told = {"token": slack.token, "channel": slack.channel_id("alerts"), "signing_secret": slack.signing_secret}
        base = {"base_url": f"http://{link.address}/api/", "post_interval": "20ms"}
        served.configure(mode="gated", slack={**told, **base}, people={"ana": {"slack": ANA.id}})
        served.start()
        fire(served, "web")
        services.wait_until(lambda: card(slack, "web") is not None, "the card to stand there")
        link.turn(Fault.HANG)
        fire(served, "api")
        services.wait_until(lambda: {"web", "api"} == set(ids(served)), "both to be asked about")
        waiting = ids(served)

        approved = served.command("approve", waiting["web"], "--yes", "--reason", "seen it")
        denied = served.command("deny", waiting["api"], "--reason", "we are at it")
        assert (0, 0) == (approved.returncode, denied.returncode), approved.stderr + denied.stderr
        outcomes = {"web": "healed", "api": "denied"}
        services.wait_until(
            lambda: outcomes == {run["alert"]["labels"]["service"]: run["outcome"] for run in served.runs()},
            "both to end",
        )
        meanwhile = says(slack, "web"), card(slack, "api")
        link.turn(Fault.NONE)
        services.wait_until(lambda: says(slack, "web", "Approved by", "seen it"), "the card to say who", limit=180)
        services.wait_until(lambda: says(slack, "api", "Denied by", "we are at it"), "the other to come", limit=180)

    assert (False, None) == meanwhile
    assert (True, False) == tuple((served.folder / f"mended-{name}").exists() for name in ("web", "api"))
