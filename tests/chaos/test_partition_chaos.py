"""A partition: thousands of targets fire at once. With the limits as they are shipped it must not become the outage."""

import json
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import yaml

from remediator.model.limits import Limits
from remediator.model.message import PARENT
from remediator.model.outcome import Reason
from remediator.testing.slack import SlackStandIn, StoredMessage
from tests import services, storm
from tests.served import Served

log = logging.getLogger("chaos")

TARGETS = 625 * storm.SCALE  # `make chaos`: 5000
KINDS = 25  # of rules, where all alerts jump
PER_RULE, OVERALL = Limits().per_rule[0].count, Limits().overall[0].count
_IN_ONE = 50  # alerts of one delivery
_AT_ONCE = 4  # deliveries
_PATIENCE = 120.0 + 60 * storm.SCALE  # seconds


@dataclass
class Standing:
    """How the runs stand, as the store itself says; each by the service that its alert names."""

    runs: Counter[str] = field(default_factory=Counter)
    diagnosed: set[str] = field(default_factory=set)
    ended: Counter[str] = field(default_factory=Counter)
    """How often there was which outcome."""
    waits_for: Counter[str] = field(default_factory=Counter)
    """Why those are held that have not ended."""
    changes: int = 0
    """How many the journal has."""
    notices: list[str] = field(default_factory=list)
    """The keys of what is told that belongs to no run."""


def standing(served: Served) -> Standing:
    with reading(served) as db:
        rows = db.execute(
            "SELECT run.id, o.labels, run.outcome FROM run JOIN occurrence AS o ON o.id = run.occurrence"
        ).fetchall()
        evidence = dict(db.execute("SELECT run, body FROM fact WHERE kind = 'examined'"))
        held = dict(db.execute("SELECT run, body FROM fact WHERE kind = 'held' ORDER BY seq"))
        (changes,) = db.execute("SELECT count(*) FROM change WHERE counts").fetchone()
        notices = [key for (key,) in db.execute("SELECT key FROM post WHERE run IS NULL")]
    found = Standing(changes=changes, notices=notices)
    for run, labels, outcome in rows:
        service = json.loads(labels)["service"]
        found.runs[service] += 1
        if run in evidence and json.loads(evidence[run])["evidence"]["mark"]["ok"]:
            found.diagnosed.add(service)
        if outcome is not None:
            found.ended[outcome] += 1
        else:
            found.waits_for[json.loads(held[run])["reason"] if run in held else "nothing"] += 1
    return found


@contextmanager
def reading(served: Served) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(f"file:{served.folder}/store/remediator.sqlite3?mode=ro", uri=True, timeout=30)
    try:
        yield db
    finally:
        db.close()


def threads_of(served: Served, *, sent: bool = False) -> dict[str, set[str]]:
    """The keys of the replies in the thread of each service: of all that are told, or of those that were sent."""
    found: dict[str, set[str]] = {}
    with reading(served) as db:
        for labels, key, is_sent in db.execute(
            "SELECT o.labels, p.key, p.sent_version >= p.version FROM post AS p JOIN run ON run.id = p.run"
            " JOIN occurrence AS o ON o.id = run.occurrence"
        ):
            found.setdefault(json.loads(labels)["service"], set()).update({key} if is_sent or not sent else ())
    return {service: keys - {PARENT} for service, keys in found.items()}


def told_beside(found: Mapping[str, Set[str]], acted: Set[str]) -> set[str]:
    """Of what is told in the threads of those that have changed nothing."""
    return {key for service, keys in found.items() if service not in acted for key in keys}


def start(
    served: Served,
    slack: SlackStandIn,
    *,
    alertnames: Sequence[str] = ("Down",),
    limits: Mapping[str, str] | None = None,
    **settings: object,
) -> None:
    """The service as shipped: its own limits, its own pace in chat, and the same rule for each of these alerts."""
    told = {"token": slack.token, "channel": slack.channel_id("alerts"), "base_url": slack.base_url}
    storm.configure(served, limits=limits or {}, slack=told, **settings)
    pack = yaml.safe_load((served.folder / "rules.yaml").read_text())
    rule = pack["rules"][0]
    pack["rules"] = [{**rule, "name": name.lower(), "match": [f'alertname="{name}"']} for name in alertnames]
    (served.folder / "rules.yaml").write_text(yaml.safe_dump(pack))
    served.start()


def send(served: Served, alerts: Sequence[Mapping[str, str]], status: str = "firing") -> Counter[int]:
    """Deliver them, some in each delivery, several at once; how often each status was the answer."""
    bodies = [storm.body_of(*alerts[at : at + _IN_ONE]) for at in range(0, len(alerts), _IN_ONE)]
    if status != "firing":
        bodies = [body.replace(b'"status": "firing"', f'"status": "{status}"'.encode()) for body in bodies]
    with ThreadPoolExecutor(_AT_ONCE) as senders:
        return Counter(senders.map(lambda body: served.ask("/api/v1/alerts", body=body)[0], bodies))


def wait_for(served: Served, what: str, is_so: Callable[[Standing], bool]) -> Standing:
    """How the runs stand once it is so."""
    end = time.monotonic() + _PATIENCE
    while not is_so(found := standing(served)):
        if time.monotonic() > end:
            raise AssertionError(
                f"waited {_PATIENCE:g} s for {what}: {found.waits_for} {found.ended}\n{served.log()[-3000:]}"
            )
        storm.let_pass(1)
    return found


def storms_in(slack: SlackStandIn) -> list[StoredMessage]:
    """Each says in the end that new changes go on."""
    return [one for one in slack.messages["alerts"] if "A storm: new changes" in one.shown or "No storm" in one.shown]


def lift(served: Served, slack: SlackStandIn, scope: str) -> None:
    """As whoever has looked into it does."""
    done = served.command("resume", scope, "--storm")
    assert 0 == done.returncode, done.stderr
    services.wait_until(lambda: "No storm any more" in storms_in(slack)[0].shown, "the same message to say so")


def heal_beside(served: Served, name: str) -> tuple[float, float]:
    """Have an alert of the other rule; how long it takes until its remedy is done, and until all of that is told."""
    began = time.monotonic()
    assert {202} == set(send(served, [{"alertname": "Other", "service": name}]))
    services.wait_until(lambda: name in storm.effects_of(served), "the other rule to act by itself", limit=30)
    done = time.monotonic() - began
    services.wait_until(lambda: "ended.1" in threads_of(served, sent=True)[name], "all to be told", limit=30)
    return done, time.monotonic() - began


def minor(served: Served) -> float:
    return served.series()["remediator_outbox_minor"]


def fall_ill(served: Served, alerts: Sequence[Mapping[str, str]]) -> Standing:
    """Have all fire at once, each accepted at the first try; how it stands when all are looked into and wait."""
    began = time.monotonic()
    assert {202} == set(send(served, alerts))
    taken = time.monotonic()
    found = wait_for(served, "all to be held", lambda now: now.waits_for[Reason.STORM] == len(alerts))
    log.info("%d alerts taken in %.1f s, all looked into and held %.1f s later; RSS %.0f, highest %.0f MiB",
             len(alerts), taken - began, time.monotonic() - taken, *storm.memory_of(served))  # fmt: skip
    return found


def wait_until_used_up(served: Served, budget: int) -> Standing:
    """How it stands when all have looked again, and as many have gone on as may."""
    if storm.SCALE == 1:  # after a start all look at once, else within two minutes
        served.stop()
        served.start()

    def is_used_up(now: Standing) -> bool:
        return now.waits_for == {Reason.BUDGET_USED: TARGETS - budget} and now.ended == {"healed": budget}

    return wait_for(served, "all to have looked again", is_used_up)


def is_idle(served: Served) -> bool:
    series = served.series()
    return series["remediator_runs_waiting"] == series["remediator_runs_active"] == 0


def none_is_lost(found: Standing, names: Sequence[str]) -> bool:
    """Each has one run, and that has looked into it."""
    return found.runs == dict.fromkeys(names, 1) and found.diagnosed == set(names)


def test_many_targets_of_one_rule_change_little_are_told_once_and_none_is_lost(
    served: Served, slack: SlackStandIn
) -> None:
    """Not one of its remedies is for that. Whoever ends the storm lets no more go than at any other time."""
    names = [f"s{number}" for number in range(TARGETS)]
    alerts = [{"alertname": "Down", "service": name} for name in names]
    start(served, slack)
    held = fall_ill(served, alerts)
    in_storm = storm.effects_of(served)
    services.wait_until(lambda: len(storms_in(slack)) == 1, "the storm to be told, before all threads", limit=30)

    in_threads = told_beside(threads_of(served), set())

    served.kill()  # all of them look again as soon as it is back
    served.start()
    services.wait_until(lambda: is_idle(served), "all to have looked again", limit=_PATIENCE)
    back, after_restart = standing(served), storm.effects_of(served)

    lift(served, slack, "rule:web/down")
    gone_on = wait_until_used_up(served, PER_RULE)
    acted = storm.effects_of(served)

    assert {202} == set(send(served, alerts[: TARGETS // 2], "resolved"))
    served.stop()
    start(served, slack, pipeline={"hold_timeout": "1s"})  # an hour passes quickly
    over = wait_for(served, "all to end", lambda now: now.ended.total() == TARGETS)
    log.info("changed %d; highest RSS %.0f MiB; %s", acted.total(), storm.memory_of(served)[1], dict(over.ended))

    assert [True] * 4 == [none_is_lost(found, names) for found in (held, back, gone_on, over)]
    assert not in_storm
    assert not after_restart
    assert held.waits_for == back.waits_for
    assert PER_RULE == gone_on.changes == over.changes
    assert [1] * PER_RULE == list(acted.values())
    assert acted == storm.effects_of(served)
    assert not in_threads
    assert {"ended.1", "closed.1"} >= told_beside(threads_of(served), acted.keys())
    assert {"healed", "resolved by itself", "expired"} == set(over.ended)
    assert 1 == len(over.notices) == len(storms_in(slack))


def test_what_is_not_in_the_storm_is_told_and_done_within_seconds(served: Served, slack: SlackStandIn) -> None:
    """Chat is behind by as many seconds as there are targets, and that is no reason to gate the rest, or to hide it."""
    alerts = [{"alertname": "Down", "service": f"s{number}"} for number in range(TARGETS)]
    start(served, slack, alertnames=["Down", "Other"], limits={"tell_within": "5s"})
    fall_ill(served, alerts)
    services.wait_until(lambda: len(storms_in(slack)) == 1, "the storm to be told, before all threads", limit=30)
    services.wait_until(lambda: minor(served) > TARGETS / 2, "the backlog to be counted, which is done now and then")
    behind, others = minor(served), ("db1", "db2", "db3")

    storm.let_pass(6)  # so that the backlog has waited for longer than `tell_within`
    for name in others:
        log.info("with %d messages behind: done in %.1f s, told in %.1f s", behind, *heal_beside(served, name))
    found, threads = standing(served), threads_of(served)
    replies = [message for message in slack.messages["alerts"] if message.thread_ts is not None]

    assert TARGETS / 2 < behind <= TARGETS
    assert dict.fromkeys(others, 1) == storm.effects_of(served)
    assert ({"healed": 3}, TARGETS) == (dict(found.ended), found.waits_for[Reason.STORM])
    assert 1 == len(found.notices) == len(storms_in(slack))
    assert not told_beside(threads, set(others))
    assert sum(len(threads[name]) for name in others) == len(replies)


def test_a_jump_of_all_alerts_is_one_storm_and_changes_no_more_than_all_rules_may(
    served: Served, slack: SlackStandIn
) -> None:
    """Each rule by itself has reason to act, and all together would be the outage."""
    names = [f"s{number}" for number in range(TARGETS)]
    kinds = [f"Kind{number}" for number in range(KINDS)]
    alerts = [{"alertname": kinds[number % KINDS], "service": name} for number, name in enumerate(names)]
    start(served, slack, alertnames=kinds)
    held = fall_ill(served, alerts)
    in_storm = storm.effects_of(served)
    services.wait_until(lambda: len(storms_in(slack)) == 1, "the storm to be told, before all threads", limit=30)

    lift(served, slack, "everything")
    gone_on = wait_until_used_up(served, OVERALL)
    log.info("changed %d; highest RSS %.0f MiB", gone_on.changes, storm.memory_of(served)[1])

    assert [True] * 2 == [none_is_lost(found, names) for found in (held, gone_on)]
    assert not in_storm
    assert OVERALL == gone_on.changes
    assert [1] * OVERALL == list(storm.effects_of(served).values())
    assert 1 == len(gone_on.notices) == len(storms_in(slack))
