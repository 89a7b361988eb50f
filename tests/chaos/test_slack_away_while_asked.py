"""Slack hangs while people are asked: they decide at the terminal, the run goes on, and the cards say so afterwards."""

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


def cards(slack: SlackStandIn) -> list[StoredMessage]:
    """The questions, answered or not."""
    return [one for one in slack.messages["alerts"] if has_buttons(one.blocks) or " by ana-at-home" in one.shown]


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
        services.wait_until(lambda: any(has_buttons(card.blocks) for card in cards(slack)), "the card to stand there")
        link.turn(Fault.HANG)
        fire(served, "api")
        services.wait_until(lambda: {"web", "api"} == set(ids(served)), "both to be asked about")
        waiting = ids(served)

        approved = served.command("approve", waiting["web"], "--yes", "--by", "ana-at-home")
        denied = served.command("deny", waiting["api"], "--reason", "we are at it", "--by", "ana-at-home")
        outcomes = {"web": "healed", "api": "denied"}
        services.wait_until(
            lambda: outcomes == {run["alert"]["labels"]["service"]: run["outcome"] for run in served.runs()},
            "both to end",
        )
        still = [has_buttons(card.blocks) for card in cards(slack)]
        link.turn(Fault.NONE)
        services.wait_until(lambda: " by ana-at-home" in said_of(slack, "web"), "the card to say who", limit=180)
        services.wait_until(lambda: "we are at it" in said_of(slack, "api"), "the other to be there", limit=180)

    assert (0, 0) == (approved.returncode, denied.returncode), approved.stderr + denied.stderr
    assert [True] == still
    assert [False, False] == [has_buttons(card.blocks) for card in cards(slack)]
    assert (True, False) == tuple((served.folder / f"mended-{name}").exists() for name in ("web", "api"))


def said_of(slack: SlackStandIn, name: str) -> str:
    """What the thread about a service says."""
    threads = {one.ts for one in slack.messages["alerts"] if f"{name} is down" in one.shown and not one.thread_ts}
    return "\n".join(one.shown for one in slack.messages["alerts"] if {one.ts, one.thread_ts} & threads)
