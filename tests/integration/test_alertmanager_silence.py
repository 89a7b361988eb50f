"""`alertmanager.silence` in a real Alertmanager: made once, bounded, and ended again."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from remediator.actions.alertmanager import Silenced, SilenceParams, silence, silence_of
from remediator.clients import Clients
from remediator.clients.alertmanager import CREATED_BY
from remediator.errors import Conflicted, Failed, NotAllowed
from remediator.model.ids import StepId
from remediator.model.remains import Now
from remediator.plugins import ActionContext
from remediator.settings import AlertmanagerSettings, Settings
from remediator.testing.clock import VirtualClock
from tests.integration.planned import Step

MINUTE = timedelta(minutes=1)
DOWN = {"alertname": "Down", "service": 'we"b\\\n'}


class Desk:
    """Plans and carries out steps; reads and changes silences as a person would."""

    def __init__(self, url: str, *, longest: timedelta = timedelta(hours=4)) -> None:
        self.url = url
        self.clients = Clients(Settings(alertmanager=AlertmanagerSettings(url=url, longest_silence=longest)))
        self.clock = VirtualClock(datetime.now(UTC))

    async def plan(self, **given: Any) -> Step[Silenced]:
        params = SilenceParams.model_validate(given)
        bare = ActionContext(self.clients, self.clock, StepId("remediate.0.0"), self.clock.now() + MINUTE)
        return Step(silence, Silenced, replace(bare, targets=await silence_of(bare, params)), params)

    async def silences(self) -> list[dict[str, Any]]:
        """Those that are not over."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v2/silences") as answer:
            return [one for one in await answer.json() if one["status"]["state"] != "expired"]

    async def post(self, body: dict[str, Any]) -> None:
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/api/v2/silences", json=body) as answer:
            assert 200 == answer.status, await answer.text()


@pytest.fixture
async def desk(alertmanager_url: str) -> AsyncIterator[Desk]:
    made = Desk(alertmanager_url)
    yield made
    await made.clients.close()


async def test_a_silence_is_made_and_ended_again(desk: Desk) -> None:
    """With what any value of a label may be; ended a second time, nothing is done."""
    step = await desk.plan(labels=DOWN, duration="30m", comment="restarting it")
    done, made, is_set = await step.do(), await desk.silences(), await step.remains()
    first, second = await step.put_back(), await step.put_back()

    assert [(CREATED_BY, "restarting it", done.id)] == [(one["createdBy"], one["comment"], one["id"]) for one in made]
    assert DOWN == {one["name"]: one["value"] for one in made[0]["matchers"]}
    assert timedelta(minutes=29) < datetime.fromisoformat(made[0]["endsAt"]) - datetime.now(UTC) < 31 * MINUTE
    assert (True, Now.AS_SET) == (done.made, is_set)
    assert done.brief().startswith("silenced until ")
    assert [] == await desk.silences()
    assert (True, False, Now.AS_BEFORE) == (first.changed, second.changed, await step.remains())


async def test_ours_is_found_again_before_another_is_made(desk: Desk) -> None:
    """A step that is repeated after a crash must not pile up silences; it lasts as long as was asked for last."""
    first = await (await desk.plan(labels=DOWN, duration="30m")).do()
    await (await desk.plan(labels={"alertname": "Down"}, duration="30m")).do()
    shorter = await (await desk.plan(labels=DOWN, duration="10m")).do()
    longer = await (await desk.plan(labels=dict(reversed(DOWN.items())), duration="60m")).do()
    ours = [one for one in await desk.silences() if len(one["matchers"]) == 2]

    assert [longer.id] == [one["id"] for one in ours]
    assert (first.id, False, False) == (shorter.id, shorter.made, longer.made)
    assert 59 * MINUTE < longer.ends_at - datetime.now(UTC) < 61 * MINUTE
    assert shorter.brief().startswith("it was silenced already, now until ")


async def test_an_extended_silence_gets_its_old_end_back(desk: Desk) -> None:
    """It was somebody else's run that wanted it that long."""
    first = await (await desk.plan(labels=DOWN, duration="30m")).do()
    step = await desk.plan(labels=DOWN, duration="60m")
    await step.do()
    is_set = await step.remains()
    done = await step.put_back()
    (left,) = await desk.silences()

    assert (Now.AS_SET, True) == (is_set, done.changed)
    assert abs(datetime.fromisoformat(left["endsAt"]) - first.ends_at) < timedelta(seconds=1)
    assert not (await step.put_back()).changed or Now.AS_BEFORE == await step.remains()


async def test_a_silence_of_somebody_else_is_neither_counted_nor_ended(desk: Desk) -> None:
    """Theirs means that they work on it."""
    now = datetime.now(UTC)
    theirs = {
        "matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in DOWN.items()],
        "startsAt": now.isoformat(),
        "endsAt": (now + 60 * MINUTE).isoformat(),
        "createdBy": "ann",
        "comment": "moving the disks",
    }
    await desk.post(theirs)
    step = await desk.plan(labels=DOWN)
    done = await step.do()
    await step.put_back()

    assert done.made
    assert ["ann"] == [one["createdBy"] for one in await desk.silences()]


async def test_what_somebody_has_changed_since_is_left_alone(desk: Desk) -> None:
    """Who has made it longer wants it quiet for longer."""
    step = await desk.plan(labels=DOWN, duration="30m")
    await step.do()
    (made,) = await desk.silences()
    until = (datetime.now(UTC) + 180 * MINUTE).isoformat()
    await desk.post(
        {**{key: made[key] for key in ("id", "matchers", "startsAt", "createdBy", "comment")}, "endsAt": until}
    )
    with pytest.raises(Conflicted, match=r"somebody has changed that since \(it was made for 30m\); nothing was done"):
        await step.put_back()

    assert Now.CHANGED == await step.remains()
    assert 1 == len(await desk.silences())


async def test_what_has_ended_by_itself_needs_no_end(desk: Desk) -> None:
    """Its time was over before the remedy was proven."""
    step = await desk.plan(labels=DOWN)
    done = await step.do()
    alertmanager = desk.clients.alertmanager
    assert alertmanager is not None
    await alertmanager.end_silence(done.id)

    assert not (await step.put_back()).changed
    await alertmanager.end_silence(done.id)


async def test_matchers_narrow_it(desk: Desk) -> None:
    """Both grammars, and all four operators."""
    given = ['node=~"web-.*"', 'env!="test"', 'zone!~"a|b"']
    step = await desk.plan(labels={"alertname": "Down"}, matchers=given)
    await step.do()
    (made,) = await desk.silences()
    told = {one["name"]: (one["value"], one["isRegex"], one["isEqual"]) for one in made["matchers"]}
    again = await (await desk.plan(labels={"alertname": "Down"}, matchers=given[::-1], duration="10m")).do()

    assert {
        "alertname": ("Down", False, True),
        "env": ("test", False, False),
        "node": ("web-.*", True, True),
        "zone": ("a|b", True, False),
    } == told
    assert made["id"] == again.id
    assert (await step.put_back()).changed


async def test_its_length_is_bounded_by_the_settings(alertmanager_url: str) -> None:
    """When it is planned, and again before acting."""
    short, free = Desk(alertmanager_url, longest=10 * MINUTE), Desk(alertmanager_url)
    step = await free.plan(labels=DOWN, duration="30m")
    step.context = replace(step.context, clients=short.clients)
    what = r"a silence of 30m is longer than alertmanager\.longest_silence allows \(10m\)"
    for attempt in (short.plan(labels=DOWN, duration="30m"), step.do()):
        with pytest.raises(NotAllowed, match=what):
            await attempt
    left = await free.silences()
    await short.clients.close()
    await free.clients.close()

    assert [] == left


async def test_a_silence_that_alertmanager_refuses_is_a_failure(desk: Desk) -> None:
    """Its words are told; trying again would not help."""
    step = await desk.plan(labels={"alertname": "Down", "a name": "x"})
    with pytest.raises(Failed, match="Alertmanager answered 400 to"):
        await step.do()
