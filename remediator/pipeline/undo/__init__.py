"""Putting changes back: what can be, when it is to be, and doing it."""
