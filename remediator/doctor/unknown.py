"""Names in rules that the settings do not have: a step with one would fail when it is needed.

Called by `check`. Pure: nothing is looked at.
"""

from collections.abc import Collection, Iterator, Mapping

from remediator.doctor.needs import ESCALATION, Needs, Use
from remediator.documents import did_you_mean
from remediator.settings import Settings


def unknown_names(settings: Settings, needs: Needs) -> Iterator[tuple[Use, str]]:
    """Each place in a rule that needs what the settings do not name, with a sentence on it."""
    kinds: Mapping[str, tuple[str, Collection[str]]] = {
        "docker": ("Docker engine", settings.docker.engines),
        "redis": ("Redis server", settings.redis),
        "postgres": ("PostgreSQL server", settings.postgres),
        "files": ("files root", settings.files.roots),
        "command": ("command", settings.commands),
        ESCALATION: ("level of escalation", settings.escalation),
    }
    for family, (kind, known) in kinds.items():
        for name in needs.names(family):
            for use in needs.places[family, name] if name not in known else ():
                meant = did_you_mean(name, known)
                yield use, f"the settings name no {kind} `{name}`{meant or '; remediator doctor tells more'}"
