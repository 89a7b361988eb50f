"""Many escalations at once by the service as a process: a receiver in trouble, a kill, and few messages for all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import services
from tests.integration.delivering import body_of
from tests.integration.test_escalation import Pager, logs, receiving
from tests.served import Served

RULES = """
pack: web
rules:
  - name: seen
    summary: "{{ labels.service }} is down"
    match: ['alertname="Seen"']
    mode: observe
    escalate: [{after: 0s, to: pager}]
"""


@pytest.fixture
def pager() -> Iterator[Pager]:
    made = Pager(status=410)
    with receiving(made):
        yield made


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.end()


def heard(pager: Pager) -> list[str]:
    return [one["run"] for body in pager.told for one in body.get("problems", [body])]


def test_a_storm_reaches_a_receiver_that_was_away_in_few_messages(served: Served, pager: Pager) -> None:
    """Until then the list says that nobody was reached, and why; a kill in between loses none."""
    served.configure(escalation={"pager": {"webhook": pager.url, "limit": "4/4s"}})
    (served.folder / "rules.yaml").write_text(RULES)
    served.start()
    for number in range(40):
        body = body_of({"alertname": "Seen", "service": f"web-{number}"})
        assert 202 == served.ask("/api/v1/alerts", body=body)[0]
    services.wait_until(lambda: pager.tries > 2, "the receiver to be tried")
    services.wait_until(
        lambda: "and not delivered yet: it waits since" in served.command("escalation", "list").stdout, "the list"
    )
    before = json.loads(served.command("escalation", "list", "-o", "json").stdout)["escalations"]
    said = served.command("escalation", "list").stdout
    served.kill()
    pager.status = 200
    served.start()
    services.wait_until(lambda: len(set(heard(pager))) >= 40, "all to be told")
    services.wait_until(
        lambda: "not delivered" not in served.command("escalation", "list").stdout, "the list to know that they are"
    )
    after = json.loads(served.command("escalation", "list", "-o", "json").stdout)["escalations"]
    runs = [one["run"] for one in after]
    taken = served.command("escalation", "ack", *runs[:3], "--reason", "all of it")
    token = {"Authorization": f"Bearer {(served.folder / 'store' / 'admin-token').read_text().strip()}"}
    other = served.ask(f"/api/v1/runs/{runs[0]}/acknowledge", body=b'{"by": "bob"}', headers=token)

    assert {"waiting"} == {one["levels"][0]["state"] for one in before}
    assert "answered 410" in said
    assert {"delivered"} == {one["levels"][0]["state"] for one in after}
    assert sorted(runs) == sorted(set(heard(pager)))
    assert len(pager.told) < 20
    assert "several" in [body["event"] for body in pager.told]
    assert (0, 3) == (taken.returncode, taken.stdout.count("taken on by")), taken.stderr
    assert 409 == other[0], other
    assert b" has it since " in other[1]
    assert "s3cr3t-path" not in logs(served) + said
