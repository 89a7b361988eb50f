"""Every setting, and the only reader of the environment. Read once at start; each part is passed what it needs.

Sources, the later one wins: the defaults here, `remediator.yaml`, variables `REMEDIATOR_*` (two underscores between
levels: `REMEDIATOR_SLACK__TOKEN`). A secret `x` of a section can be given as `x_file`, the path of a file with it.
Relative paths are taken from the folder of the settings file they stand in; elsewhere from the working folder.
"""

from remediator.settings.addresses import Network
from remediator.settings.loading import MistakenSettings, load_settings, place_in_settings
from remediator.settings.sections import (
    AlertmanagerSettings,
    CalendarSettings,
    CommandParameter,
    CommandSettings,
    DockerSettings,
    EscalationSettings,
    FileSettings,
    HeartbeatSettings,
    HttpSettings,
    LimitsSettings,
    LogSettings,
    OccurrenceSettings,
    PartialLimits,
    PipelineSettings,
    PostgresSettings,
    PressureSettings,
    PrometheusSettings,
    ProtectedSettings,
    PutBackSettings,
    RedisParameter,
    RedisSettings,
    Secret,
    Section,
    SlackSettings,
    StoreSettings,
    SystemSettings,
    TcpSettings,
    WebhookSettings,
)
from remediator.settings.settings import Settings

__all__ = [
    "AlertmanagerSettings",
    "CalendarSettings",
    "CommandParameter",
    "CommandSettings",
    "DockerSettings",
    "EscalationSettings",
    "FileSettings",
    "HeartbeatSettings",
    "HttpSettings",
    "LimitsSettings",
    "LogSettings",
    "MistakenSettings",
    "Network",
    "OccurrenceSettings",
    "PartialLimits",
    "PipelineSettings",
    "PostgresSettings",
    "PressureSettings",
    "PrometheusSettings",
    "ProtectedSettings",
    "PutBackSettings",
    "RedisParameter",
    "RedisSettings",
    "Secret",
    "Section",
    "Settings",
    "SlackSettings",
    "StoreSettings",
    "SystemSettings",
    "TcpSettings",
    "WebhookSettings",
    "load_settings",
    "place_in_settings",
]
