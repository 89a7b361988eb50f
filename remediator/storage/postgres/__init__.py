"""The store on a PostgreSQL server: one writing connection whose commits are shared, and a few that read."""

from remediator.storage.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
