"""Which rules an alert starts. Pure."""

from remediator.model.alert import Alert
from remediator.rules.book import Book, Rule


def match(alert: Alert, book: Book) -> tuple[Rule, ...]:
    """The rules that an alert starts, should it turn out to be a new occurrence."""
    return book.match(alert.labels)
