"""Where alerts, runs and messages are kept. One protocol (`store.py`), and one package for each engine."""
