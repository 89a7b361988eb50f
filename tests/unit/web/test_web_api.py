"""The API lists and shows runs and alerts as they are."""

import json
from dataclasses import replace

import pytest

from remediator.errors import StoreUnavailable
from remediator.model.facts import (
    Fact,
)
from remediator.model.ids import OwnerId
from remediator.model.occurrence import Doubt
from remediator.model.run import Run
from remediator.web.shown import show_occurrence, show_run
from tests.unit.web.a_run import (
    ASKED,
    ENDED,
    EXAMINED,
    HELD,
    NOW,
    OPEN,
    PLANNED,
    RUN,
    WAITING,
    Alerts,
    Runs,
    get,
    run_with,
)
from tests.unit.web.serving import Client

LISTS = {
    "": (50, None, False),
    "?limit=500&active=true": (500, None, True),
    "?outcome=healed&limit=1&active=false": (1, "healed", False),
    "?outcome=not+healed": (50, "not healed", False),
    "?outcome=resolved_by-itself": (50, "resolved by itself", False),
}


@pytest.mark.parametrize(("query", "asked"), LISTS.items())
async def test_runs_are_listed(client: Client, runs: Runs, query: str, asked: tuple[int, str | None, bool]) -> None:
    """The command line's `runs list`."""
    status, listed = await get(client, f"/api/v1/runs{query}")

    assert (200, [asked]) == (status, runs.asked)
    assert {
        "id": "d1m0k2s3abcdefgh",
        "rule": "octollm/service-down",
        "alertname": "Down",
        "created_at": "2026-01-31T12:00:00Z",
        "ended_at": None,
        "outcome": None,
        "wake_at": "2026-01-31T12:00:00Z",
        "stage": listed["runs"][0]["stage"],
        "owner": None,
    } == listed["runs"][0]
    assert listed["runs"][0]["stage"] in ("needs_a_person", "unknown")


BAD_LISTS = {
    "?limit=0": "limit is not a number from 1 to 500",
    "?limit=501": "limit is not a number from 1 to 500",
    "?limit=-1": "limit is not a number from 1 to 500",
    "?limit=" + "9" * 5000: "limit is not a number from 1 to 500",
    "?limit=%D9%A2": "limit is not a number from 1 to 500",
    "?active=maybe": "active is not true or false",
    "?waiting=1": "waiting is not true or false",
    "?unsettled=1": "unsettled is not true or false",
    "?outcome=great": "outcome is not one of healed, not healed",
    "?outcome=": "outcome is not one of healed, not healed",
    "?outcom=healed": "there is no parameter 'outcom'",
}


@pytest.mark.parametrize(
    ("facts", "expected"), [((EXAMINED, PLANNED, ASKED), 1), ((EXAMINED, PLANNED, HELD), 0)], ids=["asked", "held"]
)
async def test_what_waits_for_a_person_is_listed_alone(
    client: Client, runs: Runs, facts: tuple[Fact, ...], expected: int
) -> None:
    """It is looked for among all that are active: in a storm the one that waits is not among the newest few."""
    runs.known = {RUN.id: run_with(*facts)}
    _, listed = await get(client, "/api/v1/runs?waiting=true&limit=1")

    assert [(500, None, True)] == runs.asked
    assert expected == len(listed["runs"])


@pytest.mark.parametrize(("query", "what"), BAD_LISTS.items(), ids=[query[:14] for query in BAD_LISTS])
async def test_a_list_that_was_asked_wrongly_is_refused(client: Client, runs: Runs, query: str, what: str) -> None:
    """A mistyped filter that is ignored shows the wrong runs."""
    status, body = await get(client, f"/api/v1/runs{query}")

    assert (400, []) == (status, runs.asked)
    assert body["error"].startswith(what)


@pytest.mark.parametrize("wanted", [True, False])
async def test_what_is_to_be_settled_is_listed_alone(client: Client, runs: Runs, *, wanted: bool) -> None:
    """An operator goes through them after a crash; it is looked for in the store, as it is in what has ended, too."""
    status, _ = await get(client, f"/api/v1/runs?unsettled={str(wanted).lower()}")

    assert (200, wanted, [(50, None, False)]) == (status, runs.unsettled, runs.asked)


HAS_ENDED = run_with(EXAMINED, PLANNED, ENDED)


@pytest.mark.parametrize(
    ("run", "hosts", "expected"),
    [
        (RUN, {RUN.owner: "vm-3"}, {"id": RUN.owner, "host": "vm-3"}),
        (RUN, {OwnerId("other"): "vm-4"}, None),
        (HAS_ENDED, {RUN.owner: "vm-3"}, None),
    ],
    ids=["a process that lives", "one that is gone", "an ended run"],
)
async def test_the_process_that_has_a_run_is_shown(
    client: Client, runs: Runs, run: Run, hosts: dict[OwnerId, str], expected: dict[str, str] | None
) -> None:
    """With several it tells whose log to read, and where a program that was started runs."""
    runs.known[RUN.id], runs.hosts = run, hosts
    _, shown = await get(client, f"/api/v1/runs/{RUN.id}")
    _, listed = await get(client, "/api/v1/runs")

    assert expected == shown["owner"]
    assert hosts.get(RUN.owner) == (listed["runs"][0]["owner"] or {}).get("host")


async def test_a_held_run_is_listed_and_shown_as_held(client: Client, runs: Runs) -> None:
    """With the reason and the end of it; the time of a look that is over is not told as the next one."""
    runs.known[RUN.id] = run_with(EXAMINED, PLANNED, HELD)
    _, shown = await get(client, f"/api/v1/runs/{RUN.id}")
    _, listed = await get(client, "/api/v1/runs")

    assert "held" == listed["runs"][0]["stage"]
    assert ("drafted", None) == (shown["stage"], shown["waiting"])
    assert {
        "reason": "another run is acting on this target",
        "detail": "run x",
        "since": "2026-01-31T12:00:01Z",
        "until": None,
        "every": 5,
        "expires": "2026-01-31T13:00:00Z",
        "ends": None,
    } == shown["held"]


async def test_a_run_is_shown(client: Client) -> None:
    """The command line's `runs show`."""
    assert (200, {**show_run(WAITING), "held": None, "owner": None, "messages": []}) == await get(
        client, f"/api/v1/runs/{WAITING.id}"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unknown", "there is no run unknown"),
        *((name, "there is no such run") for name in ("x" * 65, "a%00b", "%C3%A4", "..%2f..", "'%20or%201=1")),
    ],
)
async def test_a_run_that_is_not_there_is_404(client: Client, name: str, said: str) -> None:
    """Whatever the name, also one that is no id; only what may be an id is repeated."""
    assert (404, {"error": said}) == await get(client, f"/api/v1/runs/{name}")


async def test_a_store_that_cannot_be_read_is_503(client: Client, runs: Runs) -> None:
    """Another try is worth it, and no detail of the store is shown."""
    runs.error = StoreUnavailable("disk /dev/sda1")
    status, body = await get(client, "/api/v1/runs/abc")

    assert (503, "the store cannot be written or read now") == (status, body["error"])


async def test_what_nobody_foresaw_is_500_without_a_detail(client: Client, runs: Runs) -> None:
    """The traceback belongs into the log."""
    runs.error = RuntimeError("secret detail")
    status, body = await get(client, "/api/v1/runs/abc")

    assert 500 == status
    assert "secret" not in json.dumps(body)


SHOWN = {
    "fingerprint": "2fc4c353ef13c5b1",
    "labels": {"alertname": "Down"},
    "annotations": {"summary": "it is down"},
    "startsAt": "2026-01-31T12:00:00Z",
    "opened_at": "2026-01-31T12:00:00Z",
    "heard_at": "2026-01-31T12:00:01Z",
    "closed_at": None,
    "doubtful": False,
}


@pytest.mark.parametrize(
    ("query", "asked"), [("", (50, False)), ("?limit=500&open=true", (500, True)), ("?open=false", (50, False))]
)
async def test_alerts_are_listed(client: Client, alerts: Alerts, query: str, asked: tuple[int, bool]) -> None:
    """An alert that no rule is for has no run, and is to be found all the same."""
    assert (200, {"alerts": [SHOWN]}) == await get(client, f"/api/v1/alerts{query}")
    assert [asked] == alerts.asked


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("?limit=0", "limit is not a number from 1 to 500"),
        ("?open=yes", "open is not true or false"),
        ("?opne=true", "there is no parameter 'opne'; there are limit and open"),
    ],
)
async def test_a_list_of_alerts_that_was_asked_wrongly_is_refused(
    client: Client, alerts: Alerts, query: str, what: str
) -> None:
    """A mistyped filter that is ignored shows the wrong alerts."""
    assert (400, {"error": what}) == await get(client, f"/api/v1/alerts{query}")
    assert [] == alerts.asked


async def test_an_alert_is_shown_by_its_fingerprint(client: Client) -> None:
    """`explain` asks for it, to say what the rules make of it now."""
    assert (200, SHOWN) == await get(client, f"/api/v1/alerts/{OPEN.fingerprint}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unknown", "there is no alert unknown"),
        *((name, "there is no such alert") for name in ("x" * 130, "a%00b", "a%0ab")),
    ],
)
async def test_an_alert_that_is_not_there_is_404(client: Client, name: str, said: str) -> None:
    """Whatever is asked for, only what may be a fingerprint is repeated."""
    assert (404, {"error": said}) == await get(client, f"/api/v1/alerts/{name}")


def test_an_alert_says_whether_it_is_doubtful() -> None:
    """It fires again with its old start, and it is not settled yet whether it really does."""
    assert show_occurrence(replace(OPEN, doubt=Doubt(RUN.alert, until=NOW)))["doubtful"]


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/api/v1/alerts/2fc4c353ef13c5b1"])
async def test_alerts_are_shown_to_the_admin_token_only(client: Client, alerts: Alerts, path: str) -> None:
    """Whoever may send alerts may not read those of others."""
    async with client.get(path, headers={"Authorization": "Bearer x"}) as answer:
        assert (401, []) == (answer.status, alerts.asked)
