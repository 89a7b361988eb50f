"""The words for a target that another run holds; the same for every engine. Pure."""

from datetime import datetime

from remediator.model.outcome import Reason
from remediator.storage.runs import Refusal


def busy(target: str, holder: str, until: datetime | None) -> Refusal:
    """A target is held by a run: one that acts, or, with a time, one that has ended with a step that is unknown."""
    said = f"{target} is held by run {holder}"
    if until is None:
        return Refusal(Reason.TARGET_BUSY, said)
    why = "which has ended, and nobody saw the end of its step"
    end = f"{until:%Y-%m-%d %H:%M:%S} UTC"
    frees = f"`remediator runs settle {holder} done|not-done` frees it, else it is free at {end}"
    return Refusal(Reason.TARGET_BUSY, f"{said}, {why}: {frees}")
