"""The composition root: what the service is made of, how it starts and stops, and how it says that it is well."""

from remediator.app.app import App

__all__ = ["App"]
