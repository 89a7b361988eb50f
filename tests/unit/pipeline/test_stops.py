"""A pause is obeyed and told; one that would stop nothing is refused."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.errors import Mistaken
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.stops import Stops
from remediator.plugins import Actions
from remediator.rules.loading import load_book
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RULES = """
pack: web
rules:
  - {name: down, match: ['alertname="Down"'], mode: observe}
"""


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    made = SqliteStore(None, clock=VirtualClock(T0), metrics=Metrics())
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def nudges() -> list[str]:
    return []


@pytest.fixture
def stops(store: SqliteStore, tmp_path: Path, nudges: list[str]) -> Stops:
    (tmp_path / "web.yaml").write_text(RULES)
    actions = Actions({})
    rulebook = Rulebook(load_book([tmp_path], actions), actions, store)
    redactor = Redactor(["hunter22"])
    told = lambda: nudges.append("told")  # noqa: E731 - one word
    return Stops(store, rulebook, VirtualClock(T0), redactor, channel="#ops", on_message=told)


async def titles(store: SqliteStore) -> list[str]:
    return [post.message.title for post in await store.waiting_posts(10)]


@pytest.mark.parametrize("scope", [EVERYTHING, "pack:web", "rule:web/down", "action:docker.restart", "target:x:y"])
async def test_a_pause_stands_and_is_told(stops: Stops, store: SqliteStore, nudges: list[str], scope: str) -> None:
    stop = await stops.pause(scope, "release\n day", "anna", timedelta(hours=2))

    assert Stop(StopKind.PAUSE, scope, "release day", "anna", T0, T0 + timedelta(hours=2)) == stop
    assert (stop,) == tuple(await stops.standing())
    assert [f"Changes are paused: {scope}"] == await titles(store)
    assert ["told"] == nudges


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("rule:web/dwon", "there is no rule:web/dwon; did you mean rule:web/down?"),
        ("pack:wbe", "there is no pack:wbe; did you mean pack:web?"),
        ("web", "'web' is no scope; write everything, pack:NAME"),
        ("rule:", "'rule:' is no scope"),
        ("target:", "'target:' is no scope"),
    ],
)
async def test_a_pause_of_what_is_not_there_is_refused(stops: Stops, scope: str, said: str) -> None:
    """Whoever typed it would believe that it stands still."""
    with pytest.raises(Mistaken, match=said.replace("?", r"\?")):
        await stops.pause(scope, "", "anna", None)

    assert () == tuple(await stops.standing())


async def test_a_secret_in_the_reason_is_neither_stored_nor_told(stops: Stops, store: SqliteStore) -> None:
    await stops.pause(EVERYTHING, "the password is hunter22", "anna", None)
    posts = await store.waiting_posts(10)

    assert "hunter22" not in repr((await stops.standing(), posts))


async def test_lifting_says_so_in_the_same_message(stops: Stops, store: SqliteStore) -> None:
    await stops.pause(EVERYTHING, "", "anna", None)
    lifted = await stops.lift(StopKind.PAUSE, EVERYTHING, "ben")
    again = await stops.lift(StopKind.PAUSE, EVERYTHING, "ben")

    assert (True, False) == (lifted, again)
    assert () == tuple(await stops.standing())
    assert ["Lifted: changes are paused: everything"] == await titles(store)


@pytest.mark.parametrize("kind", [StopKind.QUARANTINE, StopKind.FLAPPING])
async def test_whoever_clears_a_target_lifts_all_that_was_found_there(stops: Stops, kind: StopKind) -> None:
    """`quarantine clear` is what people are told to do about either; a pause of it is another matter."""
    both = [Stop(one, "target:x:y", "", "remediator", T0) for one in (StopKind.QUARANTINE, StopKind.FLAPPING)]
    other = Stop(StopKind.FLAPPING, "target:x:z", "", "remediator", T0)
    await stops.put([*both, other])
    pause = await stops.pause("target:x:y", "", "anna", None)
    lifted = await stops.lift(kind, "target:x:y", "ben")

    assert lifted
    assert {other, pause} == set(await stops.standing())


async def test_what_is_found_again_is_told_once(stops: Stops, store: SqliteStore) -> None:
    """The flow finds the same quarantine after each restart in the middle of it."""
    first = Stop(StopKind.QUARANTINE, "target:x:y", "three attempts", "remediator", T0)
    later = Stop(StopKind.QUARANTINE, "target:x:y", "four attempts", "remediator", T0 + timedelta(seconds=1))
    await stops.put([first])
    await stops.put([later])

    assert (first,) == tuple(await stops.standing())
    assert ["In quarantine: target:x:y"] == await titles(store)
