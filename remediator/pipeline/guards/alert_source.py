"""Who is asked whether an alert still fires, in words. On its own, so that nothing heavy is loaded to tell it."""

ALERTMANAGER, PROMETHEUS = "Alertmanager", "Prometheus"


def source_of(*, has_alertmanager: bool, has_prometheus: bool) -> str:
    """The first of those that are there; else what the webhook has said."""
    if has_alertmanager:
        return ALERTMANAGER
    return PROMETHEUS if has_prometheus else "what the webhook has said last"
