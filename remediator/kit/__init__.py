"""The small things everything stands on: clock, tasks, logs, metrics, redaction. It knows nothing of alerts."""
