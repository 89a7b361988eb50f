"""What a system is called."""

import pytest

from remediator.model.system import System


@pytest.mark.parametrize(
    ("system", "name"),
    [
        (System("prometheus"), "prometheus"),
        (System("redis", ("cache",)), "redis:cache"),
        (System("http", ("10.0.0.5", "8080")), "http:10.0.0.5:8080"),
        (System("tcp", ("::1", "80")), "tcp:%3A%3A1:80"),
        (System("tcp", ("a:80", "80")), "tcp:a%3A80:80"),
        (System("docker", ("local\nforged",)), "docker:local%0Aforged"),
        (System("redis", ("\ud800",)), "redis:%3F"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_name_is_of_its_parts_escaped(system: System, name: str) -> None:
    """A host may be a label, and a label is anybody's: it must not pass for another system."""
    assert name == system.name


def test_a_long_part_is_cut() -> None:
    """Names are kept, logged and listed."""
    assert "tcp:" + "x" * 100 == System("tcp", ("x" * 5000,)).name
