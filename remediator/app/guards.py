"""All that stands in the way of changes: which guards and probes the service runs with. Made by the wiring.

What a guard asks of other systems is asked where the settings have them; the guards say what they make of it.
"""

from remediator.clients import Clients
from remediator.kit.clock import Clock
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Guards
from remediator.pipeline.guards.alert_rules import AlertRules
from remediator.pipeline.guards.asking import Asking
from remediator.pipeline.guards.dead_man import DeadMan
from remediator.pipeline.guards.dependencies import Dependencies
from remediator.pipeline.guards.deploys import Deploys
from remediator.pipeline.guards.health_floor import HealthFloor
from remediator.pipeline.guards.pause_file import PauseFile
from remediator.pipeline.guards.protected import ProtectedGroup
from remediator.pipeline.guards.shipped import shipped
from remediator.pipeline.guards.still_true import StillTrue
from remediator.settings import Settings
from remediator.storage.store import Store


def guards_of(settings: Settings, store: Store, clients: Clients, calls: Calls, clock: Clock) -> Guards:
    """The guards, by what is known and by what the world says."""
    client = clients.alertmanager
    asking = Asking(client, clock) if client is not None else None
    rules = _alert_rules(clients, clock) if client is None and settings.prometheus.is_asked_for_alerts else None
    still_true = StillTrue(store, asking, rules)

    async def ping_prometheus() -> None:
        await clients.prometheus.ping()

    probes = (
        PauseFile(settings.pause_path, is_set=settings.pause_file is not None),
        ProtectedGroup(settings.protected, store),
        still_true,
        Dependencies(store, asking, rules),
        HealthFloor(calls),
        Deploys(calls, store.known),
        DeadMan(store, ping_prometheus if settings.prometheus.url is not None else None, started=clock.now()),
    )
    judges = shipped(settings.calendar, settings.protected)
    return Guards(judges, store.known, probes, alert_from=still_true.source)


def _alert_rules(clients: Clients, clock: Clock) -> AlertRules:
    """What guards ask Prometheus, where it is configured."""
    return AlertRules(Asking(clients.prometheus, clock, name="Prometheus"), clock)
