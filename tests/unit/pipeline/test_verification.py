"""What samples prove: healed needs lasting, not healed needs evidence, errors prove nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.facts import Proof
from remediator.model.plan import Verification
from remediator.pipeline.verification import Sample, Sight, judge

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POLICY = Verification(settle=SECOND, sustain=10 * SECOND, within=60 * SECOND, every=5 * SECOND, checks=())


def samples(signs: str) -> list[Sample]:
    """One sample each five seconds: + holds, - fails, ? error."""
    sights = {"+": Sight.HOLDS, "-": Sight.FAILS, "?": Sight.ERROR}
    return [Sample(T0 + 5 * SECOND * n, sights[sign], sign) for n, sign in enumerate(signs)]


@pytest.mark.parametrize(
    ("signs", "resolved", "expected"),
    [
        pytest.param("", False, None, id="nothing-yet"),
        pytest.param("+", False, None, id="one-good-look-is-not-enough"),
        pytest.param("++", False, None, id="five-seconds-are-not-ten"),
        pytest.param("+++", False, Proof.HEALED, id="lasting"),
        pytest.param("--+++", False, Proof.HEALED, id="lasting-after-failures"),
        pytest.param("++-++", False, None, id="a-relapse-begins-anew"),
        pytest.param("++?++", False, None, id="an-error-begins-anew"),
        pytest.param("+", True, Proof.HEALED, id="holding-and-the-alert-resolved"),
        pytest.param("-", True, None, id="resolved-but-failing-goes-on"),
        pytest.param("-" * 13, False, Proof.NOT_HEALED, id="failing-to-the-end"),
        pytest.param("-" + "?" * 12, False, Proof.NOT_HEALED, id="failed-once-then-errors"),
        pytest.param("-" * 12 + "+", False, Proof.NOT_HEALED, id="only-just-holding-at-the-end"),
        pytest.param("?" * 13, False, Proof.INCONCLUSIVE, id="nothing-but-errors"),
        pytest.param("?" * 12 + "+", False, Proof.INCONCLUSIVE, id="errors-then-holding-too-briefly"),
    ],
)
def test_samples_are_judged(signs: str, resolved: bool, expected: Proof | None) -> None:
    """A wrong `healed` hides an outage; a wrong `not healed` starts the next remedy on a healthy service."""
    found = judge(samples(signs), POLICY, deadline=T0 + POLICY.within, resolved=resolved)

    assert expected == (found.proof if found else None)
