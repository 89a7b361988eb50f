"""remediator: takes Alertmanager's alerts, acts within hard limits, proves that it helped."""

__version__ = "0.1.0.dev0"
