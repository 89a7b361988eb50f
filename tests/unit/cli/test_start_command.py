"""`remediator runs start` at the terminal: what is stated, and what is said."""

import getpass

import pytest

from tests.unit.cli.calling import call
from tests.unit.cli.scripted import scripted

BEGUN = {"run": "d5b63g2lf4gf7u74", "rule": "web/down", "repeated": False}
COMMAND = ["runs", "start", "web/down", "-l", "service=web", "-l", "x=a=b", "-a", "from=phone", "--reason", "full"]


@pytest.mark.parametrize(("key", "repeated"), [((), False), (("--key", "k1"), True)])
def test_the_run_is_named_with_how_to_follow_it(key: tuple[str, ...], repeated: bool) -> None:
    """And a script that calls again with the same key is told that nothing new was begun."""
    with scripted({"POST /api/v1/runs": [(201, {**BEGUN, "repeated": repeated})]}) as (url, asked):
        result = call(*COMMAND, *key, "--url", url)
    ((_, body, headers),) = asked

    what = "was started with this key before" if repeated else "started by hand"
    run = BEGUN["run"]
    assert (0, f"{what}: run {run} of web/down (follow it: remediator runs watch {run})\n") == (
        result.exit_code,
        result.output,
    )
    labels = {"service": "web", "x": "a=b"}
    given = {"rule": "web/down", "labels": labels, "annotations": {"from": "phone"}, "reason": "full"}
    assert {**given, "by": getpass.getuser()} == body
    assert (key[1] if key else None) == headers.get("Idempotency-Key")


@pytest.mark.parametrize(
    ("status", "error", "code", "said"),
    [
        (400, "the rule web/down is not for these", 2, "the service answered 400: the rule web/down is not for these"),
        (409, "open already; see: remediator runs show r9", 1, "open already; see: remediator runs show r9"),
        (404, "there is no rule web/x; see: remediator check", 1, "there is no rule web/x; see: remediator check"),
    ],
)
def test_what_is_refused_says_why(status: int, error: str, code: int, said: str) -> None:
    """In the service's own words, which say where to look."""
    with scripted({"POST /api/v1/runs": [(status, {"error": error})]}) as (url, _):
        result = call(*COMMAND, "--url", url)

    assert (code, f"{said}\n") == (result.exit_code, result.output)


def test_a_label_is_written_with_its_name() -> None:
    result = call("runs", "start", "web/down", "-l", "web")

    assert 2 == result.exit_code
    assert "write it as name=value" in result.output
