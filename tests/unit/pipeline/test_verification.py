"""What samples prove: healed needs lasting, not healed needs evidence, errors prove nothing."""

from datetime import timedelta

import pytest

from remediator.model.facts import Proof
from remediator.model.plan import Verification
from remediator.pipeline.verification import Sample, Sight, judge

SECOND = timedelta(seconds=1)
POLICY = Verification(settle=SECOND, sustain=10 * SECOND, within=60 * SECOND, every=5 * SECOND, checks=())


def samples(signs: str) -> list[Sample]:
    """One sample each five seconds: + holds, - fails, ? error."""
    sights = {"+": Sight.HOLDS, "-": Sight.FAILS, "?": Sight.ERROR}
    return [Sample(5.0 * n, sights[sign], sign) for n, sign in enumerate(signs)]


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
        pytest.param("-" + "?" * 12, False, Proof.INCONCLUSIVE, id="failed-once-then-nobody-knows"),
        pytest.param("-" * 12 + "+", False, None, id="only-just-holding-at-the-end-gets-its-time"),
        pytest.param("-" * 12 + "+++", False, Proof.HEALED, id="a-slow-start-is-no-failure"),
        pytest.param("-" * 12 + "+-", False, Proof.NOT_HEALED, id="held-at-the-end-and-did-not-last"),
        pytest.param("?" * 13, False, Proof.INCONCLUSIVE, id="nothing-but-errors"),
        pytest.param("?" * 12 + "+", False, None, id="errors-then-holding-gets-its-time"),
    ],
)
def test_samples_are_judged(signs: str, resolved: bool, expected: Proof | None) -> None:
    """A wrong `healed` hides an outage; a wrong `not healed` starts the next remedy on a healthy service."""
    found = judge(samples(signs), POLICY, deadline=60.0, resolved=resolved)

    assert expected == (found.proof if found else None)
