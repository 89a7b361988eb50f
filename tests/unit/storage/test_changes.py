"""What deliveries change, worked out without a database: the rows that a store is to write, and nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Accepted, Closing, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.run import Joined
from remediator.storage import changes, codec
from remediator.storage.changes import Changes, Judged, Request, SoFar

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = T0 + timedelta(minutes=1)
KNOWN = Occurrence(OccurrenceId("old"), Fingerprint("a"), {"alertname": "a"}, T0, T0, T0)


def alert(name: str = "a") -> Alert:
    return Alert(Fingerprint(name), AlertStatus.FIRING, {"alertname": name}, {}, T0)


def request(*alerts: Alert, verdict: Verdict) -> Request:
    return Request(Delivery(alerts, received_at=LATER), lambda _alert, _known: verdict, OwnerId("me"))


def opened(run: str = "r", *, group: str = "") -> Verdict:
    new = NewRun(RunId(run), RuleId("p/r"), Digest("d"), "down", "#c", Message(Tone.FIRING, "m"), group)
    return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{run}"), (new,)))


def applied(made: Changes, asked: Request, newest: dict[str, Occurrence]) -> Changes:
    judged = changes.judge_all(asked, newest)
    assert isinstance(judged, list)
    made.apply(asked, judged)
    return made


def test_nothing_is_written_for_what_changes_nothing() -> None:
    """Most of what Alertmanager sends late is of this kind."""
    made = applied(Changes(), request(alert(), verdict=Verdict(Ruling.NOT_OPEN)), {"a": KNOWN})

    assert ([], [], [], []) == (made.changed_occurrences, made.opened_occurrences, made.changed_runs, made.posts)


def test_a_repeat_changes_one_row() -> None:
    """The occurrence was heard of again, and nothing else has come of it."""
    made = applied(Changes(), request(alert(), verdict=Verdict(Ruling.REPEATED, hear=True)), {"a": KNOWN})

    row = ("old", codec.to_us(T0), "{}", codec.to_us(LATER), None, None, None, False, None, None)
    assert ([row], []) == (made.changed_occurrences, made.opened_occurrences)


def test_a_run_is_left_once_whatever_else_closes_it() -> None:
    """A run that is told twice that it has resolved would count alerts that it never had."""
    made = Changes()
    made.know_member("old", "r")
    made.know_run("r", "p/r", "g", 1, 3)
    close = Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)
    newest: dict[str, Occurrence] = {"a": KNOWN}
    applied(made, request(alert(), alert(), verdict=close), newest)
    applied(made, request(alert(), verdict=close), newest)

    assert [("r", 0, True, 4, codec.to_us(LATER))] == made.changed_runs
    assert [("r", "resolved")] == [(run, kind) for run, kind, _ in made.signals]


def test_a_group_goes_by_the_name_that_the_store_gives_it() -> None:
    """PostgreSQL cuts long names, and must find what it has cut."""
    made = Changes(name=str.upper)
    made.know_run("first", "p/r", "G", 1, 0)
    applied(made, request(alert(), verdict=opened(group="g")), {})

    assert [("o-r", "p/r", "first")] == made.members
    assert [] == made.created_runs


@pytest.mark.parametrize(("count", "expected"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (4, [3])])
def test_alerts_are_judged_piece_by_piece(count: int, expected: list[int]) -> None:
    """Thousands take seconds, and others want their turn in between."""
    hearing = changes.judge(request(alert("a"), alert("b"), alert("c"), verdict=Verdict(Ruling.NOT_OPEN)), {})
    sizes = []
    while some := changes.judge_some(hearing, count):
        assert not isinstance(some, Exception)
        sizes.append(len(some))

    assert expected == sizes


def test_what_a_judge_raises_leaves_the_others_view_as_it_was() -> None:
    """A delivery that fails half-way has opened nothing for those after it."""

    def judge(alert: Alert, _known: Occurrence | None) -> Verdict:
        if alert.name == "b":
            raise ValueError("no")
        return opened()

    newest: dict[str, Occurrence] = {}
    asked = Request(Delivery((alert("a"), alert("b")), received_at=T0), judge, OwnerId("me"))
    failed = changes.judge_all(asked, newest)

    assert isinstance(failed, ValueError)
    assert {} == newest
    pieces: Iterator[Judged] = changes.judge(asked, newest)
    assert isinstance(changes.judge_some(pieces, 5), ValueError)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1], [[1]]),
        ([2, 1], [[2, 1]]),
        ([2, 1, 1], [[2, 1], [1]]),
        ([3, 3], [[3], [3]]),
        ([1, 4, 0, 2], [[1], [4], [0, 2]]),
        ([4, 4, 1], [[4], [4], [1]]),
        ([0, 4], [[0], [4]]),
    ],
)
def test_small_deliveries_are_written_together_and_a_large_one_by_itself(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], expected: list[list[int]]
) -> None:
    """Small ones are cheap together. A large one shares with nobody: its pieces are taken back where it fails."""
    monkeypatch.setattr(changes, "PIECE", 3)
    asked = [request(*[alert()] * size, verdict=Verdict(Ruling.NOT_OPEN)) for size in sizes]
    found = list(changes.shares(asked))

    assert expected == [[len(one.delivery.alerts) for one in share] for share in found]
    assert [4] * sizes.count(4) == [len(one.delivery.alerts) for one in asked if changes.is_large(one)]


def test_runs_hear_once_of_all_pieces_who_has_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in the thread for every piece would tell how the store works, and only the first alerts by name."""
    monkeypatch.setattr(changes, "PIECE", 2)
    large = request(*(alert(str(number)) for number in range(7)), verdict=opened(group="g"))
    so_far = SoFar()
    for piece in changes.pieces(large):
        made = Changes()
        made.know_run("first", "p/r", "g", 1, 0)
        judged = changes.judge_all(piece, {})
        assert isinstance(judged, list)
        made.go_on(piece, judged, so_far)
        assert [] == made.signals
    made = Changes()
    made.know_run("first", "p/r", "g", 8, 0)
    made.tell_joined([RunId("first")], LATER, so_far)

    joined = Joined(LATER, 7, tuple({"alertname": str(number)} for number in range(5)))
    assert [("first", "joined", codec.write_signal(joined))] == made.signals
    assert Accepted((Ruling.OPENED,) * 7, (), (RunId("first"),)) == so_far.accepted
