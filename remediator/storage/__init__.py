"""Where alerts, runs and messages are kept: one protocol (`store.py`), and one package for each engine."""
