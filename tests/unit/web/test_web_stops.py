"""The API over what stands in the way: who may look, pause and lift, and what is refused."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.errors import Mistaken
from remediator.model.stop import EVERYTHING, Bar, Listed, Stop, StopKind
from tests.unit.web.serving import Client, api, token

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@dataclass
class Keeper:
    """Keeps stops in memory."""

    stops: list[Stop] = field(default_factory=list)
    others: list[Bar] = field(default_factory=list)

    async def standing(self) -> Sequence[Stop]:
        return self.stops

    async def listed(self) -> Sequence[Listed]:
        return [Listed(stop, f"news of {stop.scope}") for stop in self.stops]

    def bars(self) -> Sequence[Bar]:
        return self.others

    async def pause(
        self, scope: str, reason: str, by: str, lasts: timedelta | None, **said_by: Any
    ) -> tuple[Stop, str]:
        if scope != EVERYTHING:
            raise Mistaken(f"there is no {scope}")
        self.stops.append(Stop(StopKind.PAUSE, scope, reason, by, AT, AT + lasts if lasts else None))
        return self.stops[-1], "be careful"

    async def lift(self, kind: StopKind, scope: str, by: str, **said_by: Any) -> bool:
        found = [stop for stop in self.stops if (stop.kind, stop.scope) == (kind, scope)]
        self.stops = [stop for stop in self.stops if stop not in found]
        return bool(found)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
async def client(keeper: Keeper) -> AsyncIterator[Client]:
    async with api(stops=keeper) as running:
        yield running


async def post(client: Client, path: str, said: Any) -> tuple[int, Any]:
    async with client.post(f"/api/v1/stops/{path}", json=said, headers=token()) as answer:
        return answer.status, await answer.json()


PAUSE = {"scope": EVERYTHING, "by": "ann", "reason": "release", "for": "2h"}
SHOWN = {
    "kind": "pause",
    "scope": EVERYTHING,
    "reason": "release",
    "by": "ann",
    "at": "2026-01-01T12:00:00+00:00",
    "until": "2026-01-01T14:00:00+00:00",
}


async def test_what_is_paused_is_listed_until_it_is_lifted(client: Client) -> None:
    """As people at night need it."""
    paused = await post(client, "pause", PAUSE)
    async with client.get("/api/v1/stops", headers=token()) as answer:
        listed = await answer.json()
    lifted = await post(client, "lift", {"kind": "pause", "scope": EVERYTHING, "by": "ann"})
    again, _ = await post(client, "lift", {"kind": "pause", "scope": EVERYTHING, "by": "ann"})

    assert (201, {**SHOWN, "note": "be careful"}) == paused
    assert {
        "stops": [{**SHOWN, "settled": "news of everything", "trial_at": None, "lift": "remediator resume everything"}]
    } == listed
    assert ((200, {"note": ""}), 404) == (lifted, again)


FILE = Bar("pause file", EVERYTHING, "the file /s/PAUSE is there; to go on, remove it", at=AT)
FREEZE = Bar("freeze", "pack:web", "within the freeze", until=AT)


async def test_what_no_command_lifts_is_listed_too(client: Client, keeper: Keeper) -> None:
    """Else a list that is empty says that changes are made."""
    keeper.others = [FILE, FREEZE]
    async with client.get("/api/v1/stops", headers=token()) as answer:
        listed = (await answer.json())["stops"]

    at = AT.isoformat()
    whole = {"kind": "pause file", "scope": EVERYTHING, "reason": FILE.reason, "by": "", "at": at, "until": None}
    part = {"kind": "freeze", "scope": "pack:web", "reason": FREEZE.reason, "by": "", "at": None, "until": at}
    none = {"settled": "", "trial_at": None, "lift": ""}
    assert [{**whole, **none}, {**part, **none}] == listed


async def test_whoever_resumes_is_told_of_the_file_that_still_holds(client: Client, keeper: Keeper) -> None:
    """Whether or not there was a pause besides."""
    keeper.others = [FREEZE, FILE]
    keeper.stops = [Stop(StopKind.PAUSE, EVERYTHING, "", "ann", AT)]
    lift = {"kind": "pause", "scope": EVERYTHING, "by": "ann"}
    lifted, again = await post(client, "lift", lift), await post(client, "lift", lift)

    said = f"changes are held all the same: {FILE.reason}"
    assert (200, {"note": said}) == lifted
    assert (404, {"error": f"there is no pause of everything; {said}; there is no pause at all"}) == again


async def test_a_stop_of_a_very_long_name_can_be_lifted(client: Client, keeper: Keeper) -> None:
    """A target is quarantined whatever its length, and must be cleared."""
    scope = f"target:command:{'x' * 5000}"
    keeper.stops = [Stop(StopKind.QUARANTINE, scope, "", "remediator", AT)]
    status, _ = await post(client, "lift", {"kind": "quarantine", "scope": scope, "by": "ann"})

    assert (200, []) == (status, keeper.stops)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "there is no breaker of rule:web/dwon; there is no breaker at all"),
        (["rule:web/down"], "there is no breaker of rule:web/dwon; there is the breaker of rule:web/down"),
    ],
)
async def test_what_is_not_there_says_what_is(client: Client, keeper: Keeper, there: list[str], said: str) -> None:
    """Whoever has misspelt it sees how it is written."""
    keeper.stops = [Stop(StopKind.BREAKER, scope, "", "remediator", AT) for scope in there]
    keeper.stops.append(Stop(StopKind.PAUSE, EVERYTHING, "", "ann", AT))
    status, answer = await post(client, "lift", {"kind": "breaker", "scope": "rule:web/dwon", "by": "ann"})

    assert (404, {"error": said}) == (status, answer)


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/pause"), ("POST", "/lift")])
async def test_only_admins_may_look_or_say_anything(client: Client, keeper: Keeper, method: str, path: str) -> None:
    """Who can lift a stop can have everything changed."""
    async with client.request(method, f"/api/v1/stops{path}", json=PAUSE) as answer:
        status = answer.status

    assert (401, []) == (status, keeper.stops)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("pause", {**PAUSE, "scope": "rule:web/nothing"}),
        ("pause", {**PAUSE, "by": " "}),
        ("pause", {**PAUSE, "for": "soon"}),
        ("pause", {**PAUSE, "for": "0s"}),
        ("pause", {**PAUSE, "more": "x"}),
        ("pause", {**PAUSE, "reason": "x" * 1001}),
        ("pause", ["everything"]),
        ("lift", {"kind": "nothing", "scope": EVERYTHING, "by": "ann"}),
        ("lift", {"kind": "pause", "scope": "", "by": "ann"}),
    ],
)
async def test_what_makes_no_sense_is_refused(client: Client, keeper: Keeper, path: str, said: Any) -> None:
    """Nobody is to believe to have stopped what goes on."""
    status, _ = await post(client, path, said)

    assert (400, []) == (status, keeper.stops)
