"""Plans and questions that an older version has stored are read, and mean what they meant."""

import json
from datetime import UTC, datetime, timedelta

from remediator.model.facts import Asked, Planned
from remediator.model.plan import Plan, Verification
from remediator.storage import codec

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_plan_that_was_held_for_what_was_not_built_is_read() -> None:
    """It said why it was held; now people are asked about it. Its digest is what it was."""
    plan = Plan(0, "cure", gated=True, steps=(), verification=Verification(MINUTE, MINUTE, MINUTE, MINUTE, ()))
    stored = json.loads(codec.write_fact(Planned(AT, 1, 1, plan)))
    stored["plan"]["held"] = ["who approves it (`quorum`) is not looked at yet, so its plan is held"]
    read = codec.read_fact(json.dumps(stored))

    assert isinstance(read, Planned)
    assert (plan, plan.digest) == (read.plan, read.plan.digest)


def test_a_question_without_a_policy_asks_one_person_and_expires() -> None:
    """As it was when it was asked."""
    stored = {"kind": "asked", "at": AT.isoformat(), "round": 1, "revision": 1, "until": (AT + MINUTE).isoformat()}
    read = codec.read_fact(json.dumps(stored))

    assert Asked(AT, 1, 1, AT + MINUTE) == read
    assert isinstance(read, Asked)
    assert (1, (), "deny", (), {}) == (read.quorum, read.approvers, read.on_timeout, read.reminders, read.before)
