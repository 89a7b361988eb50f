"""What is looked at during an outage and after it, whatever it was that went away."""

import logging

from tests import services, storm
from tests.served import Served

log = logging.getLogger("chaos")


def is_ready(served: Served, status: int) -> None:
    """Wait until the service says how ready it is."""
    services.wait_until(lambda: served.readiness()[0] == status, f"readiness to answer {status}")


def check(served: Served, load: storm.Load, database: services.Postgres | None = None) -> None:
    """Nothing lost, nothing twice."""
    found = storm.wait_until_all_ended(served, database, count=len(load.alerts), limit=180)
    effects = storm.effects_of(served)
    log.info("answers %s; outcomes %s; effects %d", dict(load.answers), dict(found.outcomes), effects.total())

    assert load.alerts == set(found.runs)
    assert set() == found.repeated
    assert set() == {name for name, count in effects.items() if count > 1}
    assert load.services - found.unknown <= set(effects)
    assert {"told", "healed", "unknown"} >= set(found.outcomes)
    assert found.outcomes["healed"] >= 0.9 * len(load.services)
