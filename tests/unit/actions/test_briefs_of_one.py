"""What a step says of one thing is said of one thing."""

import pytest

from remediator.actions.docker import Inspected
from remediator.actions.redis import Pinged
from remediator.plugins import Result

PINGED = Pinged(
    answers=True, status="ready", milliseconds=1, error="", version="", role="", used_memory=None, connected_clients=1
)
INSPECTED = Inspected(
    name="web",
    id="1",
    image="web:1",
    status="running",
    running=True,
    exit_code=0,
    oom_killed=False,
    restarts=1,
    started_at=None,
    finished_at=None,
    health="",
    memory_limit=0,
    error="",
)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (PINGED, "PONG in 1 ms, 1 client"),
        (PINGED.model_copy(update={"connected_clients": 2}), "PONG in 1 ms, 2 clients"),
        (INSPECTED, "web is running, restarted 1 time by its policy"),
    ],
)
def test_one_is_told_as_one(found: Result, said: str) -> None:
    """`1 clients` reads like a mistake of the program."""
    assert said == found.brief()
