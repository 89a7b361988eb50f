"""Commands are called in an empty folder, without the settings of this machine."""

import pytest


@pytest.fixture(autouse=True)
def _here(away: None) -> None:
    """Every test is."""


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands ask the service goes past a proxy, wherever one is set."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
