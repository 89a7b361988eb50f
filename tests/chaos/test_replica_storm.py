"""Two processes on one PostgreSQL in a storm: what one of them counts, the other heeds, and people hear of it once."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.testing.slack import SlackStandIn, StoredMessage
from tests import services, storm
from tests.pair import Replica, pair, start

TARGETS = 200 * storm.SCALE
NAMES = [f"s{number}" for number in range(TARGETS)]
PER_RULE, STORM = Limits().per_rule[0].count, Limits().storm.count
_AT_ONCE = 8  # deliveries
_QUERY = """
SELECT json_build_array(run.id, o.labels::json ->> 'service', run.outcome, (
    SELECT body::json ->> 'reason' FROM fact WHERE fact.run = run.id AND kind = 'held' ORDER BY seq DESC LIMIT 1))
FROM run JOIN occurrence AS o ON o.id = run.occurrence
"""


@dataclass
class Standing:
    """How the runs stand, as the store itself says."""

    runs: Counter[str] = field(default_factory=Counter)
    """How many each service has."""
    ended: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    """Why those wait that have not ended."""


@dataclass
class Desk:
    """The two, with the limits and the pace in chat that are shipped."""

    one: Replica
    two: Replica
    slack: SlackStandIn
    database: services.Postgres

    @property
    def both(self) -> tuple[Replica, Replica]:
        return self.one, self.two

    def start(self, **settings: object) -> None:
        told = {
            "token": self.slack.token,
            "channel": self.slack.channel_id("alerts"),
            "base_url": self.slack.base_url,
        }
        url = f"postgresql://postgres@{self.database.address}/remediator"
        for one in self.both:
            store = {"url": url, "directory": str(one.folder / "store")}
            storm.configure(one, limits={}, slack=told, store=store, **settings)
        start(self.both)

    def stop(self) -> None:
        for one in self.both:
            assert 0 == one.stop(), one.log()

    def send(self, names: Sequence[str], status: str = "firing") -> None:
        """A delivery for each, to one and the other by turns, several at once, until each is accepted."""

        def deliver(place: int) -> None:
            body = storm.body_of({"alertname": "Down", "service": names[place]})
            body = body.replace(b'"status": "firing"', f'"status": "{status}"'.encode())
            one = self.both[place % 2]
            services.wait_until(lambda: one.ask("/api/v1/alerts", body=body)[0] == 202, "a delivery to be accepted")

        with ThreadPoolExecutor(_AT_ONCE) as senders:
            list(senders.map(deliver, range(len(names))))

    def standing(self) -> Standing:
        found = Standing()
        for _, service, outcome, held in self._rows(_QUERY):
            found.runs[str(service)] += 1
            if outcome is not None:
                found.ended[outcome] += 1
            else:
                found.held[str(held)] += 1
        return found

    def notices(self) -> int:
        """How many messages belong to no run."""
        return len(self._rows("SELECT json_build_array(key) FROM post WHERE run IS NULL"))

    def changes(self) -> int:
        """How many the journal has."""
        return len(self._rows("SELECT json_build_array(run) FROM change WHERE counts"))

    def _rows(self, query: str) -> list[list[str | None]]:
        printed = self.database.sql("\\connect remediator", "SET search_path = remediator", query)
        return [json.loads(line) for line in printed.splitlines() if line.startswith("[")]

    def look_again(self) -> None:
        """Have all that is held look again at once, at either; by itself it does so within two minutes."""
        update = "UPDATE run SET wake_at = 0 WHERE outcome IS NULL"
        self.database.sql("\\connect remediator", "SET search_path = remediator", update)

    def until(self, what: str, is_so: Callable[[Standing], bool]) -> Standing:
        end = time.monotonic() + 60 * storm.SCALE
        while not is_so(found := self.standing()):
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what}: {found.ended} {found.held}\n{self.two.log()[-3000:]}")
            storm.let_pass(0.3)
        return found

    def effects(self) -> Counter[str]:
        """How often the remedy was carried out for each, by whichever of the two."""
        return storm.effects_of(self.one) + storm.effects_of(self.two)

    def told(self) -> list[StoredMessage]:
        shown = [(one, one.shown) for one in self.slack.messages["alerts"]]
        return [one for one, text in shown if "A storm: new changes" in text or "No storm" in text]


@pytest.fixture
def desk(tmp_path: Path, slack: SlackStandIn, database: services.Postgres) -> Iterator[Desk]:
    with pair(tmp_path) as (one, two):
        yield Desk(one, two, slack, database)


def test_a_storm_over_two_processes_changes_no_more_than_one_process_would(desk: Desk) -> None:
    """Its leader dies in the middle of it; whoever ends the storm, at either, lets no more go than the budget has."""
    desk.start()
    desk.send(NAMES)
    held = desk.until("all to be held", lambda now: now.ended.total() + now.held[Reason.STORM] == TARGETS)
    before = desk.effects()
    services.wait_until(lambda: len(desk.told()) == 1, "the storm to be told")

    desk.one.kill()
    services.wait_until(lambda: desk.two.series()["remediator_leader"] == 1, "the other to lead")
    within, at_end = desk.effects(), desk.standing()
    lifted = desk.two.command("resume", "rule:web/down", "--storm")
    assert 0 == lifted.returncode, lifted.stderr
    services.wait_until(lambda: "No storm any more" in desk.told()[0].shown, "the same message to say so")

    desk.one.start()
    desk.look_again()
    used_up = PER_RULE, TARGETS - PER_RULE
    gone_on = desk.until(
        "as many to go on as may", lambda now: (now.ended["healed"], now.held[Reason.BUDGET_USED]) == used_up
    )
    acted = desk.effects()

    desk.send(NAMES[: TARGETS // 2], "resolved")
    desk.stop()
    desk.start(pipeline={"hold_timeout": "1s"})  # an hour passes quickly
    desk.look_again()
    over = desk.until("all to end", lambda now: now.ended.total() == TARGETS)

    assert [dict.fromkeys(NAMES, 1)] * 4 == [found.runs for found in (held, at_end, gone_on, over)]
    assert before.total() < STORM
    assert before == within
    assert [1] * PER_RULE == list(acted.values())
    assert PER_RULE == desk.changes()
    assert acted == desk.effects()
    assert {"healed", "resolved by itself", "expired"} == set(over.ended)
    assert 1 == desk.notices() == len(desk.told())
