"""A target says itself that it is not to be touched."""

import pytest

from remediator.model.target import SKIP, opts_out


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({}, False),
        ({"other": "true"}, False),
        ({SKIP: "false"}, False),
        ({SKIP: "true"}, True),
        ({SKIP: ""}, True),
        ({SKIP: "False"}, True),
        ({SKIP: "until monday"}, True),
    ],
)
def test_the_mark_alone_says_it(marks: dict[str, str], said: bool) -> None:
    """`docker run --label remediator.dev/skip` gives no value; who writes it by hand wants to be left alone."""
    assert said == opts_out(marks)
