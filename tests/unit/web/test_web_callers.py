"""Who may call the API: each token what its scope says, in the name of whoever it belongs to, and not too often."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from remediator.errors import StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.ids import RunId
from remediator.model.person import Person, Via
from remediator.model.run import Acknowledge
from remediator.model.stop import Bar, Listed, Stop, StopKind
from remediator.model.system import SystemState
from remediator.model.token import Scope, Token
from remediator.pipeline.escalation.listing import OpenProblem
from remediator.pipeline.people import People
from remediator.pipeline.rerun import Begun
from remediator.pipeline.tokens import Tokens
from remediator.settings import ApiSettings, Settings
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock
from remediator.web.auth import Caller, Callers
from tests.unit.web.a_run import PLAN, RUN, Runs
from tests.unit.web.serving import ADMIN, Client, api, token

ADA = Person("admin", Via.ADMIN, "ada", is_known=True)
PEOPLE: dict[str, Any] = {
    "people": {"anna": {"token": "anna@example.org"}, "ben": {}},
    "approval": {"groups": {"sre": ["anna"], "dba": ["ben"]}},
}


@dataclass
class Door:
    """The API, and what makes its tokens."""

    client: Client
    tokens: "TokensAway"
    clock: VirtualClock
    metrics: Metrics

    async def token(
        self, scope: Scope = Scope.READ, subject: str = "script", *groups: str, lasts: timedelta | None = None
    ) -> dict[str, str]:
        """The header of a new one."""
        return token((await self.tokens.make(subject, scope, groups, lasts, ADA, ""))[1])

    async def ask(self, method: str, path: str, headers: Mapping[str, str], said: Any = None) -> tuple[int, Any]:
        async with self.client.request(method, f"/api/v1/{path}", headers=headers, json=said) as answer:
            return answer.status, await answer.json()

    def refused(self, reason: str) -> float:
        found = self.metrics.registry.get_sample_value("remediator_api_refused_total", {"reason": reason})
        return found or 0.0


def id_of(headers: Mapping[str, str]) -> str:
    """The id of the token in a header."""
    return headers["Authorization"].split("_")[1]


class TokensAway(Tokens):
    """With a store that can be away."""

    away = False
    kept: SqliteStore

    async def find(self, text: str, /) -> Token | None:
        if self.away:
            raise StoreUnavailable("the store does not answer")
        return await super().find(text)


@asynccontextmanager
async def opened(settings: Mapping[str, Any] = PEOPLE, **parts: Any) -> AsyncIterator[Door]:
    clock, metrics = VirtualClock(), Metrics()
    store, made = SqliteStore(None, clock=clock, metrics=metrics), Settings(**settings)
    await store.open()
    tokens = TokensAway(store, clock, Redactor(), made.people, made.approval)
    tokens.kept = store
    async with api(tokens=tokens, clock=clock, metrics=metrics, settings=made, **parts) as client:
        yield Door(client, tokens, clock, metrics)
    await store.close()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened() as made:
        yield made


READ, DECIDE, ADMINS = Scope.READ, Scope.DECIDE, Scope.ADMIN
NEEDED = {
    "GET /api/v1/openapi.json": None,
    "GET /api/v1/alerts": READ,
    "GET /api/v1/alerts/{fingerprint}": READ,
    "GET /api/v1/runs": READ,
    "GET /api/v1/runs/{id}": READ,
    "GET /api/v1/runs/{id}/undo": READ,
    "GET /api/v1/approvals": READ,
    "GET /api/v1/breakers": READ,
    "GET /api/v1/escalations": READ,
    "GET /api/v1/limits": READ,
    "GET /api/v1/stops": READ,
    "POST /api/v1/alerts/{fingerprint}/rerun": DECIDE,
    "POST /api/v1/approvals/decision": DECIDE,
    "POST /api/v1/runs": DECIDE,
    "POST /api/v1/runs/{id}/acknowledge": DECIDE,
    "POST /api/v1/runs/{id}/cancel": DECIDE,
    "POST /api/v1/runs/{id}/decision": DECIDE,
    "POST /api/v1/runs/{id}/rerun": DECIDE,
    "POST /api/v1/runs/{id}/settle": DECIDE,
    "POST /api/v1/runs/{id}/undo": DECIDE,
    "GET /api/v1/audit": ADMINS,
    "GET /api/v1/tokens": ADMINS,
    "POST /api/v1/breakers/reset": ADMINS,
    "POST /api/v1/stops/lift": ADMINS,
    "POST /api/v1/stops/pause": ADMINS,
    "POST /api/v1/tokens": ADMINS,
    "POST /api/v1/tokens/{id}/revoke": ADMINS,
}
UNHEARD = (401, 403)


async def test_every_route_needs_the_scope_that_is_meant_for_it() -> None:
    """A new route that anybody could call would be found here; the webhook has an authentication of its own."""
    anything: Any = SimpleNamespace(standing=None)
    parts = dict.fromkeys(("breakers", "stops", "usage", "escalations", "starts", "reruns", "audit"), anything)
    async with opened(**parts) as door:
        tokens = [await door.token(scope) for scope in Scope]
        found = {}
        for method, path in routes_of(door):
            at = path.removeprefix("/api/v1/").format(id="r", fingerprint="f")
            refused = [(await door.ask(method, at, headers))[0] in UNHEARD for headers in ({}, *tokens)]
            assert refused == sorted(refused, reverse=True)  # a larger scope takes the smaller ones along
            found[f"{method} {path}"] = (None, *Scope)[refused.index(False)]

    assert NEEDED == found


def routes_of(door: Door) -> list[tuple[str, str]]:
    app = door.client.server.app  # type: ignore[attr-defined]  # it is one of an application
    routes = [(route.method, route.resource.canonical) for route in app.router.routes()]
    return [
        (method, path)
        for method, path in routes
        if path.startswith("/api/") and method != "HEAD" and (method, path) != ("POST", "/api/v1/alerts")
    ]


ADMIN_HEADERS = {
    "the token": ([f"Bearer {ADMIN}"], 200),
    "none": ([], 401),
    "another": (["Bearer " + "b" * 43], 401),
    "the token as a password": (["Basic Om" + "a" * 40], 401),
    "not ASCII": (["Bearer tökens"], 401),
    "twice": ([f"Bearer {ADMIN}"] * 2, 401),
    "nothing after the scheme": (["Bearer "], 401),
    "like one of ours": ([f"Bearer rmd_0123456789ab_{'a' * 43}"], 401),
}


@pytest.mark.parametrize(("values", "status"), ADMIN_HEADERS.values(), ids=ADMIN_HEADERS.keys())
async def test_without_a_token_the_api_is_closed(values: list[str], status: int) -> None:
    """Malformed headers are refused; they do not break anything."""
    people = People({}, Settings().approval)
    callers = Callers(people, VirtualClock(), Metrics(), admin_token=ADMIN)
    request = make_mocked_request("GET", "/", headers=CIMultiDict(("Authorization", value) for value in values))
    found, challenge = 200, 'Bearer realm="remediator"'
    try:
        await callers.check(request, Scope.ADMIN)
    except web.HTTPUnauthorized as refusal:
        found, challenge = refusal.status, refusal.headers["WWW-Authenticate"]

    assert (status, 'Bearer realm="remediator"') == (found, challenge)


async def test_who_sends_alerts_and_who_uses_the_api_are_told_apart() -> None:
    """Whoever may send alerts may not approve what they start, and a person's token starts none."""
    settings = {**PEOPLE, "webhook": {"tokens": ["old-token"], "users": {"am": "word"}}}
    async with opened(settings) as door:
        senders = (token("old-token"), {"Authorization": "Basic YW06d29yZA=="})
        asked = [(await door.ask("GET", "runs", headers))[0] for headers in senders]
        alerts = {"alerts": [{"status": "firing", "labels": {"alertname": "Down"}}]}
        sent = [(await door.ask("POST", "alerts", headers, alerts))[0] for headers in senders]
        others = [await door.token(Scope.ADMIN), token()]
        not_sent = [(await door.ask("POST", "alerts", headers, alerts))[0] for headers in others]

    assert ([401, 401], [202, 202], [401, 401]) == (asked, sent, not_sent)


async def test_a_token_that_is_over_says_so_to_whoever_has_its_secret(door: Door) -> None:
    """Others learn nothing of it: not even whether there was one."""
    short, gone = await door.token(lasts=timedelta(hours=1)), await door.token()
    revoked_id = gone["Authorization"].split("_")[1]
    assert await door.tokens.revoke(revoked_id, ADA, "")
    await door.clock.advance(timedelta(hours=1))
    guessed = token(f"rmd_{revoked_id}_{'a' * 43}")

    expired = (await door.ask("GET", "runs", short))[1]["error"]
    assert (
        f"the token {revoked_id} is revoked since 2026-01-01 12:00:00 UTC"
        == ((await door.ask("GET", "runs", gone))[1]["error"])
    )
    assert expired.endswith("is expired since 2026-01-01 13:00:00 UTC")
    assert await door.ask("GET", "runs", guessed) == await door.ask("GET", "runs", token("x"))
    assert [1, 1, 2] == [door.refused(reason) for reason in ("expired", "revoked", "unknown")]


async def test_a_scope_that_is_too_small_says_which_is_needed(door: Door) -> None:
    """Whoever has it can ask for another."""
    status, said = await door.ask("POST", "runs/r/cancel", await door.token(Scope.READ), {})

    assert (403, "this takes a token with the scope decide, and yours has read") == (status, said["error"])
    assert 1 == door.refused("scope")


@pytest.mark.parametrize(
    ("subject", "by", "status", "person"),
    [
        (
            "anna@example.org",
            None,
            202,
            Person("anna", Via.TOKEN, "anna", frozenset({"sre", "dba"}), frozenset({"dba"}), is_known=True),
        ),
        (
            "anna@example.org",
            "anna",
            202,
            Person("anna", Via.TOKEN, "anna", frozenset({"sre", "dba"}), frozenset({"dba"}), is_known=True),
        ),
        ("anna@example.org", "ben", 400, None),
        ("ci", None, 202, Person("token:ci", Via.TOKEN, "ci", frozenset({"dba"}), frozenset({"dba"}), is_known=True)),
        ("ci", "ben", 400, None),
    ],
)
async def test_a_token_speaks_for_whoever_it_belongs_to(
    subject: str, by: str | None, status: int, person: Person | None
) -> None:
    """Nobody decides in another's name; with the groups that the token gives besides those of the settings."""
    runs = Runs({RUN.id: RUN})
    async with opened(runs=runs) as door:
        headers = await door.token(Scope.DECIDE, subject, "dba")
        said = {"approved": True, "digest": PLAN.digest, **({"by": by} if by else {})}
        found, answer = await door.ask("POST", f"runs/{RUN.id}/decision", headers, said)

    assert status == found, answer
    with_token = [replace(person, token=id_of(headers))] if person is not None else []
    assert with_token == [said.person for _, said in runs.said]


async def test_the_admin_token_takes_the_name_that_is_stated() -> None:
    """It is the terminal's: whoever may read its file says who they are."""
    runs = Runs({RUN.id: RUN})
    async with opened(runs=runs) as door:
        said = {"approved": True, "digest": PLAN.digest, "by": "cleo"}
        nameless = {"approved": True, "digest": PLAN.digest}
        taken = await door.ask("POST", f"runs/{RUN.id}/decision", token(), said)
        refused = await door.ask("POST", f"runs/{RUN.id}/decision", token(), nameless)

    assert [202, 400] == [taken[0], refused[0]]
    assert [("admin", "cleo", True)] == [(s.person.name, s.person.shown, s.person.is_admin) for _, s in runs.said]


async def test_what_is_wished_of_a_run_is_stored_with_who_wishes_it() -> None:
    """The audit journal goes by it."""
    runs = Runs({RUN.id: RUN})
    async with opened(runs=runs) as door:
        headers = await door.token(Scope.DECIDE, "anna@example.org")
        assert 202 == (await door.ask("POST", f"runs/{RUN.id}/cancel", headers, {"reason": "enough"}))[0]

    (wish,) = [wish for _, wish in runs.cancelled]
    assert ("anna", "anna", "token", "127.0.0.1") == (wish.by, wish.person, wish.via, wish.origin)


class Listener:
    """Hears what others than runs are told, and who has said it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Person | None, str]] = []

    async def standing(self) -> Sequence[Stop]:
        return ()

    async def listed(self) -> Sequence[Listed]:
        return ()

    def bars(self) -> Sequence[Bar]:
        return ()

    def states(self) -> Sequence[SystemState]:
        return ()

    async def list_open(self) -> Sequence[OpenProblem]:
        return ()

    async def pause(
        self, scope: str, reason: str, by: str, lasts: timedelta | None, *, person: Person | None, origin: str
    ) -> tuple[Stop, str]:
        self.heard.append((by, person, origin))
        return Stop(StopKind.PAUSE, scope, reason, by, RUN.created_at, None), ""

    async def lift(self, kind: StopKind, scope: str, by: str, *, person: Person | None, origin: str) -> bool:
        self.heard.append((by, person, origin))
        return True

    async def reset(self, name: str, by: str, *, person: Person | None, origin: str) -> bool:
        self.heard.append((by, person, origin))
        return True

    async def of_run(self, run_id: RunId, by: str, reason: str, *, person: Person | None, origin: str) -> Begun | None:
        self.heard.append((by, person, origin))
        return Begun((), ())

    async def of_alert(
        self, fingerprint: str, by: str, reason: str, *, person: Person | None, origin: str
    ) -> Begun | None:
        self.heard.append((by, person, origin))
        return Begun((), ())

    async def acknowledge(
        self, run_id: RunId, by: str, reason: str, *, take_over: bool = False, person: Person | None, origin: str
    ) -> Acknowledge | None:
        self.heard.append((by, person, origin))
        return Acknowledge(RUN.created_at, by, reason)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("stops/pause", {"scope": "everything"}),
        ("stops/lift", {"kind": "pause", "scope": "everything"}),
        ("breakers/reset", {"system": "redis:cache"}),
        ("runs/r1/rerun", {}),
        ("alerts/f/rerun", {}),
        ("runs/r1/acknowledge", {}),
    ],
)
async def test_whoever_is_told_something_is_told_who_has_said_it(path: str, said: dict[str, str]) -> None:
    """With a token it is its owner, who need not say so, and cannot say otherwise; and from where."""
    heard = Listener()
    async with opened(stops=heard, breakers=heard, reruns=heard, escalations=heard) as door:
        headers = await door.token(Scope.ADMIN, "anna@example.org")
        taken = (await door.ask("POST", path, headers, said))[0]
        refused = await door.ask("POST", path, headers, {**said, "by": "ben"})
        by_admin = (await door.ask("POST", path, token(), {**said, "by": "cleo"}))[0]
        nameless = (await door.ask("POST", path, token(), said))[0]

    anna = Person("anna", Via.TOKEN, "anna", frozenset({"sre"}), is_known=True)
    cleo = Person("admin", Via.ADMIN, "cleo", frozenset({"sre", "dba"}), is_known=True)
    anna = replace(anna, token=id_of(headers))
    assert [("anna", anna, "127.0.0.1"), ("cleo", cleo, "127.0.0.1")] == heard.heard
    assert taken == by_admin < 300
    assert (400, "by: the token is that of anna, so leave `by` out", 400) == (refused[0], refused[1]["error"], nameless)


LITTLE = {**PEOPLE, "api": {"rate": "2/1m", "failures": "2/1m"}}


async def test_a_token_that_calls_too_often_is_told_when_to_come_again() -> None:
    """Each token for itself, and reading is not counted."""
    async with opened(LITTLE) as door:
        hasty, other = await door.token(Scope.DECIDE), await door.token(Scope.DECIDE)
        found = [(await door.ask("POST", "runs/r/cancel", hasty, {}))[0] for _ in range(3)]
        others = (await door.ask("POST", "runs/r/cancel", other, {}))[0]
        reading = (await door.ask("GET", "runs", hasty))[0]
        async with door.client.post("/api/v1/runs/r/cancel", headers=hasty, json={}) as answer:
            told = answer.headers["Retry-After"], (await answer.json())["error"]
        await door.clock.advance(timedelta(seconds=30))
        later = [(await door.ask("POST", "runs/r/cancel", hasty, {}))[0] for _ in range(2)]

    assert [404, 404, 429] == found
    assert (404, 200, [404, 429]) == (others, reading, later)
    assert ("30", "this token has called too often (api.rate); again in 30 s") == told
    assert 3 == door.refused("rate")


async def test_an_address_of_bad_tokens_is_sent_away_but_not_those_who_were_good_before() -> None:
    """Guessing costs the guesser; whoever shares the address, such as a proxy's, goes on with their work."""
    async with opened(LITTLE) as door:
        known, new = await door.token(), await door.token()
        before = (await door.ask("GET", "runs", known))[0]
        guessed = [(await door.ask("GET", "runs", token(f"rmd_0123456789ab_{c * 43}")))[0] for c in "abcd"]
        during = [(await door.ask("GET", "runs", headers))[0] for headers in (known, token(), {}, new)]
        await door.clock.advance(timedelta(seconds=30))
        after = (await door.ask("GET", "runs", new))[0]
        assert await door.tokens.revoke(known["Authorization"].split("_")[1], ADA, "")
        revoked = [(await door.ask("GET", "runs", known))[0] for _ in range(3)]

    assert (200, [401, 401, 429, 429]) == (before, guessed)
    assert [200, 200, 401, 429] == during
    assert 200 == after
    assert [401, 401, 429] == revoked


async def test_a_good_token_is_no_guess_when_the_store_cannot_be_asked() -> None:
    """Whoever has tried while it was away is let in when it is back."""
    async with opened(LITTLE) as door:
        good = await door.token()
        door.tokens.away = True
        meanwhile = [(await door.ask("GET", "runs", good))[0] for _ in range(4)]
        door.tokens.away = False
        after = (await door.ask("GET", "runs", good))[0]

    assert ([503] * 4, 200) == (meanwhile, after)


async def test_tokens_are_made_shown_once_listed_and_revoked_over_the_api(door: Door) -> None:
    """The list has all but the secret."""
    said = {"subject": "anna@example.org", "scope": "decide", "groups": ["sre"], "for": "1d", "by": "ada"}
    async with door.client.post("/api/v1/tokens", headers=token(), json=said) as answer:
        made, kept_back = await answer.json(), answer.headers["Cache-Control"]
    text = made.pop("token")
    works = (await door.ask("GET", "runs", token(text)))[0]
    listed = (await door.ask("GET", "tokens", token()))[1]["tokens"]
    revoked = await door.ask("POST", f"tokens/{made['id']}/revoke", token(), {"by": "ben"})
    again = await door.ask("POST", f"tokens/{made['id']}/revoke", token(), {"by": "ben"})
    nobody = await door.ask("POST", "tokens/0123456789ab/revoke", token(), {"by": "ben"})
    (after,) = (await door.ask("GET", "tokens", token()))[1]["tokens"]

    assert (200, "no-store", [made]) == (works, kept_back, listed)
    assert ("anna", "good", ["sre"], "2026-01-02T12:00:00+00:00") == tuple(
        made[name] for name in ("person", "state", "groups", "expires_at")
    )
    assert [(200, {}), 409, 404] == [revoked, again[0], nobody[0]]
    assert ("revoked", "ben") == (after["state"], after["revoked_by"])
    assert 401 == (await door.ask("GET", "runs", token(text)))[0]
    assert text.removeprefix(f"rmd_{made['id']}_") not in str(listed)


async def test_the_list_says_which_groups_of_a_token_the_settings_do_not_have() -> None:
    """They were taken out after it was made: it gives its owner no right any more."""
    async with opened() as door:
        made = Token("0123456789ab", "bot", Scope.DECIDE, ("old", "sre"), b"d" * 32, door.clock.now(), "ada")
        await door.tokens.kept.put_token(made)
        (found,) = (await door.ask("GET", "tokens", token()))[1]["tokens"]

    assert (["old", "sre"], ["old"]) == (found["groups"], found["groups_missing"])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "this takes a JSON object: subject, scope, groups, for, by"),
        ({"subject": "a", "scope": "decide", "by": "x", "more": 1}, "this takes a JSON object"),
        ({"subject": "a", "scope": "all", "by": "x"}, "scope is one of read, decide, admin"),
        ({"subject": "a", "scope": "read", "by": "x", "groups": "sre"}, "groups is a list of names"),
        ({"subject": "a", "scope": "read", "by": "x", "groups": [1]}, "groups is a list of names"),
        ({"subject": "a", "scope": "read", "by": "x", "groups": ["ser"]}, "there is no group 'ser' in approval.groups"),
        ({"subject": "a", "scope": "read", "by": "x", "for": "90"}, "for: '90' is not a duration"),
        ({"subject": "a", "scope": "read", "by": "x", "for": "0s"}, "a token lasts longer than nothing"),
        ({"subject": " ", "scope": "read", "by": "x"}, "the subject, whose token it is, is a name"),
        ({"subject": 7, "scope": "read", "by": "x"}, "subject is not a text"),
        ({"subject": "a", "scope": "read"}, "by is needed: who makes it"),
    ],
)
async def test_a_token_that_would_be_of_no_use_is_not_made(door: Door, said: Any, why: str) -> None:
    """Told at once, and not when it is used at night."""
    status, answer = await door.ask("POST", "tokens", token(), said)

    assert (400, True) == (status, answer["error"].startswith(why)), answer
    assert () == await door.tokens.listed()


async def test_without_a_time_a_token_lasts_for_ninety_days_and_for_ever_only_if_asked(door: Door) -> None:
    """What nobody thinks of any more ends by itself."""
    said = {"subject": "a", "scope": "read", "by": "x"}
    usual = (await door.ask("POST", "tokens", token(), said))[1]["expires_at"]
    endless = (await door.ask("POST", "tokens", token(), {**said, "for": "never"}))[1]["expires_at"]

    assert ("2026-04-01T12:00:00+00:00", None) == (usual, endless)


def test_a_caller_with_a_token_is_named_by_it_alone() -> None:
    """Also where the same name is given in the way that people read, or the one that is stored."""
    caller = Caller(Person("token:ci", Via.TOKEN, "ci", is_known=True), Scope.DECIDE, "t", "")

    assert ["ci"] * 3 == [caller.named(stated, "").shown for stated in ("", "ci", "token:ci")]
    with pytest.raises(web.HTTPBadRequest):
        caller.named("CI", "")


def test_nothing_is_said_of_a_rate_of_nothing() -> None:
    """It would let nobody in."""
    with pytest.raises(ValueError, match="at least 1"):
        ApiSettings.model_validate({"rate": "0/1m"})
