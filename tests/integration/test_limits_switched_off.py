"""A limit that is switched off is said at the start of the real service, and where PAUSE is, from whatever folder."""

from pathlib import Path

import pytest

from tests.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def test_each_limit_that_is_switched_off_is_logged_at_the_start(served: Served) -> None:
    """It may be meant so, and somebody may believe that it holds."""
    limits = {"attempts": "51/1h", "packs": {"web": {"cooldown": "0s"}}, "storm_quiet": "0s"}
    served.configure(limits=limits)
    rules = served.folder / "rules.yaml"
    rules.write_text(rules.read_text().replace("    mode: gated", "    limits: {flapping: 60/1h}\n    mode: gated", 1))
    served.start()
    served.end()
    said = [line for line in served.log().splitlines() if "limit_switched_off" in line]

    assert 4 == len(said), served.log()
    for where, what in (
        ("limits.attempts", "`attempts: 51/1h` never holds"),
        ("limits.storm_quiet", "`storm_quiet: 0s` switches it off: there are no storms"),
        ("limits.packs.web.cooldown", "`cooldown: 0s` switches it off"),
        ("rule web/down", "`flapping: 60/1h` never holds"),
    ):
        assert any(where in line and what in line for line in said), said


def test_with_the_limits_as_shipped_nothing_is_said(served: Served) -> None:
    """A warning that is always there is read by nobody."""
    served.configure(limits={})
    served.start()
    served.end()

    assert "limit_switched_off" not in served.log()


def test_the_pause_file_is_told_by_its_whole_path(served: Served) -> None:
    """Whoever has to remove it stands in another folder than the service."""
    served.configure(store={"directory": "store"})
    served.start()
    file = served.folder / "store" / "PAUSE"
    file.touch()
    (stop,) = served.get("/api/v1/stops")["stops"]
    served.end()

    assert f"the file {file} is there; to go on, remove it" == stop["reason"]
