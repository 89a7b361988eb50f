"""A person's word on a step whose end nobody saw becomes a fact of the run, once.

Called by the flow where a round has ended, and while proof is looked for. It stores nothing by itself.
"""

import structlog

from remediator.model.facts import Settled
from remediator.model.stage import settlement
from remediator.pipeline.ledger import Ledger

log = structlog.get_logger(__name__)


def note_settlement(ledger: Ledger) -> bool:
    """Whether a person has settled what was unknown."""
    word = settlement(ledger.run)
    if word is not None:
        ledger.note(Settled(word.at, word.step, word.attempt, word.done, word.by, word.reason))
        log.info("step_settled", step=word.step, done=word.done, by=word.by)
    return word is not None
