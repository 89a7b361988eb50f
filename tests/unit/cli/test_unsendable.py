"""What cannot be sent is said, and a token is never shown: terminals are recorded, and those of CI are public."""

import pytest

from tests.unit.cli.calling import answering, call

pytestmark = pytest.mark.usefixtures("dead_proxy")
SECRET = "rmd_0123456789ab_secret"


@pytest.mark.parametrize("token", [f"{SECRET}\nmore", f"{SECRET}é", f"{SECRET}\u20ac"])
def test_a_token_with_odd_characters_is_not_shown(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """The library's own error quotes it whole."""
    monkeypatch.setenv("REMEDIATOR_TOKEN", token)
    result = call("runs", "list")

    assert 2 == result.exit_code
    assert "Authorization cannot be sent: what was given for it has a line end, or is not plain ASCII" in result.stderr
    assert "rmd_" not in result.output


def test_a_line_end_after_a_token_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that are made of files have one."""
    monkeypatch.setenv("REMEDIATOR_TOKEN", f"{SECRET}\n")
    with answering(200, b'{"runs": []}') as (url, asked):
        assert 0 == call("runs", "list", "--url", url).exit_code

    assert f"Bearer {SECRET}" == asked[0][2]


@pytest.mark.parametrize("user", ["ann:s3cr3t", "127.0.0.1"])
def test_an_address_with_a_user_is_refused(user: str) -> None:
    """A password in it would be shown and not sent; and what looks like this machine would be another one."""
    result = call("runs", "list", "--url", f"http://{user}@elsewhere.example:9099")

    assert (2, "the address carries a user; give a token by REMEDIATOR_TOKEN\n") == (result.exit_code, result.stderr)


def test_a_key_that_no_header_takes_is_told_as_such() -> None:
    """That nobody answers would send people looking for the service."""
    result = call("runs", "start", "web/down", "--key", "a\nb")

    assert (2, "Idempotency-Key cannot be sent") == (result.exit_code, result.stderr.partition(":")[0])
