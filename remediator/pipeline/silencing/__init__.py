"""Silences of a run's own alerts while it acts."""
