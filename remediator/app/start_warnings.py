"""What the settings and the rules leave out or switch off: the log warns of it at each start.

What is not configured is shown by /readyz, too. None of it keeps the service from working.
"""

import structlog

from remediator.pipeline.audit_key import KEY_NOT_SHARED, key_not_shared
from remediator.pipeline.escalation.listing import unknown_levels
from remediator.pipeline.guards.names import endless_in_rules, endless_limits
from remediator.pipeline.silencing.silences import unsilenced_rules
from remediator.rules.book import Book
from remediator.settings import Settings

log = structlog.get_logger(__name__)


def warn_at_start(settings: Settings, book: Book) -> None:
    """Log all that people should know of before they rely on the service."""
    for what, remedy in not_configured(settings):
        log.warning("not_configured", what=what, remedy=remedy)
    if key_not_shared(settings):
        log.warning("audit_key_not_shared", what=KEY_NOT_SHARED)
    for one in endless_limits(settings):
        log.warning("limit_switched_off", where=".".join(map(str, one.path)), what=one.what)
    for rule, what in endless_in_rules(book):
        log.warning("limit_switched_off", where=f"rule {rule}", what=what)
    for rule, what in unsilenced_rules(book, settings.alertmanager):
        log.warning("rule_not_silenced", rule=rule, what=what)
    for rule, level in unknown_levels(book, settings.escalation):
        remedy = f"add it under escalation; until then {rule} tells nobody but its own thread"
        log.warning("escalation_level_unknown", rule=rule, level=level, remedy=remedy)


def not_configured(settings: Settings) -> list[tuple[str, str]]:
    """What is missing for the product to do all that it can: a name, and what to set."""
    missing = []
    if settings.slack.token is None:
        missing.append(("slack", "the story is printed here instead; set slack.token and slack.channel"))
    if not settings.docker.engines:
        missing.append(("docker", "docker.* actions will fail; set docker.engines"))
    if settings.prometheus.url is None:
        missing.append(("prometheus", "prometheus.query will fail; set prometheus.url"))
    if settings.alertmanager.url is None:
        remedy = "doubtful alerts are not asked about, cut deliveries not completed; set alertmanager.url"
        missing.append(("alertmanager", remedy))
    if not settings.http.allow:
        missing.append(("http", "http.* actions may reach nothing; set http.allow"))
    return missing
