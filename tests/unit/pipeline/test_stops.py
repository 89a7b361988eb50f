"""A pause is obeyed and told; one that would stop nothing is refused."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.errors import Mistaken
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.change import Change
from remediator.model.history import Known, Latest
from remediator.model.ids import OwnerId, RuleId, RunId
from remediator.model.run import RunSummary
from remediator.model.stop import EVERYTHING, Bar, Stop, StopKind
from remediator.pipeline.guards.pause_file import PauseFile
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.stops import Stops
from remediator.plugins import Actions
from remediator.rules.loading import load_book
from remediator.settings import CalendarSettings
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RULES = """
pack: web
rules:
  - {name: down, match: ['alertname="Down"'], mode: observe}
"""


CALENDAR = {
    "time_intervals": [
        {"name": "new year", "time_intervals": [{"months": ["january"], "days_of_month": ["1"]}]},
        {"name": "june", "time_intervals": [{"months": ["june"]}]},
    ],
    "freezes": [
        {"interval": "new year", "scopes": ["pack:web"], "reason": "holidays"},
        {"interval": "june", "scopes": ["pack:web"]},
    ],
}


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
    actions = Actions.installed()
    rulebook = Rulebook(load_book([tmp_path], actions), actions, store)
    redactor = Redactor(["hunter22"])
    told = lambda: nudges.append("told")  # noqa: E731 - one word
    return Stops(
        store,
        rulebook,
        VirtualClock(T0),
        redactor,
        channel="#ops",
        on_message=told,
        pause_file=PauseFile(tmp_path / "PAUSE"),
        calendar=CalendarSettings.model_validate(CALENDAR),
    )


async def titles(store: SqliteStore) -> list[str]:
    return [post.message.title for post in await store.waiting_posts(10)]


@pytest.mark.parametrize(
    "scope", [EVERYTHING, "pack:web", "rule:web/down", "action:docker.restart", "target:docker:local/y"]
)
async def test_a_pause_stands_and_is_told(stops: Stops, store: SqliteStore, nudges: list[str], scope: str) -> None:
    stop, _ = await stops.pause(scope, "release\n day", "anna", timedelta(hours=2))

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
        ("target:web", "target:web names no target; write it as `runs show` does, like target:command:web"),
        ("target:docker:a b", "target:docker:a b names no target"),
        ("target:dokcer:local/web", "there is no system dokcer; there are alertmanager, command, docker, files, http"),
        (
            "target:command:web*",
            "target:command:web* is a pattern, and a pause takes whole names; pause rule:PACK/NAME",
        ),
        ("target:command:w?b", "is a pattern"),
        ("target:command:[w]eb", "is a pattern"),
        ("target:docker:local/web@4f5e", "leave out the @ and what follows it: target:docker:local/web"),
        ("action:docker.restrat", "there is no action:docker.restrat; did you mean action:docker.restart?"),
        ("action:docker.logs", "action:docker.logs only looks and changes nothing"),
    ],
)
async def test_a_pause_of_what_is_not_there_is_refused(stops: Stops, scope: str, said: str) -> None:
    """Whoever typed it would believe that it stands still."""
    with pytest.raises(Mistaken, match=re.escape(said)):
        await stops.pause(scope, "", "anna", None)

    assert () == tuple(await stops.standing())


async def test_a_pause_longer_than_any_is_refused(stops: Stops) -> None:
    """It would end after the last day of the calendar."""
    with pytest.raises(Mistaken, match="without an end it lasts until it is resumed"):
        await stops.pause(EVERYTHING, "", "anna", timedelta(days=99_999_999))


async def test_a_target_that_nothing_was_changed_on_is_paused_and_said_to_be_new(
    stops: Stops, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt name looks just like one that no plan has met yet. What has been changed is known, whatever it is."""
    _, new = await stops.pause("target:command:wbe", "", "anna", None)
    change = Change(RunId("r1"), 1, RuleId("web/down"), "elsewhere:web", "x.y", T0, T0)
    monkeypatch.setattr(store, "known", _knows(change))
    stop, known = await stops.pause("target:elsewhere:web", "", "anna", None)

    assert "nothing has been changed on target:command:wbe so far; is that its name?" in new
    assert ("target:elsewhere:web", "") == (stop.scope, known)


def _knows(change: Change) -> Callable[[Sequence[Latest]], Awaitable[Known]]:
    async def known(questions: Sequence[Latest]) -> Known:
        return Known(changes={one: [change] if one.which.is_met_by(change) else [] for one in questions})

    return known


@pytest.mark.parametrize("scope", ["rule:old/gone", "pack:old"])
async def test_a_rule_that_was_taken_out_is_paused_while_runs_of_it_are_open(
    stops: Stops, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    """They go on with the rule that they were started with."""

    async def list_runs(*, limit: int, active: bool) -> Sequence[RunSummary]:
        return [RunSummary(RunId("r1"), RuleId("old/gone"), "Down", T0, None, None, None, OwnerId(""))]

    with pytest.raises(Mistaken):
        await stops.pause(scope, "", "anna", None)
    monkeypatch.setattr(store, "list_runs", list_runs)
    stop, note = await stops.pause(scope, "", "anna", None)

    assert (stop,) == tuple(await stops.standing())
    assert f"{scope} is in the rules no more, but runs of it are under way, which are paused by this" == note


@pytest.mark.parametrize(
    ("before", "after", "lasts"),
    [
        (None, timedelta(minutes=1), None),
        (timedelta(hours=2), timedelta(minutes=1), timedelta(hours=2)),
        (timedelta(minutes=1), timedelta(hours=2), timedelta(hours=2)),
        (timedelta(minutes=1), None, None),
        (None, None, None),
    ],
)
async def test_a_pause_is_never_made_shorter_by_another(
    stops: Stops, before: timedelta | None, after: timedelta | None, lasts: timedelta | None
) -> None:
    """Whoever put the first one is asleep, and counts on it."""
    await stops.pause(EVERYTHING, "the night", "anna", before)
    stop, note = await stops.pause(EVERYTHING, "", "ben", after)

    assert (stop,) == tuple(await stops.standing())
    assert ("the night", T0 + lasts if lasts else None) == (stop.reason, stop.until)
    assert ("stays so" in note, "anna" in note) == (stop.by == "anna", stop.by == "anna")
    assert (stop.by == "anna") == (after is not None and (before is None or before > after))


async def test_a_pause_that_stays_says_how_to_end_it_earlier(stops: Stops) -> None:
    await stops.pause(EVERYTHING, "the night", "anna", None)
    _, note = await stops.pause(EVERYTHING, "just a moment", "ben", timedelta(minutes=1))

    assert (
        "it is paused until somebody resumes it already, by anna (the night), and stays so; to have it end earlier, "
        "first: remediator resume everything"
    ) == note


async def test_the_file_and_the_freezes_in_force_are_known(stops: Stops, tmp_path: Path) -> None:
    """They hold changes, and no stop says so."""
    without = stops.bars()
    path = tmp_path / "PAUSE"
    path.mkdir()
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    (freeze,) = without

    assert ("freeze", "pack:web", T0 + timedelta(hours=12)) == (freeze.kind, freeze.scope, freeze.until)
    assert "within the freeze “new year” (UTC), holidays; it would allow from 2026-01-02" in freeze.reason
    reason = f"the file {path} is there; to go on, remove it"
    assert (Bar("pause file", EVERYTHING, reason, at=made), freeze) == tuple(stops.bars())


async def test_a_link_to_nowhere_is_the_file_as_well(stops: Stops, tmp_path: Path) -> None:
    """Only the name counts, as for the guard."""
    path = tmp_path / "PAUSE"
    path.symlink_to(tmp_path / "nowhere")
    dangling = stops.bars()[0]

    assert ("pause file", EVERYTHING) == (dangling.kind, dangling.scope)


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
    assert ["Changes go on: everything"] == await titles(store)


@pytest.mark.parametrize("kind", [StopKind.QUARANTINE, StopKind.FLAPPING])
async def test_whoever_clears_a_target_lifts_all_that_was_found_there(stops: Stops, kind: StopKind) -> None:
    """`quarantine clear` is what people are told to do about either; a pause of it is another matter."""
    both = [Stop(one, "target:x:y", "", "remediator", T0) for one in (StopKind.QUARANTINE, StopKind.FLAPPING)]
    other = Stop(StopKind.FLAPPING, "target:x:z", "", "remediator", T0)
    await stops.put([*both, other])
    pause = Stop(StopKind.PAUSE, "target:x:y", "", "anna", T0)
    await stops.put([pause])
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
