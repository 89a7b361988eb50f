"""Which rules an alert starts. Pure."""

from collections.abc import Iterable

from remediator.model.alert import Alert, AlertStatus
from remediator.model.ids import Fingerprint
from remediator.rules.book import Book, Rule


def match_all(alerts: Iterable[Alert], book: Book) -> dict[Fingerprint, tuple[Rule, ...]]:
    """For each firing alert the rules that it starts, should it turn out to be a new occurrence."""
    return {a.fingerprint: book.match(a.labels) for a in alerts if a.status is AlertStatus.FIRING}
