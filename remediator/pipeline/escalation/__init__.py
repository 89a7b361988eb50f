"""Whom else to turn to while a problem lasts: when, in which words, and who has taken it on."""
