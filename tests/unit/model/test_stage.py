"""What facts add up to, where no run of the pipeline shows it more plainly."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.alert import Alert, AlertStatus
from remediator.model.facts import Examined, Fact, Proof, Verified
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.run import Run
from remediator.model.stage import wait_before

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def run_with(*facts: Fact) -> Run:
    alert = Alert(Fingerprint("f"), AlertStatus.FIRING, {"alertname": "Sick"}, {}, START, ends_at=None)
    return Run(
        id=RunId("r"),
        rule=RuleId("p/sick"),
        rule_digest=Digest("d"),
        occurrence=OccurrenceId("o"),
        alert=alert,
        summary="",
        channel="#c",
        owner=OwnerId("me"),
        epoch=1,
        created_at=START,
        facts=facts,
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], timedelta(0)),
        ([Examined(START + 5 * HOUR, 1, {})], 5 * HOUR),
        (
            [
                Examined(START, 1, {}),
                Verified(START + 3 * HOUR, 1, Proof.NOT_HEALED, 1, ""),
                Examined(START + 4 * HOUR, 2, {}),
            ],
            HOUR,
        ),
        ([Examined(START, 1, {}), Verified(START + 3 * HOUR, 1, Proof.NOT_HEALED, 1, "")], timedelta(0)),
    ],
    ids=["nothing yet", "since the alert came", "since the rung before did not help", "what comes later is no wait"],
)
def test_how_long_evidence_was_in_coming(facts: list[Fact], expected: timedelta) -> None:
    """By it a run is too late to act by itself; a long proof of the rung before is no delay of ours."""
    assert expected == wait_before(run_with(*facts))
