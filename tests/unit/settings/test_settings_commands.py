"""What the parameters of commands let pass where nothing else is said."""

import re

import pytest

from remediator.settings import CommandParameter


@pytest.mark.parametrize("value", ["a", "nginx", "web-1.example.org", "a_", "0-", "x" * 63])
def test_names_pass(value: str) -> None:
    assert re.fullmatch(CommandParameter().pattern, value)


@pytest.mark.parametrize("value", ["", "-n", ".", "nginx.", "nginx..", "a b", "a/b", "x" * 64, "nginx\n", "naïve"])
def test_what_could_be_an_option_a_path_or_the_same_name_once_more_does_not(value: str) -> None:
    """`nginx.` is the host that `nginx` is, and would be another target to `protected` and to the cooldown."""
    assert not re.fullmatch(CommandParameter().pattern, value)
