"""Measures the service: how fast, how flat, how small. `python -m bench --help`; nothing of the product imports it."""
