"""No guard is left out of what the service runs with: one that is not asked guards nothing."""

import importlib
import pkgutil
from pathlib import Path

import pytest

from remediator.app import App
from remediator.pipeline import guards
from remediator.pipeline.guards import Guard, Probe
from remediator.pipeline.guards.shipped import shipped
from remediator.pipeline.guards.still_true import StillTrue
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.settings import (
    AlertmanagerSettings,
    CalendarSettings,
    PrometheusSettings,
    ProtectedSettings,
    Settings,
    StoreSettings,
)


def classes_with(*methods: str) -> set[str]:
    """Every class of the package that can do this, but for the protocols and the engine."""
    names = [one.name for one in pkgutil.iter_modules(guards.__path__)]
    modules = [importlib.import_module(f"{guards.__name__}.{name}") for name in names]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    able = {one for one in found if all(callable(getattr(one, name, None)) for name in methods)}
    return {one.__name__ for one in able if one not in (Guard, Probe, guards.Guards)}


def test_every_guard_is_shipped_and_the_plainest_refusals_come_first() -> None:
    """What the first refusal says is what people are told."""
    names = [type(one).__name__ for one in shipped(CalendarSettings(), ProtectedSettings())]

    assert classes_with("asks", "judge") == set(names)
    assert [
        "Targets",
        "Protected",
        "Pauses",
        "Storm",
        "Calendar",
        "Attempts",
        "Flapping",
        "Breaking",
        "Budgets",
        "Cooldown",
        "Demotion",
    ] == names


@pytest.mark.parametrize(
    ("alertmanager", "prometheus", "raises_alerts", "expected"),
    [
        (True, True, True, "Alertmanager"),
        (True, False, True, "Alertmanager"),
        (False, True, True, "Prometheus"),
        (False, True, False, "what the webhook has said last"),
        (False, False, True, "what the webhook has said last"),
    ],
)
def test_whoever_knows_best_is_asked_whether_an_alert_still_fires(
    tmp_path: Path, *, alertmanager: bool, prometheus: bool, raises_alerts: bool, expected: str
) -> None:
    """Alertmanager knows of silences, Prometheus of what its rules raise; plans and `explain` say who it was."""
    url = "http://127.0.0.1:1"
    settings = Settings(
        store=StoreSettings(directory=tmp_path),
        alertmanager=AlertmanagerSettings(url=url if alertmanager else None),
        prometheus=PrometheusSettings(url=url if prometheus else None, raises_alerts=raises_alerts),
    )
    app = App(settings, actions=Actions({}), book=Book(()))
    made = app.parts.guards
    (still_true,) = (one for one in made.probes if isinstance(one, StillTrue))

    assert [expected] * 2 == [made.alert_from, still_true.source]


def test_the_service_runs_with_every_guard_and_every_probe(tmp_path: Path) -> None:
    """Also with those that look at the world."""
    settings = Settings(
        store=StoreSettings(directory=tmp_path), alertmanager=AlertmanagerSettings(url="http://127.0.0.1:1")
    )
    app = App(settings, actions=Actions({}), book=Book(()))
    made = app.parts.guards

    assert len(shipped(CalendarSettings(), ProtectedSettings())) == len(made.guards)
    assert ["PauseFile", "ProtectedGroup", "StillTrue", "Dependencies", "HealthFloor", "Deploys", "DeadMan"] == [
        type(one).__name__ for one in made.probes
    ]
    assert classes_with("look") == {type(one).__name__ for one in made.probes}
