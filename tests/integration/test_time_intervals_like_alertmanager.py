"""Time intervals mean here, now, what they mean to a real Alertmanager, and are refused where it refuses them."""

import asyncio
import json
import random
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError

from remediator.settings import CalendarSettings
from tests import services

pytestmark = pytest.mark.service("alertmanager")

_CASES = 150
_ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Australia/Lord_Howe", "America/Adak")
_EVEN_ZONES = ("UTC", "Asia/Kolkata", "Asia/Tokyo")
"""Without daylight saving: before its pull request 5447, Alertmanager mistook the last day of a month that loses an
hour, so that negative days are compared in these only."""


def _around(chance: random.Random, now: int, least: int, most: int) -> tuple[int, int]:
    """A range that often begins or ends where `now` is."""
    edges = [number for number in (now - 1, now, now, now + 1) if least <= number <= most]
    first, last = chance.choice(edges), chance.choice([*edges, chance.randint(least, most)])
    return min(first, last), max(first, last)


def _entry(chance: random.Random, now: datetime) -> dict[str, Any]:
    """An entry of which now may be within, at the edge, or outside."""
    negative = chance.random() < 0.3
    zone = chance.choice(_EVEN_ZONES if negative else _ZONES)
    local = now.astimezone(ZoneInfo(zone))
    written: dict[str, Any] = {"location": zone} if zone != "UTC" or chance.random() < 0.5 else {}
    days_in_month = ((local.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
    if chance.random() < 0.5:
        first, last = sorted((chance.randint(0, 23), chance.randint(1, 24)))
        quarter = chance.choice(("00", "30"))
        end = f"{last:02}:00" if last == 24 else f"{last:02}:{quarter}"
        written["times"] = [{"start_time": f"{min(first, 23):02}:00", "end_time": end if last > first else "24:00"}]
    if chance.random() < 0.4:
        names = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
        first, last = _around(chance, local.isoweekday() % 7, 0, 6)
        written["weekdays"] = [f"{names[first]}:{names[last].upper()}"]
    if negative:
        written["days_of_month"] = [str(max(min(local.day - days_in_month - 1 + chance.randint(-1, 1), -1), -31))]
    elif chance.random() < 0.4:
        first, last = _around(chance, local.day, 1, 31)
        written["days_of_month"] = [f"{first}:{last}"]
    if chance.random() < 0.3:
        first, last = _around(chance, local.month, 1, 12)
        written["months"] = [f"{first}:{last}"] if chance.random() < 0.5 else [local.strftime("%B")]
    if chance.random() < 0.2:
        first, last = _around(chance, local.year, 2000, 2100)
        written["years"] = [f"{first}:{last}"]
    return written


def _intervals(chance: random.Random, now: datetime) -> list[dict[str, Any]]:
    return [
        {"name": f"i{n}", "time_intervals": [_entry(chance, now) for _ in range(chance.randint(1, 2))]}
        for n in range(_CASES)
    ]


class _Inbox:
    """Which of an interval's two routes have told: the one that is muted within it, or the one that is active then."""

    def __init__(self) -> None:
        self.ways: dict[str, set[str]] = {}
        self._news = asyncio.Event()

    async def receive(self, request: web.Request) -> web.Response:
        labels = (await request.json())["groupLabels"]
        self.ways.setdefault(labels["interval"], set()).add(labels["way"])
        self._news.set()
        return web.Response()

    async def until_all_are_told(self) -> None:
        async with asyncio.timeout(60):
            while len(self.ways) < _CASES:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[_Inbox, str]]:
    box, app = _Inbox(), web.Application()
    app.router.add_post("/", box.receive)
    async with TestServer(app) as server:
        yield box, f"http://127.0.0.1:{server.port}/"


async def test_now_is_here_within_what_it_is_there(inbox: tuple[_Inbox, str]) -> None:
    """Each interval mutes one route and opens another, so that exactly one of the two tells, whichever it is."""
    services.requires("prometheus-alertmanager")
    box, url = inbox
    written = _intervals(random.Random(5447), datetime.now(UTC))
    here = CalendarSettings.model_validate({"time_intervals": written}).intervals
    routes = [
        {"matchers": [f'interval="{one["name"]}"', f'way="{way}"'], f"{way}_time_intervals": [one["name"]]}
        for one in written
        for way in ("mute", "active")
    ]
    alerts = [{"labels": {"interval": one["name"], "way": way}} for one in written for way in ("mute", "active")]

    before = datetime.now(UTC)
    route = {"group_by": ["interval", "way"], "routes": routes}
    with services.alertmanager(webhook=url, route=route, time_intervals=written) as there:
        url = f"{there.address}/api/v2/alerts"
        async with aiohttp.ClientSession() as session, session.post(url, json=alerts) as answer:
            assert 200 == answer.status
        await box.until_all_are_told()
    after = datetime.now(UTC)

    steady = {name for name, interval in here.items() if interval.contains(before) == interval.contains(after)}
    expected = {name: {"active" if here[name].contains(after) else "mute"} for name in steady}

    assert expected == {name: ways for name, ways in box.ways.items() if name in steady}
    assert {"active", "mute"} == set.union(*expected.values())


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"times": [{"start_time": "00:00", "end_time": "24:00"}]},
        {"times": [{"start_time": "24:00", "end_time": "24:00"}]},
        {"times": [{"start_time": "9:00", "end_time": "17:00"}]},
        {"times": [{"start_time": "22:00", "end_time": "06:00"}]},
        {"times": [{"start_time": "22:00"}]},
        {"times": [{"start_time": "22:60", "end_time": "24:00"}]},
        {"weekdays": ["monday:friday", "Sunday"]},
        {"weekdays": ["monday:sunday"]},
        {"weekdays": ["sunday:saturday"]},
        {"weekdays": ["mon"]},
        {"weekdays": ["1"]},
        {"weekdays": ["monday:tuesday:friday"]},
        {"days_of_month": ["1:31", "-31:-1", "5:-5"]},
        {"days_of_month": ["1:-28"]},
        {"days_of_month": ["1:-27"]},
        {"days_of_month": ["28:-1"]},
        {"days_of_month": ["27:-1"]},
        {"days_of_month": ["-1:1"]},
        {"days_of_month": ["0"]},
        {"days_of_month": ["32"]},
        {"days_of_month": ["-32"]},
        {"days_of_month": ["+5"]},
        {"days_of_month": ["20:10"]},
        {"days_of_month": [3, -1]},
        {"months": ["january:3", "DECEMBER", 12]},
        {"months": ["dec"]},
        {"months": ["12:1"]},
        {"years": ["2026", "2026:2030", 2031]},
        {"years": ["2030:2026"]},
        {"years": ["soon"]},
        {"location": "Europe/Berlin"},
        {"location": ""},
        {"location": "Europe/Berln"},
        {"location": "../etc/passwd"},
        {"day_of_month": ["1"]},
    ],
    ids=json.dumps,
)
def test_it_is_refused_here_where_it_is_there(tmp_path: Path, entry: dict[str, Any]) -> None:
    """What may be copied from its file may be copied into it as well."""
    services.requires("amtool")
    intervals = [{"name": "x", "time_intervals": [entry]}]
    config = {"route": {"receiver": "x"}, "receivers": [{"name": "x"}], "time_intervals": intervals}
    (tmp_path / "config.json").write_text(json.dumps(config))
    argv = ["amtool", "check-config", str(tmp_path / "config.json")]
    there = subprocess.run(argv, capture_output=True, check=False).returncode == 0
    try:
        here = bool(CalendarSettings.model_validate({"time_intervals": intervals}).intervals)
    except ValidationError:
        here = False

    assert there == here
