"""The real Alertmanager at its worst: a pair, a return, an outage of ours, a large group, ten thousand at once."""

import json
import logging
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import services, storm
from tests.served import Served

log = logging.getLogger("chaos")

ALONE = {"group_by": ["..."]}
A_DAY = timedelta(days=1)
_AT_ONCE = 1000  # alerts of one post to Alertmanager


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    services.requires("prometheus-alertmanager")
    made = Served(tmp_path)
    yield made
    made.end()


def names(count: int) -> list[str]:
    return [f"a{number}" for number in range(count)]


def tell(
    senders: Sequence[services.Service],
    *alerts: Mapping[str, str],
    starts_at: datetime | None = None,
    lasts: timedelta = A_DAY,
) -> None:
    """Have alerts fire in each of the Alertmanagers, as Prometheus does."""
    now = datetime.now(UTC)
    whole = [
        {
            "labels": dict(one),
            "startsAt": (starts_at or now).isoformat(),
            "endsAt": (now + lasts).isoformat(),
            "generatorURL": "http://127.0.0.1/graph",
        }
        for one in alerts
    ]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for start in range(0, len(whole), _AT_ONCE):
        body = json.dumps(whole[start : start + _AT_ONCE]).encode()
        for sender in senders:
            request = urllib.request.Request(
                f"{sender.address}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}
            )
            opener.open(request, timeout=60).close()


def seen(*wanted: str) -> list[dict[str, str]]:
    return [{"alertname": "Seen", "n": name} for name in wanted]


def hook(served: Served) -> str:
    return f"{served.url}/api/v1/alerts"


def accepted(served: Served) -> float:
    """How many deliveries were answered 202 since the service started."""
    return served.series().get('remediator_deliveries_total{status="202"}', 0)


@contextmanager
def pair(served: Served) -> Iterator[list[services.Service]]:
    """Two Alertmanagers in cluster mode that do not wait for each other's word that something was sent.

    In the field the second waits for 15 s; a link between them that is slower than that has the same effect.
    """
    ports = [services.free_port(), services.free_port()]
    with ExitStack() as started:
        found = []
        for own, other in (ports, ports[::-1]):
            cluster = (
                *(f"--cluster.listen-address=127.0.0.1:{own}", f"--cluster.advertise-address=127.0.0.1:{own}"),
                *(f"--cluster.peer=127.0.0.1:{other}", "--cluster.peer-timeout=0s"),
                *("--cluster.gossip-interval=100ms", "--cluster.settle-timeout=3s", "--cluster.pushpull-interval=1s"),
            )
            running = services.alertmanager(webhook=hook(served), route=ALONE, cluster=cluster)
            found.append(started.enter_context(running))
        services.wait_until(lambda: [peers_of(sender) for sender in found] == [2, 2], "the two to find each other")
        yield found


def peers_of(sender: services.Service) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{sender.address}/api/v2/status", timeout=10) as answer:
        return len(json.load(answer)["cluster"].get("peers", []))


def test_what_a_pair_sends_twice_is_done_once(served: Served) -> None:
    """Two replicas are how Alertmanager is meant to be run, and each alert can come from both, at the same moment."""
    count = 200 * storm.SCALE
    storm.configure(served)
    served.start()
    with pair(served) as senders:
        tell(senders, *({"alertname": "Down", "service": name} for name in names(count)))
        services.wait_until(lambda: accepted(served) >= 1.5 * count, "both to have sent", limit=120)
        found = storm.wait_until_all_ended(served, count=count)
        log.info("a pair: %d deliveries of %d alerts; outcomes %s", accepted(served), count, dict(found.outcomes))

    assert dict.fromkeys(names(count), 1) == found.runs
    assert {"healed": count} == found.outcomes
    assert dict.fromkeys(names(count), 1) == storm.effects_of(served)


@pytest.mark.parametrize("is_asked", [True, False], ids=["asked", "not-asked"])
def test_an_alert_that_expires_and_returns_with_the_same_start_is_not_lost(served: Served, is_asked: bool) -> None:
    """Prometheus could not reach Alertmanager for a while: the outage goes on, and looks like a late duplicate.

    It is decided by asking that Alertmanager, or, where there is none to ask, by its being sent again.
    """
    route = {"group_by": ["n"], "repeat_interval": "2s"}
    with services.alertmanager(webhook=hook(served), route=route) as sender:
        asked = {"alertmanager": {"url": sender.address}} if is_asked else {}
        storm.configure(served, occurrences={"doubt_window": "3s"}, **asked)
        served.start()
        began = datetime.now(UTC) - timedelta(minutes=5)
        tell([sender], *seen("web"), starts_at=began, lasts=timedelta(seconds=2))
        services.wait_until(lambda: rulings(served, "resolved") == 1, "the alert to expire")
        tell([sender], *seen("web"), starts_at=began)
        services.wait_until(lambda: storm.verdict(served).runs["web"] == 2, "the alert to have its second run")
        found = storm.wait_until_all_ended(served, count=2)
        doubted = rulings(served, "doubtful")

    assert {"web": 2} == found.runs
    assert doubted >= 1


def rulings(served: Served, kind: str) -> float:
    return served.series().get(f'remediator_alerts_total{{ruling="{kind}"}}', 0)


def test_what_fires_while_the_receiver_is_down_comes_when_it_is_back(served: Served) -> None:
    """Alertmanager tries again for as long as `group_interval`, and with the next one; some of it was taken before."""
    storm.configure(served)
    served.start()
    with services.alertmanager(webhook=hook(served), route=ALONE) as sender:
        before, during = names(20), [f"b{number}" for number in range(60)]
        tell([sender], *seen(*before))
        services.wait_until(lambda: storm.verdict(served).runs.total() == 20, "the first alerts to be taken")
        served.kill()
        tell([sender], *seen(*during))
        storm.let_pass(8 if storm.SCALE == 1 else 25 * storm.SCALE)
        failed = failures_of(sender)
        served.start()
        began = time.monotonic()
        found = storm.wait_until_all_ended(served, count=80, limit=180)
        log.info("receiver down: %d attempts had failed, all taken %.1f s later", failed, time.monotonic() - began)

    assert failed > len(during)
    assert dict.fromkeys(before + during, 1) == found.runs


def failures_of(sender: services.Service) -> float:
    """How many requests to its receiver have failed."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{sender.address}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    name = 'alertmanager_notification_requests_failed_total{integration="webhook"}'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_group_of_five_thousand_alerts_is_one_delivery_and_a_run_for_each(served: Served) -> None:
    """It has no limit of its own, and one that is refused for its size is sent again for ever."""
    count = 5000 * storm.SCALE
    storm.configure(served)
    served.start()
    with services.alertmanager(webhook=hook(served), route={"group_by": ["alertname"], "group_wait": "3s"}) as sender:
        before, _ = storm.memory_of(served)
        tell([sender], *seen(*names(count)))
        services.wait_until(lambda: storm.verdict(served).runs.total() >= count, "every alert to be taken", limit=120)
        deliveries = accepted(served)
        found = storm.wait_until_all_ended(served, count=count, limit=300)
        log.info("a group of %d in %d deliveries: RSS %.0f → %.0f, highest %.0f MiB", count, deliveries, before,
                 *storm.memory_of(served))  # fmt: skip

    assert dict.fromkeys(names(count), 1) == found.runs
    assert {"told": count} == found.outcomes
    assert deliveries < 5


def test_ten_thousand_alerts_at_once_each_by_itself_have_a_run_each(served: Served) -> None:
    """A data centre fails, and nothing is grouped: ten thousand requests, as fast as Alertmanager can send them."""
    count = 10_000
    storm.configure(served)
    served.start()
    with services.alertmanager(webhook=hook(served), route={**ALONE, "group_interval": "30s"}) as sender:
        idle, _ = storm.memory_of(served)
        tell([sender], *seen(*names(count)))
        services.wait_until(lambda: storm.verdict(served).runs.total() >= count, "every alert to be taken", limit=180)
        at_the_end, highest_in_burst = storm.memory_of(served)
        found = storm.wait_until_all_ended(served, count=count, limit=300)
        refused = sum(count for name, count in served.series().items() if 'deliveries_total{status="5' in name)
        log.info("a burst of %d: all taken in %.1f s, %d answered 5xx", count, storm.span_of(served), refused)
        log.info("RSS idle %.0f, in the burst up to %.0f, at its end %.0f, when all had ended %.0f, highest %.0f MiB",
                 idle, highest_in_burst, at_the_end, *storm.memory_of(served))  # fmt: skip

    assert dict.fromkeys(names(count), 1) == found.runs
    assert {"told": count} == found.outcomes
    assert 200 == served.readiness()[0]
    assert storm.memory_of(served)[1] < 600  # a leak of whole bodies, or a task for each, would be far more
