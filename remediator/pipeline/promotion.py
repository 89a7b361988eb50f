"""Suggests that a rule may act by itself, on recorded evidence alone: it is always a person who changes its mode.

Called by the flow when a plan has healed. It reads the journal of changes and a few earlier runs, and changes nothing.
"""

from remediator.model.change import Ending
from remediator.model.facts import Planned
from remediator.model.plan import Mode
from remediator.model.run import Run
from remediator.model.stage import approval_of
from remediator.pipeline.guards import Case
from remediator.pipeline.guards.tries import of_rule, tries_of
from remediator.storage.store import Store

ENOUGH = 10
"""So many plans in a row that people approved as they were, and that healed, are worth a word."""


async def suggestion(store: Store, case: Case) -> str:
    """What is worth considering now that the case has healed; empty where nothing is. Raises StoreUnavailable."""
    if case.rule.mode is not Mode.GATED or not _is_approved_unchanged(case.run, case.round):
        return ""
    question = of_rule(case, if_bad=False)
    tries = tries_of((await store.known([question])).latest(question))
    earlier = [one for one in tries if one.key != (case.run.id, case.round)][1 - ENOUGH :]
    if len(earlier) < ENOUGH - 1 or any(one.ending is not Ending.HEALED for one in earlier):
        return ""
    for one in earlier:
        run = await store.read_run(one.run)
        if run is None or not _is_approved_unchanged(run, one.round):
            return ""
    return f"the last {ENOUGH} plans of this rule were approved unchanged and healed: `mode: auto` may be considered"


def _is_approved_unchanged(run: Run, round_: int) -> bool:
    """Whether a person has approved the plan of a round as it was made first."""
    plans = [fact for fact in run.facts if isinstance(fact, Planned) and fact.round == round_]
    return len(plans) == 1 and not plans[0].differs and approval_of(run, plans[0]) is not None
