"""`remediator tokens`, and what other commands say of who acts when they are called with a token of the API."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.calling import answering, call

TEXT = f"rmd_0123456789ab_{'s' * 43}"
ONE = {
    "id": "0123456789ab",
    "subject": "anna@example.org",
    "person": "anna",
    "scope": "decide",
    "groups": ["dba", "sre"],
    "groups_missing": [],
    "state": "good",
    "made_at": "2026-01-01T12:00:00+00:00",
    "made_by": "ada",
    "expires_at": "2026-04-01T12:00:00+00:00",
    "revoked_at": None,
    "revoked_by": None,
}
MADE = json.dumps({**ONE, "token": TEXT}).encode()


def test_a_token_is_printed_alone_so_that_a_script_can_take_it() -> None:
    """What it is, is told beside it; that also where it is piped into a file."""
    wanted = ["tokens", "make", "anna@example.org", "--scope", "decide", "--group", "sre", "--group", "dba"]
    with answering(201, MADE) as (url, asked):
        result = call(*wanted, "--for", "90d", "--url", url)
    ((_, path, _, body),) = asked
    said = json.loads(body)

    assert (0, f"{TEXT}\n") == (result.exit_code, result.stdout)
    assert (
        "token 0123456789ab for anna@example.org (scope decide, groups dba, sre), until 2026-04-01 12:00:00 UTC; it is "
        "shown this once:\n"
    ) == result.stderr
    assert ("/api/v1/tokens", "anna@example.org", "decide", ["sre", "dba"], "90d") == (
        path,
        *(said[name] for name in ("subject", "scope", "groups", "for")),
    )
    assert said["by"]


def test_as_json_a_token_is_printed_with_what_it_is() -> None:
    """A script may want its id, to revoke it later."""
    with answering(201, MADE) as (url, _):
        result = call("tokens", "make", "anna@example.org", "-o", "json", "--url", url)

    assert (0, json.loads(MADE), "") == (result.exit_code, json.loads(result.stdout), result.stderr)


@pytest.mark.parametrize(
    ("token", "line"),
    [
        (
            ONE,
            "0123456789ab  anna@example.org (anna)  decide  dba, sre  2026-01-01 12:00:00 UTC by ada  "
            "good until 2026-04-01 12:00:00 UTC",
        ),
        (
            {**ONE, "subject": "anna", "groups_missing": ["dba"]},
            "0123456789ab  anna     decide  dba (not in the settings), sre  2026-01-01 12:00:00 UTC by ada  "
            "good until 2026-04-01 12:00:00 UTC",
        ),
        (
            {**ONE, "subject": "ci", "person": "token:ci", "groups": [], "expires_at": None},
            "0123456789ab  ci       decide          2026-01-01 12:00:00 UTC by ada  good",
        ),
        (
            {**ONE, "subject": "anna", "groups": [], "state": "expired"},
            "0123456789ab  anna     decide          2026-01-01 12:00:00 UTC by ada  expired 2026-04-01 12:00:00 UTC",
        ),
        (
            {**ONE, "subject": "anna", "state": "revoked", "revoked_at": ONE["expires_at"], "revoked_by": "a\x1bb"},
            "0123456789ab  anna     decide  dba, sre  2026-01-01 12:00:00 UTC by ada  revoked 2026-04-01 12:00:00 UTC "
            "by a\N{REPLACEMENT CHARACTER}b",
        ),
    ],
)
def test_the_list_says_whose_each_token_is_and_how_it_stands(token: dict[str, object], line: str) -> None:
    """Whoever leaves has all of theirs revoked by it."""
    with answering(200, json.dumps({"tokens": [token]}).encode()) as (url, _):
        result = call("tokens", "list", "--url", url)

    assert (0, line) == (result.exit_code, result.stdout.splitlines()[1])


def test_without_any_token_the_list_says_how_to_make_one() -> None:
    """The admin token is none of them."""
    with answering(200, b'{"tokens": []}') as (url, _):
        result = call("tokens", "list", "--url", url)

    assert "make one with: remediator tokens make SUBJECT" in result.stdout


@pytest.mark.parametrize("given", ["0123456789ab", TEXT, "rmd_0123456789ab"])
def test_a_token_is_revoked_by_its_id_or_as_it_was_found(given: str) -> None:
    """The secret itself is sent to nobody and shown to nobody."""
    with answering(200) as (url, asked):
        result = call("tokens", "revoke", given, "--url", url)

    assert (0, "revoked: token 0123456789ab\n") == (result.exit_code, result.output)
    assert ["/api/v1/tokens/0123456789ab/revoke"] == [path for _, path, _, _ in asked]
    assert not any(b"s" * 43 in body for *_, body in asked)


@pytest.mark.parametrize(("token", "names"), [(TEXT, {"reason"}), ("a" * 43, {"by", "reason"})])
def test_who_acts_is_told_with_the_admin_token_alone(tmp_path: Path, token: str, names: set[str]) -> None:
    """A token of the API is somebody's, and the name of the user here may be another."""
    (tmp_path / "remediator.yaml").write_text(f"token: {token}\n")
    with answering(202, b'{"by": "anna"}') as (url, asked):
        assert 0 == call("cancel", "d1m0k2s3abcdefgh", "--url", url).exit_code
        taken = call("escalation", "ack", "d1m0k2s3abcdefgh", "--url", url)

    assert [names, names] == [set(json.loads(body)) for *_, body in asked]
    assert "taken on by anna: run d1m0k2s3abcdefgh" in taken.output


@pytest.mark.parametrize(
    ("status", "why", "code", "said"),
    [
        (403, "only sre may decide on this", 5, "not allowed: only sre may decide on this"),
        (
            429,
            "this token has called too often (api.rate); again in 3 s",
            4,
            "not now: this token has called too often",
        ),
    ],
)
def test_a_good_token_that_may_not_is_told_only_why(
    tmp_path: Path, status: int, why: str, code: int, said: str
) -> None:
    """Another way to give it would not help."""
    (tmp_path / "remediator.yaml").write_text(f"token: {TEXT}\n")
    with answering(status, json.dumps({"error": why}).encode()) as (url, _):
        result = call("cancel", "d1m0k2s3abcdefgh", "--url", url)

    assert (code, 1) == (result.exit_code, len(result.stderr.splitlines()))
    assert result.stderr.startswith(said)
