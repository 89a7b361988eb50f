"""Who has answered a call that was made for a container that cannot be there."""

import json

import pytest
from docker import APIClient

from remediator.clients.docker_access import Answered, knock_as_nobody, who_answered
from remediator.errors import Failed
from tests.services import free_port

_ID = "4f" * 32


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (404, json.dumps({"message": f"No such container: {_ID}"}), Answered.BY_ENGINE),
        (
            404,
            json.dumps({"message": f'no container with name or ID "{_ID}" found', "response": 404}),
            Answered.BY_ENGINE,
        ),
        (403, "<h1>403 Forbidden</h1>", Answered.BY_REFUSAL),
        (403, json.dumps({"message": f"No such container: {_ID}"}), Answered.BY_REFUSAL),
        (401, "who are you?", Answered.BY_REFUSAL),
        (405, "not this way", Answered.BY_REFUSAL),
        (404, "404 page not found", Answered.OTHERWISE),
        (404, f"Cannot POST /v1.41/containers/{_ID}/start", Answered.OTHERWISE),
        (204, "", Answered.OTHERWISE),
        (502, "bad gateway", Answered.OTHERWISE),
    ],
    ids=["docker", "podman", "forbidden", "403 wins", "401", "405", "another 404", "the path told", "done", "502"],
)
def test_only_an_engine_that_looked_for_the_container_has_answered(status: int, said: str, expected: Answered) -> None:
    """A proxy may say 404 to what it forbids; and 204 to a container that is not there is nobody's true answer."""
    assert expected is who_answered(status, said, _ID)


def test_a_call_that_names_no_container_is_never_made() -> None:
    """`POST /containers/prune` would do it."""
    api = APIClient(f"tcp://127.0.0.1:{free_port()}", version="1.41")
    try:
        with pytest.raises(Failed, match="cannot be asked without doing it"):
            knock_as_nobody(api, "POST /containers/prune", 5)
    finally:
        api.close()
