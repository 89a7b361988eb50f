"""The main job on real input: one real alert, healed, proven and told."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from remediator.testing.slack import SlackStandIn, StoredMessage
from tests import services
from tests.acceptance import story
from tests.acceptance.story import Story


def outcomes(told: Story) -> list[str | None]:
    return [run["outcome"] for run in told.remediator.runs()]


def is_closed(told: Story) -> bool:
    """Whether the one run has ended and has heard of the alert's end."""
    return [True] == [any(fact["kind"] == "closed" for fact in run["timeline"]) for run in told.remediator.runs()]


def is_told(told: Story) -> bool:
    """Whether everything that was to be told has been."""
    checks = {check["name"]: check["detail"] for check in told.remediator.get("/readyz")["checks"]}
    return str(checks["chat"]).startswith("0 waiting")


def messages(slack: SlackStandIn) -> list[StoredMessage]:
    return list(slack.messages[story.CHANNEL])


def test_a_killed_container_is_restarted_and_the_proof_is_told_in_one_thread(
    docker_engine: str, slack: SlackStandIn, tmp_path: Path
) -> None:
    """What the product is for, with every part real but Slack."""
    with story.told(docker_engine, slack, tmp_path, quick=False) as told:
        before = told.container()
        told.kill_container()
        services.wait_until(lambda: outcomes(told) == ["healed"], "the run to heal", limit=120)
        services.wait_until(lambda: is_closed(told), "the alert's own end", limit=120)
        services.wait_until(lambda: is_told(told), "the outbox to be empty")
        after, starts, (run,) = told.container(), told.container_starts(), told.remediator.runs()

        assert told.answers()
        assert before["Id"] == after["Id"]
        assert 1 == starts
        assert {"closed"} == {fact["kind"] for fact in run["timeline"]} - {
            "examined",
            "planned",
            "started",
            "finished",
            "verified",
            "ended",
        }
        assert 1 == told.remediator.metric('remediator_alerts_total{ruling="resolved"}')
        assert 1 == told.remediator.metric('remediator_alerts_total{ruling="opened"}')

    check_thread(slack, run)


def check_thread(slack: SlackStandIn, run: dict[str, Any]) -> None:
    """One thread: firing → evidence → plan → action → healed → ended, its parent edited in place."""
    parent, *replies = messages(slack)

    assert {parent.ts} == {reply.thread_ts for reply in replies}
    assert "healed" in parent.shown
    assert parent.edits, "the parent was not edited in place"
    assert all("orchestrator does not answer" in edit.text and "healed" not in edit.text for edit in parent.edits[:1])
    wanted = ["Evidence", "Plan: start it again", "Done: restart container", "Healed", "The alert has ended"]
    assert wanted == [next((w for w in wanted if w in reply.shown), reply.shown) for reply in replies]
    assert "exit code 137" in replies[0].shown
    assert run["id"] in parent.shown
    assert [] == slack.pings


@pytest.mark.parametrize("turn", range(4))
def test_a_kill_at_any_moment_leaves_one_restart_or_an_honest_unknown(
    docker_engine: str, slack: SlackStandIn, tmp_path: Path, turn: int
) -> None:
    """kill -9 is what a node's death looks like: nothing may be lost, and nothing done twice."""
    chance = random.Random(story.seed() + turn)
    with story.told(docker_engine, slack, tmp_path, quick=True) as told:
        told.kill_container()
        if turn == 0:  # before anything was accepted: Alertmanager has to try again
            services.wait_until(lambda: not told.answers(), "the service to be down")
        else:
            services.wait_until(lambda: bool(told.remediator.runs()), "the alert to be accepted", limit=60)
        time.sleep(chance.uniform(0, 4))
        told.remediator.kill()
        time.sleep(chance.uniform(0, 3))
        told.remediator.start()

        def is_over() -> bool:
            found = outcomes(told)
            return bool(found) and None not in found

        services.wait_until(is_over, "the run to end", limit=120)
        services.wait_until(lambda: is_told(told), "the outbox to be empty")
        found, starts, runs = outcomes(told), told.container_starts(), told.remediator.runs()

    assert 1 == len(runs), [run["alert"] for run in runs]
    unknown = [f for f in runs[0]["timeline"] if f["kind"] == "finished" and f["status"] == "unknown"]
    assert found in (["healed"], ["unknown"])
    assert 1 == starts or (0 == starts and unknown)
    assert 1 == len([m for m in messages(slack) if m.thread_ts is None])
    shown = [m.shown for m in messages(slack)]
    assert len(shown) == len(set(shown))
