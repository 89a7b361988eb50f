"""What is not Slack's is 401, whatever it is made of: anybody on the network can reach these two addresses."""

import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import hdrs
from multidict import CIMultiDict

from remediator.settings import Settings
from remediator.testing.slack_people import User, command_form, interaction_body, signed
from tests.unit.web.a_run import NOW
from tests.unit.web.serving import api
from tests.unit.web.slack_desk import ANA, SECRET, Desk, at_the_desk

TIME, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"
STAMP = int(NOW.timestamp())
BODY = interaction_body({"type": "shortcut"})
PATHS = ("/slack/interactions", "/slack/commands")


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with at_the_desk() as made:
        yield made


async def post(desk: Desk, path: str, body: bytes, headers: Any) -> int:
    given = CIMultiDict(headers)
    given.setdefault(hdrs.CONTENT_TYPE, "application/x-www-form-urlencoded")
    async with desk.client.post(path, data=io.BytesIO(body), headers=given) as answer:
        await answer.read()
        return answer.status


def at(seconds: int) -> dict[str, str]:
    """Truly signed, so long after our time."""
    return signed(SECRET, STAMP + seconds, BODY)


def instead(**changed: str | None) -> Callable[[], list[tuple[str, str]]]:
    """Truly signed, with other headers."""
    names = {"time": TIME, "signature": SIGNATURE, "encoding": "Content-Encoding"}
    headers: dict[str, str | None] = {**at(0), **{names[name]: value for name, value in changed.items()}}
    return lambda: [(name, value) for name, value in headers.items() if value is not None]


HEADERS = {
    "none": list,
    "no time": instead(time=None),
    "no signature": instead(signature=None),
    "time twice": lambda: [*at(0).items(), (TIME, str(STAMP))],
    "signature twice": lambda: [*at(0).items(), (SIGNATURE, at(0)[SIGNATURE])],
    "time empty": instead(time=""),
    "time is a word": instead(time="now"),
    "time is negative": instead(time=f"-{STAMP}"),
    "time is huge": instead(time="9" * 400),
    "time is a fraction": instead(time=f"{STAMP}.0"),
    "time in other digits": instead(time="".join(chr(0x660 + int(digit)) for digit in str(STAMP))),
    "time is not UTF-8": instead(time="\udcff"),
    "time with a blank inside": instead(time=f"{STAMP} 1"),
    "signature empty": instead(signature=""),
    "signature not ASCII": instead(signature="v0=ü"),
    "signature too short": instead(signature=at(0)[SIGNATURE][:-1]),
    "signature of another version": instead(signature=at(0)[SIGNATURE].replace("v0", "v1")),
    "forged": instead(signature="v0=" + "0" * 64),
    "another secret": lambda: list(signed("another", STAMP, BODY).items()),
    "another body": lambda: list(signed(SECRET, STAMP, BODY + b"&a=b").items()),
    "another time": instead(time=str(STAMP + 1)),
    "older than five minutes": lambda: list(at(-301).items()),
    "from the future": lambda: list(at(301).items()),
    "compressed": instead(encoding="gzip"),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
async def test_a_request_that_slack_has_not_signed_is_refused(
    desk: Desk, path: str, headers: Callable[[], Any]
) -> None:
    """Whoever could make one up could approve anything; and none may be 500, which tells where to dig."""
    assert 401 == await post(desk, path, BODY, headers())


BODIES = {
    "nothing": b"",
    "no form": b"payload",
    "not UTF-8": b"payload=\xff\xfe",
    "not UTF-8 behind percent signs": b"payload=%ff%fe",
    "bad percent signs": b"payload=%zz",
    "percent sign at the end": b"payload=%2",
    "twice": BODY + b"&" + BODY,
    "no payload": b"other=1",
    "payload is no JSON": b"payload=%7B",
    "payload is a list": b"payload=%5B%5D",
    "payload is null": b"payload=null",
    "key twice": b"payload=" + quote('{"type": "a", "type": "b"}').encode(),
    "nested deeply": b"payload=" + b"[" * 100_000,
    "number with too many digits": b"payload=" + b"9" * 5000,
    "infinite": b"payload=Infinity",
    "half a surrogate pair": b"payload=" + quote('{"type": "\\ud800"}').encode(),
    "many fields": b"&".join(b"a%d=1" % number for number in range(200)),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_what_slack_would_not_send_is_refused_though_it_is_signed(desk: Desk, body: bytes) -> None:
    """A secret may have leaked, or a proxy may spoil a body."""
    assert 401 == await post(desk, "/slack/interactions", body, signed(SECRET, STAMP, body))


def without(payload: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The payload with one thing left out, or (`name=json`) made something else."""
    copy: dict[str, Any] = json.loads(json.dumps(payload))
    where, equals, value = path.partition("=")
    *parents, last = where.split(".")
    node: Any = copy
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    if equals:
        node[last] = json.loads(value)
    else:
        del node[last]
    return copy


SPOILT = [
    *("user", "user.id", "user=null", 'user.id="<!here>"', "user.id=7", "user=[]"),
    *("actions", "actions=[]", "actions={}", "actions=[1]", "actions.0.value", "actions.0.value=1"),
    *("container", "container=1", "container.message_ts", "container.channel_id", 'container.message_ts="1"'),
    *("message", "message=[]", 'message.ts="1000009.000001"', 'message.thread_ts="x"'),
    *("channel", "channel=null", 'channel.id="C00000009"', "trigger_id=1"),
]


@pytest.mark.parametrize("path", SPOILT)
async def test_a_press_of_another_shape_is_refused(desk: Desk, path: str) -> None:
    """It decides nothing, and it never is 500."""
    body = interaction_body(without(desk.slack.click_payload(desk.card, "approve"), path))

    assert 401 == await post(desk, "/slack/interactions", body, signed(SECRET, STAMP, body))
    assert [] == await desk.decisions()


@pytest.mark.parametrize("name", ["user_id", "team_id", "channel_id"])
async def test_a_command_of_another_shape_is_refused(desk: Desk, name: str) -> None:
    """As a press is."""
    form = command_form(user=ANA, text="status", channel="C00000001")
    body = "&".join(f"{key}={quote(value)}" for key, value in form.items() if key != name).encode()

    assert 401 == await post(desk, "/slack/commands", body, signed(SECRET, STAMP, body))


async def test_a_command_with_bad_percent_signs_is_refused(desk: Desk) -> None:
    """What it would be read as is a guess."""
    body = b"user_id=U1&team_id=T00000001&channel_id=C1&text=%zz"

    assert 401 == await post(desk, "/slack/commands", body, signed(SECRET, STAMP, body))


@pytest.mark.parametrize("seconds", [-300, 0, 300])
async def test_a_request_within_five_minutes_is_taken(desk: Desk, seconds: int) -> None:
    """Clocks differ. What is not for us is taken and left."""
    assert 200 == await post(desk, "/slack/interactions", BODY, at(seconds))
    assert 1 == desk.answered("interaction", 200)


async def test_the_very_same_request_is_taken_once(desk: Desk) -> None:
    """Whoever has recorded one must not send it a second time, not even within five minutes."""
    body = interaction_body(desk.slack.click_payload(desk.card, "approve"))
    headers = signed(SECRET, STAMP, body)

    assert [200, 401] == [await post(desk, "/slack/interactions", body, headers) for _ in range(2)]
    assert 1 == len(await desk.decisions())


async def test_a_body_that_is_too_large_is_not_read(desk: Desk) -> None:
    """It is refused before its signature is reckoned."""
    body = b"payload=" + b"1" * 2**20

    assert 413 == await post(desk, "/slack/interactions", body, signed(SECRET, STAMP, body))


async def test_without_a_signing_secret_there_is_no_such_address() -> None:
    """A service that does not talk with Slack has no open door."""
    async with api(settings=Settings()) as client:
        for path in PATHS:
            async with client.post(path) as answer:
                assert 404 == answer.status


@pytest.mark.parametrize(
    ("settings", "changes", "status"),
    [
        pytest.param({}, {"team": "T00000009"}, 403, id="wrong-team"),
        pytest.param({"team": "T00000009"}, {}, 403, id="wrong-team-in-settings"),
        pytest.param({"team": "T00000001"}, {}, 200, id="team-of-the-settings"),
        pytest.param({"app": "A00000009"}, {}, 403, id="wrong-app"),
        pytest.param({"app": "A00000001"}, {}, 200, id="right-app"),
        pytest.param({}, {"team": ""}, 403, id="no-team"),
    ],
)
async def test_only_our_workspace_and_our_app_are_heard(
    settings: dict[str, str], changes: dict[str, Any], status: int
) -> None:
    """A signing secret is an app's, and an app can be installed in many workspaces."""
    async with at_the_desk(slack_settings=settings) as desk:
        answer = await desk.slack.send_interaction(desk.slack.click_payload(desk.card, "approve", **changes))

        assert status == answer.status
        assert (1 if status == 200 else 0) == len(await desk.decisions())


async def test_as_long_as_nobody_knows_whose_the_token_is_nothing_is_taken(desk: Desk) -> None:
    """Without its workspace, anybody's word would count. Slack shows an error, and the next press is taken."""
    desk.slack.fail_next("auth.test", status=500)

    answers = [(await desk.slack.click(desk.card, "approve")).status for _ in range(2)]

    assert [503, 200] == answers
    assert 1 == len(await desk.decisions())


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(User(ANA.id, "ana", team="T00000009"), id="of-another-workspace"),
        pytest.param(User(ANA.id, "ana", team=""), id="of-none"),
    ],
)
async def test_somebody_of_another_workspace_decides_nothing(desk: Desk, user: User) -> None:
    """In a shared channel they see the buttons. They are told, and it is recorded."""
    answer = await desk.slack.click(desk.card, "approve", user=user)

    assert 200 == answer.status
    ((told, text),) = await desk.told()
    assert (ANA.id, True) == (told, "only people of the workspace" in text)
    assert [] == await desk.decisions()
    assert [("refused", f"slack:{ANA.id}", "slack C00000001")] == await desk.audited()


async def test_slack_may_ask_whether_the_address_is_there(desk: Desk) -> None:
    """It does so when the app is made."""
    body = b"ssl_check=1&token=x"

    assert 200 == await post(desk, "/slack/commands", body, signed(SECRET, STAMP, body))


async def test_old_requests_are_forgotten(desk: Desk) -> None:
    """What is remembered to tell repeats is bounded by time: a signature is good for ten minutes at the most."""
    await desk.clock.advance(timedelta(minutes=1))

    assert 200 == await post(desk, "/slack/interactions", BODY, at(0))
    await desk.clock.advance(timedelta(minutes=11))
    assert 401 == await post(desk, "/slack/interactions", BODY, at(0))
