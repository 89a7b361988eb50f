"""The stages of a run, from the webhook's alert to the outcome. `flow` alone knows their order."""
