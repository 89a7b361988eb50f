"""Slack, Redis and Prometheus slow, failing and hanging: runs go on, and what was to be told is told once, later."""

from collections import Counter
from collections.abc import Sequence

import pytest

from remediator.testing.slack import SlackStandIn
from tests import services, storm
from tests.faults import Fault, FaultProxy
from tests.served import Served

RUNS = 3
SLACK_FAULTS = [Fault.DELAY, Fault.ERROR, Fault.HANG]
EVIDENCE_FAULTS = [Fault.HANG, Fault.ERROR]
if storm.SCALE > 1:
    SLACK_FAULTS += [Fault.SWALLOW, Fault.RESET, Fault.REFUSE]
    EVIDENCE_FAULTS += [Fault.SWALLOW, Fault.RESET, Fault.REFUSE]

RULES = """
pack: evidence
rules:
  - name: down
    summary: "{{ labels.service }} is down"
    match: ['alertname="Down"']
    mode: auto
    remediate: [{name: mend, do: [{command.run: {command: mend, parameters: {service: "{{ labels.service }}"}}}]}]
    verify:
      settle: 100ms
      sustain: 200ms
      within: 10m
      every: 100ms
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]
  - name: wants-redis
    match: ['alertname="WantsRedis"']
    mode: observe
    diagnose: {redis: {redis.ping: {}}}
  - name: wants-prometheus
    match: ['alertname="WantsPrometheus"']
    mode: observe
    diagnose: {load: {prometheus.query: {query: up}}}
"""


def send(served: Served, alertname: str, names: Sequence[str]) -> None:
    alerts = [{"alertname": alertname, "service": name} for name in names]
    assert 202 == served.ask("/api/v1/alerts", body=storm.body_of(*alerts))[0]


def outcomes_of(served: Served, names: Sequence[str]) -> Counter[str | None]:
    """Of the runs for these services."""
    found = storm.verdict(served).by_name
    return Counter(outcome for name in names for outcome in found.get(name, []))


def marks(slack: SlackStandIn) -> Counter[str]:
    """How often each message was posted, by the mark that it carries for that very purpose."""
    return Counter(message.metadata["event_payload"]["mark"] for message in slack.messages["alerts"])


def threads(slack: SlackStandIn) -> int:
    return sum(1 for message in slack.messages["alerts"] if message.thread_ts is None)


# -- Slack --


@pytest.mark.parametrize("fault", SLACK_FAULTS)
def test_runs_go_on_while_slack_is_broken_and_their_story_is_told_once_afterwards(
    served: Served, slack: SlackStandIn, fault: Fault
) -> None:
    """A remedy must not wait for chat; and people who read the thread later must not read it twice."""
    broken, late = [f"b{number}" for number in range(RUNS)], ["late"]
    with FaultProxy(slack.base_url.split("/")[2]) as link:
        told = {
            "token": slack.token,
            "channel": slack.channel_id("alerts"),
            "base_url": f"http://{link.address}/api/",
            "post_interval": "20ms",
        }
        storm.configure(served, slack=told)
        served.start()
        link.turn(fault, delay=1.0)
        send(served, "Down", broken)
        storm.wait_until_all_ended(served, count=RUNS)
        is_taking = served.readiness()[0]
        services.wait_until(lambda: link.connections > 0 or fault is Fault.REFUSE, "it to have been tried")
        link.turn(Fault.NONE)
        send(served, "Down", late)
        storm.wait_until_all_ended(served, count=RUNS + 1)
        services.wait_until(lambda: nothing_waits(served), "everything to be told", limit=180)

    assert 200 == is_taking
    assert dict.fromkeys(broken + late, 1) == storm.effects_of(served)
    assert RUNS + 1 == threads(slack)
    assert {1} == set(marks(slack).values())


def nothing_waits(served: Served) -> bool:
    (chat,) = (check for check in served.readiness()[1]["checks"] if check["name"] == "chat")
    return bool(chat["detail"].startswith("0 waiting"))


# -- evidence --


@pytest.mark.parametrize("fault", EVIDENCE_FAULTS)
def test_what_cannot_be_asked_is_evidence_and_the_run_ends(served: Served, prometheus_url: str, fault: Fault) -> None:
    """Somebody who is woken wants to hear what is known, and that the rest could not be had."""
    services.requires("redis-server")
    with (
        services.redis_server() as redis,
        FaultProxy(redis.address) as to_redis,
        FaultProxy(prometheus_url.split("/")[2]) as to_prometheus,
    ):
        start(served, to_redis, to_prometheus, timeout="1s")
        send(served, "WantsRedis", ["r0"])
        send(served, "WantsPrometheus", ["p0"])
        services.wait_until(lambda: outcomes_of(served, ["r0", "p0"]) == {"told": 2}, "the first two to end")
        for link in (to_redis, to_prometheus):
            link.turn(fault)
        send(served, "WantsRedis", ["r1"])
        send(served, "WantsPrometheus", ["p1"])
        services.wait_until(lambda: outcomes_of(served, ["r1", "p1"]) == {"told": 2}, "the others to end as well")
        for link in (to_redis, to_prometheus):
            link.turn(Fault.NONE)
        send(served, "WantsRedis", ["r2"])
        send(served, "WantsPrometheus", ["p2"])
        services.wait_until(lambda: outcomes_of(served, ["r2", "p2"]) == {"told": 2}, "the last two to end")
        asked = to_redis.connections, to_prometheus.connections

    assert 200 == served.readiness()[0]
    assert asked[0] >= 2
    assert asked[1] >= 2


def test_remedies_are_carried_out_while_others_wait_for_evidence_that_hangs(
    served: Served, prometheus_url: str
) -> None:
    """One system that is away must not take the places of all runs: that outage would stop every other remedy."""
    services.requires("redis-server")
    asking_one = [f"p{number}" for number in range(150)]  # more than there are places
    asking_another = [f"r{number}" for number in range(20)]
    others = [f"o{number}" for number in range(10)]
    waiting = [*asking_one, *asking_another]
    with (
        services.redis_server() as redis,
        FaultProxy(redis.address) as to_redis,
        FaultProxy(prometheus_url.split("/")[2]) as to_prometheus,
    ):
        start(served, to_redis, to_prometheus, timeout="40s")
        for link in (to_redis, to_prometheus):
            link.turn(Fault.HANG)
        before = to_prometheus.connections, to_redis.connections
        send(served, "WantsPrometheus", asking_one)
        send(served, "WantsRedis", asking_another)
        services.wait_until(
            lambda: to_prometheus.connections > before[0] and to_redis.connections > before[1], "both to be asked"
        )
        send(served, "Down", others)
        services.wait_until(lambda: outcomes_of(served, others) == {"healed": 10}, "the others to be healed", limit=120)
        meanwhile = outcomes_of(served, waiting)
        for link in (to_redis, to_prometheus):
            link.turn(Fault.NONE)
        services.wait_until(
            lambda: outcomes_of(served, waiting) == {"told": len(waiting)}, "the rest to be told", limit=180
        )

    assert {None: len(waiting)} == meanwhile  # all of them were waiting still
    assert dict.fromkeys(others, 1) == storm.effects_of(served)


def start(served: Served, to_redis: FaultProxy, to_prometheus: FaultProxy, *, timeout: str) -> None:
    storm.configure(
        served,
        redis={"default": {"url": f"redis://{to_redis.address}", "timeout": timeout}},
        prometheus={"url": f"http://{to_prometheus.address}", "timeout": timeout, "raises_alerts": False},
    )
    (served.folder / "rules.yaml").write_text(RULES)
    served.start()
