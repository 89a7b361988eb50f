"""The sections of the settings, each setting documented under its field: what it does, its unit, why this default."""

from remediator.settings.sections.api import ApiSettings
from remediator.settings.sections.approval import ApprovalSettings, GroupName, PersonName, PersonSettings
from remediator.settings.sections.audit import AuditSettings
from remediator.settings.sections.calendar import CalendarSettings
from remediator.settings.sections.commands import CommandParameter, CommandSettings, PutBackSettings
from remediator.settings.sections.databases import PostgresSettings, RedisParameter, RedisSettings
from remediator.settings.sections.docker import DockerSettings
from remediator.settings.sections.escalation import EscalationSettings
from remediator.settings.sections.files import FileSettings
from remediator.settings.sections.intake import HeartbeatSettings, OccurrenceSettings, PressureSettings, WebhookSettings
from remediator.settings.sections.limits import LimitsSettings, PartialLimits
from remediator.settings.sections.log import LogSettings
from remediator.settings.sections.monitoring import AlertmanagerSettings, PrometheusSettings
from remediator.settings.sections.network import HttpSettings, TcpSettings
from remediator.settings.sections.notify import NotifySettings, PlaceName
from remediator.settings.sections.pipeline import PipelineSettings, SystemSettings
from remediator.settings.sections.protected import ProtectedSettings
from remediator.settings.sections.section import Secret, Section
from remediator.settings.sections.slack import SlackSettings
from remediator.settings.sections.store import StoreSettings

__all__ = [
    "AlertmanagerSettings",
    "ApiSettings",
    "ApprovalSettings",
    "AuditSettings",
    "CalendarSettings",
    "CommandParameter",
    "CommandSettings",
    "DockerSettings",
    "EscalationSettings",
    "FileSettings",
    "GroupName",
    "HeartbeatSettings",
    "HttpSettings",
    "LimitsSettings",
    "LogSettings",
    "NotifySettings",
    "OccurrenceSettings",
    "PartialLimits",
    "PersonName",
    "PersonSettings",
    "PipelineSettings",
    "PlaceName",
    "PostgresSettings",
    "PressureSettings",
    "PrometheusSettings",
    "ProtectedSettings",
    "PutBackSettings",
    "RedisParameter",
    "RedisSettings",
    "Secret",
    "Section",
    "SlackSettings",
    "StoreSettings",
    "SystemSettings",
    "TcpSettings",
    "WebhookSettings",
]
