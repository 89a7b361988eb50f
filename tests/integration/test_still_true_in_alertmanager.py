"""Whether an alert still fires, is silenced or inhibited, as a real Alertmanager tells it."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from remediator.clients.alertmanager import CREATED_BY, AlertmanagerClient, AlertState
from remediator.errors import Failed, Unavailable
from remediator.kit.clock import SystemClock
from remediator.model.ids import RunId
from remediator.model.matchers import parse_matcher
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Hold, Refuse
from remediator.pipeline.guards.asking import Asking
from remediator.pipeline.guards.dependencies import Dependencies
from remediator.pipeline.guards.guard import Review
from remediator.pipeline.guards.still_true import StillTrue
from remediator.settings import AlertmanagerSettings
from tests import services
from tests.unit.pipeline.guards.probing import DOWN, a_case, review

INHIBITING = [
    {
        "source_matchers": ['alertname="NodeDown"'],
        "target_matchers": ['alertname="Down"'],
        "equal": ["node"],
    }
]
HERE = {**DOWN, "node": "n1"}


class Nothing:
    """A store that has nothing open but the run's own alert."""

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        raise AssertionError("the rule does not group")

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        return ()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    services.requires("prometheus-alertmanager")
    with services.alertmanager(inhibit=INHIBITING) as running:
        yield running.address


@pytest.fixture
async def client(url: str) -> AsyncIterator[AlertmanagerClient]:
    made = AlertmanagerClient(AlertmanagerSettings(url=url))
    yield made
    await made.close()


async def post(url: str, path: str, body: object) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/api/v2/{path}", json=body) as answer:
        assert 200 == answer.status, await answer.text()


async def fire(url: str, labels: Mapping[str, str], *, is_over: bool = False) -> None:
    now = datetime.now(UTC)
    ends = now + (timedelta(seconds=-1) if is_over else timedelta(minutes=10))
    starts = now - timedelta(minutes=1)
    await post(url, "alerts", [{"labels": labels, "startsAt": starts.isoformat(), "endsAt": ends.isoformat()}])


async def silence(url: str, *, by: str, comment: str = "moving the disks") -> None:
    now = datetime.now(UTC)
    matcher = {"name": "alertname", "value": "Down", "isRegex": False, "isEqual": True}
    until = (now + timedelta(hours=1)).isoformat()
    said = {"matchers": [matcher], "startsAt": now.isoformat(), "endsAt": until, "createdBy": by, "comment": comment}
    await post(url, "silences", said)


async def still_true(client: AlertmanagerClient) -> Review:
    guard = StillTrue(Nothing(), Asking(client, SystemClock()))
    return await review(guard, a_case(labels=HERE))


async def settled(client: AlertmanagerClient, expected: type) -> Review:
    """What the guard says once Alertmanager has worked out what mutes the alert."""
    for _ in range(2000):
        said = await still_true(client)
        if isinstance(said, expected):
            return said
    pytest.fail(f"it never became {expected.__name__}: {said}")


async def test_it_fires_until_it_resolves(client: AlertmanagerClient, url: str) -> None:
    """Right before each step."""
    assert AlertState(fires=False) == await client.state_of(HERE)
    await fire(url, HERE)
    assert AlertState(fires=True) == await client.state_of(HERE)
    assert Allow() == await still_true(client)
    await fire(url, HERE, is_over=True)

    said = await still_true(client)

    assert isinstance(said, Refuse)
    assert Reason.NOT_FIRING == said.reason


async def test_a_silence_of_a_person_holds_and_one_of_ours_does_not(client: AlertmanagerClient, url: str) -> None:
    """Who has made it is what tells them apart."""
    await fire(url, HERE)
    await silence(url, by=CREATED_BY)
    for _ in range(2000):
        if (await client.state_of(HERE)).silenced_by:
            break
    assert Allow() == await still_true(client)

    await silence(url, by="ann")
    said = await settled(client, Hold)

    assert isinstance(said, Hold)
    assert Reason.SILENCED == said.reason
    assert said.detail.startswith("silenced by ann until 20")
    assert said.detail.endswith("“moving the disks”")


async def test_a_secret_in_a_silence_is_not_told(client: AlertmanagerClient, url: str) -> None:
    """Its comment is shown in chat."""
    await fire(url, HERE)
    await silence(url, by="ann", comment="login with password=hunter2hunter2")

    said = await settled(client, Hold)

    assert isinstance(said, Hold)
    assert "hunter2" not in said.detail


async def test_an_inhibited_alert_holds_while_its_cause_fires(client: AlertmanagerClient, url: str) -> None:
    """The node is down, and everything on it."""
    await fire(url, HERE)
    await fire(url, {"alertname": "NodeDown", "node": "n1"})

    said = await settled(client, Hold)

    assert isinstance(said, Hold)
    assert "inhibited by 1 other alert as long as that fires" == said.detail
    await fire(url, {"alertname": "NodeDown", "node": "n1"}, is_over=True)
    assert Allow() == await settled(client, Allow)


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        (['alertname="PostgreSQLDown"'], True),
        (['alertname=~"RedisDown|PostgreSQLDown"', 'note=~"a .*"'], True),
        (['alertname="PostgreSQLDown"', 'note="a \\"quoted\\" \\\\ one"'], True),
        (['alertname="PostgreSQLDown"', 'note!="x"'], True),
        (['alertname="PostgreSQLDown"', 'note="b"'], False),
        (['alertname="RedisDown"'], False),
    ],
    ids=["equal", "pattern", "quoted", "unequal", "another label", "another name"],
)
async def test_a_dependency_is_asked_for_in_alertmanagers_own_grammar(
    client: AlertmanagerClient, url: str, match: list[str], holds: bool
) -> None:
    """What our matchers mean and what Alertmanager makes of their text must be the same."""
    labels = {"alertname": "PostgreSQLDown", "note": 'a "quoted" \\ one'}
    await fire(url, labels)
    guard = Dependencies(Nothing(), Asking(client, SystemClock()))

    said = await review(guard, a_case(rule={"depends": [{"match": match}]}))

    assert holds is isinstance(said, Hold)
    assert holds is all(parse_matcher(text).matches(labels) for text in match)


async def test_what_it_does_not_know_or_refuses_is_an_error(client: AlertmanagerClient) -> None:
    """Neither is `nothing is silenced`, nor `nothing fires`."""
    with pytest.raises(Unavailable, match="404"):
        await client.silence("00000000-0000-4000-8000-000000000000")
    with pytest.raises(Unavailable):
        await client.silence("../status")
    with pytest.raises(Failed, match="400"):
        await client.firing_like(["{"])
