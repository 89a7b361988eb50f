"""Who people are: nobody is two, and nobody has a name that the audit journal has for something else."""

from typing import Any

import pytest

from remediator.settings import Settings


@pytest.mark.parametrize(
    ("people", "why"),
    [
        ({"admin": {}}, "nobody can be called 'admin' here"),
        ({"remediator": {}}, "nobody can be called 'remediator' here"),
        ({"anna": {"token": "ben"}, "ben": {}}, "people.ben.token: 'ben' is anna already; nobody is two"),
        ({"anna": {"slack": "U1"}, "ben": {"slack": "U1"}}, "people.ben.slack: 'U1' is anna already; nobody is two"),
    ],
)
def test_people_are_told_apart(people: dict[str, Any], why: str) -> None:
    """What one has decided must not be taken for another's word."""
    with pytest.raises(ValueError, match=why):
        Settings.model_validate({"people": people})
