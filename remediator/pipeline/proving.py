"""Looks for the proof that what was done has helped, and ends that where a person wants it put back.

Called by the flow when the last step of a plan has ended. What counts as proof is `verification`'s; here, news of the
run is heard meanwhile, because a proof can take its time.
"""

from remediator.kit.clock import Clock
from remediator.model.facts import Ended, Verified
from remediator.model.run import Run, Undo
from remediator.model.stage import Acted, cancelled, resolved
from remediator.pipeline import outcome
from remediator.pipeline.concluding import Concluding
from remediator.pipeline.escalation.escalating import Escalating
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.settling import note_settlement
from remediator.pipeline.silencing.silences import open_silences
from remediator.pipeline.silencing.silencing import ASK_EVERY, Silencing
from remediator.pipeline.turn import Turn
from remediator.pipeline.verification import Watch
from remediator.rules.book import Rule


class _NoMoreProof(Exception):  # noqa: N818 - it only ends the proof, and never leaves this module
    """A person wants what was done to be put back: whether it helps does not matter any more."""


def is_to_be_undone(run: Run) -> bool:
    """Whether a person wants what the run has done to be put back."""
    return any(isinstance(signal, Undo) for signal in run.signals)


class Proving:
    """Sees plans that were carried out through their proof."""

    def __init__(
        self, watch: Watch, silencing: Silencing, escalating: Escalating, concluding: Concluding, clock: Clock
    ) -> None:
        self._watch = watch
        self._silencing = silencing
        self._escalating = escalating
        self._concluding = concluding
        self._clock = clock

    async def verify(self, ledger: Ledger, rule: Rule, stage: Acted, turn: Turn) -> Ended | None:
        """Note what verification finds, and hear news meanwhile; or the end of a run that is to be put back.

        That a person wants the run to stop is told now: it keeps nothing from being looked at, and has no fact.
        """

        is_told = False

        async def tell_wish() -> None:
            nonlocal is_told
            is_told = is_told or await ledger.tell_wish()

        async def is_resolved() -> bool:
            await self._silencing.look(ledger)
            await ledger.read_signals()
            if is_to_be_undone(ledger.run):
                raise _NoMoreProof
            await tell_wish()
            if note_settlement(ledger):  # told now: a proof can take its time
                await ledger.save()
            await self._escalating.see_to(ledger, rule)
            return resolved(ledger.run) is not None

        if stage.unknown:  # the proof may have another word on the same changes
            await self._concluding.conclude(ledger, rule, stage.planned)
        policy = stage.planned.plan.verification
        since = stage.last.at if stage.last else stage.planned.at
        try:
            if is_to_be_undone(ledger.run):
                raise _NoMoreProof  # noqa: TRY301 - as while it is looked for
            await tell_wish()
            found, samples = await self._watch.until_proven(
                ledger.run,
                rule,
                policy,
                since=since,
                resting=turn,
                is_resolved=is_resolved,
                ask_every=ASK_EVERY if open_silences(ledger.run) else None,
            )
        except _NoMoreProof:
            await self._concluding.conclude_well(ledger, rule, stage.planned)
            return outcome.called_off(self._clock.now(), cancelled(ledger.run), None)
        ledger.note(Verified(self._clock.now(), stage.planned.round, found.proof, samples, found.brief))
        return None
