"""Within a freeze nothing is changed, and where there are windows, only within them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.model.plan import Effect
from remediator.model.target import Target
from remediator.pipeline.guards import Allow, Ask, Case, Guard, Guards, Hold, Review
from remediator.pipeline.guards.calendar import Calendar
from remediator.settings import CalendarSettings
from tests.unit.pipeline.guards.probing import a_case, a_step

INTERVALS: list[dict[str, Any]] = [
    {"name": "sale", "time_intervals": [{"months": ["november"], "location": "Europe/Berlin"}]},
    {
        "name": "nights",
        "time_intervals": [{"times": [{"start_time": "01:00", "end_time": "05:00"}], "location": "Europe/Berlin"}],
    },
    {"name": "weekend", "time_intervals": [{"weekdays": ["saturday", "sunday"]}]},
    {"name": "over", "time_intervals": [{"years": [2020]}]},
    {"name": "ever", "time_intervals": [{}]},
]
POSTGRES = a_step(targets=(Target("docker", ("local", "postgres-1"), "4f5e"),))


def guard_of(**written: Any) -> Calendar:
    return Calendar(CalendarSettings.model_validate({"time_intervals": INTERVALS, **written}))


def a_case_at(text: str, **changes: Any) -> Case:
    return replace(a_case(**changes), at=at(text))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def judged(guard: Guard, case: Case) -> Review:
    assert () == guard.asks(case)
    return guard.judge(case, Known())


async def nothing_known(questions: Sequence[Question]) -> Known:
    raise AssertionError(f"this guard asks about no history: {questions}")


@pytest.mark.parametrize(("guards", "expected"), [([guard_of(freezes=[{"interval": "sale"}])], Hold), ([], Allow)])
async def test_without_this_guard_a_freeze_means_nothing(guards: list[Guard], expected: type[Review]) -> None:
    """It is this guard that holds, in the review and in the transaction of the start."""
    case = a_case_at("2026-11-22T12:00")
    engine = Guards(guards, nothing_known)
    refusal = engine.reserve(case).judge(Known())

    assert expected is type(await engine.review(case))
    assert (Reason.FROZEN if guards else None) == (refusal and refusal.reason)


def test_a_freeze_holds_until_it_ends_and_names_itself() -> None:
    """Whoever reads it at night has to know whose freeze it is, and when it would go on."""
    guard = guard_of(freezes=[{"interval": "sale", "reason": "no changes during the sale"}])

    assert Hold(
        Reason.FROZEN,
        at("2026-11-30T23:00"),
        "within the freeze “sale” (Europe/Berlin), no changes during the sale; it would allow from "
        "2026-11-30 23:00:00 UTC on (2026-12-01 00:00 in Europe/Berlin)",
    ) == judged(guard, a_case_at("2026-11-22T12:00"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-31T22:59:59", Allow),
        ("2026-10-31T23:00", Hold),
        ("2026-11-30T22:59:59", Hold),
        ("2026-11-30T23:00", Allow),
    ],
)
def test_a_freeze_is_there_to_the_second_in_its_own_zone(text: str, expected: type[Review]) -> None:
    """Midnight is not everywhere at once."""
    assert expected is type(judged(guard_of(freezes=[{"interval": "sale"}]), a_case_at(text)))


def test_a_hold_is_not_lifted_by_an_approval() -> None:
    """`hold` changes nothing, whoever approves it."""
    case = replace(a_case_at("2026-11-22T12:00"), approved=True)

    assert isinstance(judged(guard_of(freezes=[{"interval": "sale"}]), case), Hold)


async def test_a_freeze_may_leave_it_to_a_person() -> None:
    """Some sites are looked after in a freeze, and only want nothing to happen by itself."""
    guard = guard_of(freezes=[{"interval": "sale", "action": "ask"}])
    case = a_case_at("2026-11-22T12:00")
    said = judged(guard, case)

    assert isinstance(said, Ask)
    assert "nobody would be asked for this from 2026-11-30 23:00:00 UTC on" in said.detail
    guards = Guards([guard], nothing_known)
    told = replace(case, approved=True, told=frozenset(said.concerns))
    assert guards.reserve(told).judge(Known()) is None
    untold = guards.reserve(replace(case, approved=True)).judge(Known())
    assert untold is not None
    assert Reason.FROZEN is untold.reason


def test_a_hold_outweighs_a_question() -> None:
    """The stricter of two freezes is the one that counts."""
    guard = guard_of(freezes=[{"interval": "sale", "action": "ask"}, {"interval": "weekend"}])

    said = judged(guard, a_case_at("2026-11-22T12:00"))

    assert isinstance(said, Hold)
    assert at("2026-11-23T00:00") == said.until  # the weekend's end; the rest of the sale asks
    assert isinstance(judged(guard, a_case_at("2026-11-23T00:00")), Ask)


def test_freezes_that_follow_on_each_other_are_one() -> None:
    """It would be useless to wake up at the end of the first."""
    guard = guard_of(freezes=[{"interval": "sale"}, {"interval": "weekend"}])
    said = judged(guard, a_case_at("2024-11-30T12:00"))  # a saturday

    assert isinstance(said, Hold)
    assert at("2024-12-02T00:00") == said.until


def test_what_has_no_end_in_sight_is_held_and_looked_at_again() -> None:
    """Somebody has to change the settings, and until then the answer stays the same."""
    case = a_case_at("2026-11-22T12:00")

    for guard in (guard_of(freezes=[{"interval": "ever"}]), guard_of(windows=[{"interval": "over"}])):
        said = judged(guard, case)

        assert isinstance(said, Hold)
        assert case.at + timedelta(days=1) == said.until
        assert "no end of it is in sight within 400 days" in said.detail


@pytest.mark.parametrize(
    ("text", "until"),
    [("2026-11-23T03:59", None), ("2026-11-23T04:00", "2026-11-24T00:00"), ("2026-11-22T12:00", "2026-11-23T00:00")],
)
def test_outside_of_a_window_nothing_is_changed(text: str, until: str | None) -> None:
    """A maintenance window is the only time for it."""
    said = judged(guard_of(windows=[{"interval": "nights"}]), a_case_at(text))

    assert (at(until) if until else None) == (said.until if isinstance(said, Hold) else None)
    assert until is None or "outside of the window “nights” (Europe/Berlin); it would allow" in getattr(
        said, "detail", ""
    )


def test_windows_of_one_scope_add_up() -> None:
    """Two windows are more time than one."""
    guard = guard_of(windows=[{"interval": "nights", "action": "ask"}, {"interval": "weekend", "action": "ask"}])

    assert [Allow, Allow, Ask] == [
        type(judged(guard, a_case_at(text))) for text in ("2026-11-23T03:00", "2026-11-22T12:00", "2026-11-23T12:00")
    ]


def test_windows_of_different_scopes_must_all_be_open() -> None:
    """That a rule has a window of its own does not free it from everybody's."""
    guard = guard_of(windows=[{"interval": "nights"}, {"interval": "weekend", "scopes": ["rule:web/down"]}])
    said = judged(guard, a_case_at("2026-11-24T03:00"))  # a tuesday's night

    assert isinstance(said, Hold)
    assert at("2026-11-28T00:00") == said.until


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("everything", Hold),
        ("pack:web", Hold),
        ("pack:we", Allow),
        ("rule:web/down", Hold),
        ("rule:web/up", Allow),
        ("action:thing.kick", Hold),
        ("action:thing.look", Allow),
        ("target:docker:local/postgres*", Hold),
        ("target:docker:local/postgres", Allow),
    ],
)
def test_a_freeze_is_about_its_scopes(scope: str, expected: type[Review]) -> None:
    """A freeze of the database must not keep the front end from being restarted."""
    steps = [POSTGRES, a_step(1, action="thing.look", effect=Effect.READ)]
    case = a_case_at("2026-11-22T12:00", steps=steps)

    assert expected is type(judged(guard_of(freezes=[{"interval": "sale", "scopes": ["pack:other", scope]}]), case))


def test_what_was_begun_before_is_finished() -> None:
    """Half a change is worse than one that ends a little late."""
    case = a_case_at("2026-11-22T12:00", begun=True)

    assert Allow() == judged(guard_of(freezes=[{"interval": "sale"}]), case)


_named = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(["sale", "nights", "weekend", "over"]),
        "action": st.sampled_from(["hold", "ask"]),
        "scopes": st.lists(st.sampled_from(["everything", "rule:web/down", "pack:other"]), min_size=1, max_size=2),
    }
)


@hypothesis_settings(deadline=None, max_examples=100, derandomize=True)
@given(
    freezes=st.lists(_named, max_size=3),
    windows=st.lists(_named, max_size=3),
    minutes=st.integers(0, 60 * 24 * 60),
    part=st.floats(0, 1, exclude_max=True),
)
def test_a_hold_lasts_exactly_as_long_as_it_says(
    freezes: list[Any], windows: list[Any], minutes: int, part: float
) -> None:
    """Earlier it would have held as well, and then it does not hold any more."""
    guard = guard_of(freezes=freezes, windows=windows)
    case = replace(a_case(), at=at("2026-10-20T00:00") + timedelta(minutes=minutes))
    said = judged(guard, case)
    if not isinstance(said, Hold) or "no end of it" in said.detail:
        return
    earlier = case.at + part * (said.until - case.at)

    assert isinstance(judged(guard, replace(case, at=earlier)), Hold)
    assert not isinstance(judged(guard, replace(case, at=said.until)), Hold)
