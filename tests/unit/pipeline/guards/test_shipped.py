"""No guard is left out of what the service runs with: one that is not asked guards nothing."""

import importlib
import pkgutil
from pathlib import Path

from remediator.app import App
from remediator.pipeline import guards
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Guard, Probe
from remediator.pipeline.guards.shipped import shipped
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.settings import AlertmanagerSettings, CalendarSettings, ProtectedSettings, Settings, StoreSettings


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
        "Unbuilt",
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


def test_the_service_runs_with_every_guard_and_every_probe(tmp_path: Path) -> None:
    """Also with those that look at the world."""
    settings = Settings(
        store=StoreSettings(directory=tmp_path), alertmanager=AlertmanagerSettings(url="http://127.0.0.1:1")
    )
    app = App(settings, actions=Actions({}), book=Book(()))
    calls = Calls(app.clients, app.clock, app.redactor, app.metrics, app.systems)
    made = app.guards(calls)

    assert len(shipped(CalendarSettings(), ProtectedSettings())) == len(made.guards)
    assert ["PauseFile", "StillTrue", "Dependencies", "HealthFloor", "DeadMan"] == [
        type(one).__name__ for one in made.probes
    ]
    assert classes_with("look") == {type(one).__name__ for one in made.probes}
