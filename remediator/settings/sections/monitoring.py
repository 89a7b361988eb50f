"""The settings of Prometheus and of Alertmanager, where they are asked something."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from remediator.model.duration import Duration
from remediator.settings.addresses import web_address
from remediator.settings.sections.section import Section


class PrometheusSettings(Section):
    """The Prometheus that `prometheus.query` asks, and that is asked whether an alert still fires where no Alertmanager
    is."""

    url: Annotated[str | None, AfterValidator(web_address)] = None
    """Its address, such as `http://127.0.0.1:9090`."""
    timeout: Duration = timedelta(seconds=10)
    """How long one query may take."""
    raises_alerts: bool = True
    """Whether its rules raise the alerts that come here. With `false` it is not asked whether they still fire."""

    @property
    def is_asked_for_alerts(self) -> bool:
        """Whether it is asked if an alert still fires, where no Alertmanager is."""
        return self.url is not None and self.raises_alerts


class AlertmanagerSettings(Section):
    """The Alertmanager that is asked whether an alert still fires, and where `alertmanager.silence`, and rules with
    `silence`, silence alerts."""

    url: Annotated[str | None, AfterValidator(web_address)] = None
    """Its address, such as `http://127.0.0.1:9093`. Without it a doubtful alert counts as firing once it is sent again,
    and alerts that a delivery left out are not fetched."""
    timeout: Duration = timedelta(seconds=5)
    """How long one question may take."""
    longest_silence: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(hours=4)
    """How long a silence of ours may last at most. A forgotten one hides the next outage; 0s allows none."""
