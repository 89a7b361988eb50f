"""A rule that asks a person, and how steps of unknown end are counted, for the tests of the flow."""

from tests.unit.pipeline.harness import Harness, rule

GATED = rule(mode="gated")
NAME = "{{ labels.service }}"


def unknown_steps(it: Harness) -> float | None:
    """What the alert `RemediatorStepUnknown` goes by: a lost answer and a lost process count alike."""
    return it.process.metrics.registry.get_sample_value("remediator_steps_unknown_total", {"action": "test.act"})
