"""What the client asks the real Alertmanager, whose matchers have a grammar of their own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.errors import Failed, Unavailable
from remediator.model.alert import Alert, AlertStatus, fingerprint_of
from remediator.model.matchers import Matcher
from remediator.settings import AlertmanagerSettings
from tests import services

_STARTED = "2026-01-02T03:04:05.123456789Z"


@pytest.fixture
async def client(alertmanager_url: str) -> AsyncIterator[AlertmanagerClient]:
    """Asks the test's own Alertmanager."""
    made = AlertmanagerClient(AlertmanagerSettings(url=alertmanager_url))
    yield made
    await made.close()


async def post(url: str, path: str, body: object) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/api/v2/{path}", json=body) as answer:
        assert 200 == answer.status, await answer.text()


async def fire(url: str, *alerts: Mapping[str, str], is_over: bool = False) -> None:
    ends = datetime.now(UTC) + (timedelta(seconds=-1) if is_over else timedelta(minutes=10))
    await post(
        url,
        "alerts",
        [
            {
                "labels": labels,
                "annotations": {"summary": "it is down"},
                "startsAt": _STARTED,
                "endsAt": ends.isoformat(),
                "generatorURL": "http://127.0.0.1/graph",
            }
            for labels in alerts
        ],
    )


async def silence(url: str, name: str, value: str) -> None:
    now = datetime.now(UTC)
    await post(
        url,
        "silences",
        {
            "matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "test",
            "comment": "test",
        },
    )


async def all_in_group(client: AlertmanagerClient, count: int) -> Sequence[Alert]:
    """The group takes in what was posted a moment later."""
    for _ in range(2000):
        found = await client.firing("remediator", {"alertname": "Down"})
        if len(found) == count:
            return found
    pytest.fail(f"the group never had {count} alerts")


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        'a "quoted" one',
        "back\\slash",
        "ends with \\",
        "two\nlines",
        "a\\nb",
        "{braces}",
        "}",
        "a,b=c",
        ' spaces " ',
        "tab\there",
        "ünïcödé ✓",
        "=~.*",
        "100% & more + ; ? #",
        "'single'",
        "`tick`",
    ],
)
async def test_an_alert_is_found_by_its_labels_whatever_they_hold(
    client: AlertmanagerClient, alertmanager_url: str, value: str
) -> None:
    """A value with a quote must neither hide its own alert nor match another."""
    labels = {"alertname": "Down", "path": value}

    assert not await client.is_firing(labels)
    await fire(alertmanager_url, labels)
    assert await client.is_firing(labels)
    assert not await client.is_firing({**labels, "path": f"{value}x"})


async def test_only_exactly_these_labels_count(client: AlertmanagerClient, alertmanager_url: str) -> None:
    """The matchers of a smaller set find larger ones too; those are other alerts."""
    await fire(alertmanager_url, {"alertname": "Down", "service": "web", "zone": "a"})

    assert not await client.is_firing({"alertname": "Down", "service": "web"})
    assert await client.is_firing({"alertname": "Down", "service": "web", "zone": "a", "empty": ""})


async def test_a_silenced_alert_still_fires(client: AlertmanagerClient, alertmanager_url: str) -> None:
    """Somebody silences while repairing; that heals nothing."""
    await fire(alertmanager_url, {"alertname": "Down"})
    await silence(alertmanager_url, "alertname", "Down")

    assert await client.is_firing({"alertname": "Down"})


async def test_a_resolved_alert_does_not_fire(client: AlertmanagerClient, alertmanager_url: str) -> None:
    """Alertmanager keeps it for a while all the same."""
    await fire(alertmanager_url, {"alertname": "Down"})
    await fire(alertmanager_url, {"alertname": "Down"}, is_over=True)

    assert not await client.is_firing({"alertname": "Down"})


async def test_the_alerts_of_a_group_are_as_a_delivery_would_hold_them(
    client: AlertmanagerClient, alertmanager_url: str
) -> None:
    """They stand in for the tail that a truncated delivery left out, so they must be the same values."""
    labels = {"alertname": "Down", "service": "web"}
    await fire(alertmanager_url, labels, {"alertname": "Other", "service": "web"})

    (found,) = await all_in_group(client, 1)

    assert (
        Alert(
            fingerprint=fingerprint_of(labels),
            status=AlertStatus.FIRING,
            labels=labels,
            annotations={"summary": "it is down"},
            starts_at=datetime(2026, 1, 2, 3, 4, 5, 123000, tzinfo=UTC),  # milliseconds are all that it tells
            generator_url="http://127.0.0.1/graph",
        )
        == found
    )


async def test_a_group_is_held_to_its_receiver_and_its_exact_labels(
    client: AlertmanagerClient, alertmanager_url: str
) -> None:
    """Another group's alerts belong to other runs."""
    await fire(alertmanager_url, {"alertname": "Down", "service": "web"})
    await all_in_group(client, 1)

    assert () == await client.firing("another", {"alertname": "Down"})
    assert () == await client.firing("remediator", {"alertname": "Down", "service": "web"})
    assert () == await client.firing("remediator", {})


async def test_a_silenced_alert_is_not_of_a_delivery(client: AlertmanagerClient, alertmanager_url: str) -> None:
    """It would not have been sent."""
    await fire(alertmanager_url, {"alertname": "Down", "n": "1"}, {"alertname": "Down", "n": "2"})
    await all_in_group(client, 2)
    await silence(alertmanager_url, "n", "2")

    (found,) = await all_in_group(client, 1)

    assert "1" == found.labels["n"]


async def test_a_receiver_is_its_name_and_no_pattern() -> None:
    """The API takes a regular expression: a dot must mean a dot."""
    services.requires("prometheus-alertmanager")
    with services.alertmanager(receiver="web.hook", route={"group_by": ["alertname"]}) as running:
        client = AlertmanagerClient(AlertmanagerSettings(url=running.address))
        await fire(running.address, {"alertname": "Down"})
        for _ in range(2000):
            if found := await client.firing("web.hook", {"alertname": "Down"}):
                break

        assert 1 == len(found)
        assert () == await client.firing("web.hoo.", {"alertname": "Down"})
        await client.close()


async def test_a_name_that_this_alertmanager_cannot_match_is_refused(client: AlertmanagerClient) -> None:
    """0.25 refuses such a matcher: that is no proof that nothing fires."""
    with pytest.raises(Failed, match="answered 400"):
        await client.is_firing({"alertname": "Down", "my.label": "x"})


async def test_an_alertmanager_that_ended_is_unavailable() -> None:
    """Never `nothing fires`."""
    services.requires("prometheus-alertmanager")
    with services.alertmanager() as running:
        client = AlertmanagerClient(AlertmanagerSettings(url=running.address))
        running.stop()

        with pytest.raises(Unavailable, match=r"alertmanager\.url"):
            await client.is_firing({"alertname": "Down"})
        with pytest.raises(Unavailable, match=r"alertmanager\.url"):
            await client.firing("remediator", {})

    await client.close()


async def test_a_silence_that_alertmanager_does_not_have_is_none(client: AlertmanagerClient) -> None:
    """It may have been started anew without its data: then nothing is left to end."""
    now = datetime.now(UTC)
    made = await client.make_silence(
        [Matcher("alertname", "Down")], starts_at=now, ends_at=now + timedelta(minutes=5), comment="test"
    )
    await client.end_silence(made)
    found = await client.find_silence(made)

    assert found is not None
    assert found.ends_at is not None
    assert found.ends_at <= datetime.now(UTC)
    assert await client.find_silence("3d1e8a4c-0000-4000-8000-000000000000") is None


async def test_it_says_since_when_it_runs(client: AlertmanagerClient) -> None:
    """One that was just started does not know yet what fires."""
    up_since = await client.up_since()

    assert timedelta(0) <= datetime.now(UTC) - up_since < timedelta(minutes=5)
