"""What an alert means, given what is known of it: the table that nothing may slip through."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.alert import Alert, AlertStatus
from remediator.model.ids import Fingerprint, OccurrenceId
from remediator.model.occurrence import Closing, Doubt, Occurrence, Opening, Ruling, Verdict
from remediator.pipeline.intake import judge_alert
from remediator.settings import OccurrenceSettings

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RULES = OccurrenceSettings()
OPENING = Opening(OccurrenceId("new"), ())


def after(**duration: float) -> datetime:
    return T0 + timedelta(**duration)


def alert(
    *, starts_at: datetime = T0, resolved: bool = False, ends_at: datetime | None = None, known_start: bool = True
) -> Alert:
    status = AlertStatus.RESOLVED if resolved else AlertStatus.FIRING
    return Alert(Fingerprint("f"), status, {}, {}, starts_at, ends_at, is_start_known=known_start)


def known(
    *,
    heard_at: datetime = T0,
    closed_at: datetime | None = None,
    ends_at: datetime | None = None,
    doubt: Doubt | None = None,
    runs_ended_at: datetime | None = None,
) -> Occurrence:
    return Occurrence(
        OccurrenceId("old"), Fingerprint("f"), {}, T0, T0, heard_at, closed_at, ends_at, doubt, runs_ended_at
    )


def judge(given: Alert, occurrence: Occurrence | None, received_at: datetime) -> Verdict:
    return judge_alert(given, occurrence, lambda: OPENING, received_at, RULES)


@pytest.mark.parametrize(
    ("given", "occurrence", "received_at", "expected"),
    [
        pytest.param(alert(), None, T0, Verdict(Ruling.OPENED, open=OPENING), id="first-firing-opens"),
        pytest.param(alert(resolved=True), None, T0, Verdict(Ruling.NOT_OPEN), id="resolve-of-nothing"),
        pytest.param(
            alert(), known(), after(hours=4), Verdict(Ruling.REPEATED, hear=True), id="repeat-of-what-is-open"
        ),
        pytest.param(
            alert(starts_at=T0 - timedelta(minutes=5)),
            known(),
            after(minutes=1),
            Verdict(Ruling.REPEATED, hear=True),
            id="second-sender-started-earlier",
        ),
        pytest.param(
            alert(starts_at=after(minutes=1)),
            known(),
            after(minutes=1),
            Verdict(Ruling.REPEATED, hear=True),
            id="second-sender-started-later-while-the-run-is-under-way",
        ),
        pytest.param(
            alert(starts_at=after(minutes=9)),
            known(runs_ended_at=after(minutes=5)),
            after(minutes=10),
            Verdict(Ruling.REOPENED, close=Closing.RESOLVE_MISSED, open=OPENING),
            id="started-after-the-run-ended-so-a-resolve-was-missed",
        ),
        pytest.param(
            alert(),
            known(runs_ended_at=after(minutes=5)),
            after(minutes=10),
            Verdict(Ruling.REPEATED, hear=True),
            id="still-the-old-start-after-the-run-ended",
        ),
        pytest.param(
            alert(starts_at=after(minutes=10), known_start=False),
            known(runs_ended_at=after(minutes=5)),
            after(minutes=10),
            Verdict(Ruling.REPEATED, hear=True),
            id="a-start-that-was-not-told-is-no-later-start",
        ),
        pytest.param(
            alert(resolved=True, starts_at=T0 - timedelta(hours=1), ends_at=T0 - timedelta(minutes=1)),
            known(),
            after(minutes=1),
            Verdict(Ruling.NOT_OPEN),
            id="a-late-duplicate-of-an-earlier-resolve",
        ),
        pytest.param(
            alert(resolved=True, ends_at=T0 - timedelta(seconds=2)),
            known(),
            after(minutes=1),
            Verdict(Ruling.RESOLVED, close=Closing.RESOLVED),
            id="a-resolve-from-a-clock-that-is-slow",
        ),
        pytest.param(
            alert(),
            known(),
            after(hours=6, seconds=1),
            Verdict(Ruling.REOPENED, close=Closing.RESOLVE_MISSED, open=OPENING),
            id="nothing-heard-for-six-hours",
        ),
        pytest.param(
            alert(resolved=True),
            known(),
            after(minutes=5),
            Verdict(Ruling.RESOLVED, close=Closing.RESOLVED),
            id="resolve-closes",
        ),
        pytest.param(
            alert(resolved=True),
            known(closed_at=after(minutes=5)),
            after(minutes=6),
            Verdict(Ruling.NOT_OPEN),
            id="second-resolve",
        ),
        pytest.param(
            alert(),
            known(closed_at=after(minutes=5)),
            after(minutes=5, seconds=10),
            Verdict(Ruling.DOUBTFUL, doubt=Doubt(alert(), until=after(minutes=6))),
            id="same-start-right-after-the-resolve-is-doubtful",
        ),
        pytest.param(
            alert(starts_at=after(minutes=2)),
            known(closed_at=after(minutes=5), ends_at=after(minutes=4)),
            after(minutes=5, seconds=10),
            Verdict(Ruling.DOUBTFUL, doubt=Doubt(alert(starts_at=after(minutes=2)), until=after(minutes=6))),
            id="a-start-before-the-end-that-was-told-is-doubtful-too",
        ),
        pytest.param(
            alert(starts_at=after(minutes=4, seconds=30)),
            known(closed_at=after(minutes=5), ends_at=after(minutes=4)),
            after(minutes=5, seconds=10),
            Verdict(Ruling.OPENED, open=OPENING),
            id="a-start-after-the-end-is-new-at-once",
        ),
        pytest.param(
            alert(),
            known(closed_at=after(minutes=5)),
            after(minutes=6, seconds=1),
            Verdict(Ruling.OPENED, open=OPENING),
            id="same-start-after-the-window-is-a-real-return",
        ),
        pytest.param(
            alert(),
            known(closed_at=after(minutes=5), doubt=Doubt(alert(), until=after(minutes=6))),
            after(minutes=5, seconds=30),
            Verdict(Ruling.DOUBTFUL, doubt=Doubt(alert(), until=after(minutes=6), sent_again=True)),
            id="sent-again-while-doubtful-is-remembered",
        ),
        pytest.param(
            alert(starts_at=after(minutes=5, seconds=20)),
            known(closed_at=after(minutes=5), doubt=Doubt(alert(), until=after(minutes=6))),
            after(minutes=5, seconds=30),
            Verdict(Ruling.OPENED, open=OPENING, drop_doubt=True),
            id="a-later-start-ends-the-doubt",
        ),
        pytest.param(
            alert(resolved=True),
            known(closed_at=after(minutes=5), doubt=Doubt(alert(), until=after(minutes=6))),
            after(minutes=5, seconds=30),
            Verdict(Ruling.NOT_OPEN, drop_doubt=True),
            id="resolved-while-doubtful-drops-the-doubt",
        ),
    ],
)
def test_an_alert_is_judged(
    given: Alert, occurrence: Occurrence | None, received_at: datetime, expected: Verdict
) -> None:
    """Alertmanager delivers at least once, late, twice and out of order; none of it may lose or double a run."""
    assert expected == judge(given, occurrence, received_at)
