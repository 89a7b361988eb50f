"""The settings of the API over runs: how often it may be called."""

from datetime import timedelta

from remediator.model.budget import Budget, Window
from remediator.settings.sections.section import Section


class ApiSettings(Section):
    """How often the API may be called. Each process counts for itself."""

    rate: Window = Budget(300, timedelta(minutes=1))
    """How many calls that change something (decisions, pauses, …) each token may make in what time: so many at once,
    and then as many as come back with time. It is above what a person does who takes on a storm run by run."""
    failures: Window = Budget(20, timedelta(minutes=1))
    """How often one address may come with a token that is not good in what time. After that it is sent away unheard,
    unless it comes with the admin token or one that was good before. An IPv6 network (/64) is one address."""
