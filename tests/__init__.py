"""Makes `tests.services` importable, whatever else on the machine is called `tests`."""
