"""The one engine of guards: what all of them say together, early, and again in the transaction of the start."""

from collections.abc import Awaitable, Callable, Sequence

from remediator.model.change import Change
from remediator.model.history import Known, Question
from remediator.model.plan import Effect
from remediator.model.undo import undo_action
from remediator.pipeline.guards.guard import AlsoOfUndoing, Ask, Case, Guard, Hold, Probe, Refuse, Review, together
from remediator.storage.runs import Refusal, Reservation

Look = Callable[[Sequence[Question]], Awaitable[Known]]
"""Answers questions from the store; raises StoreUnavailable."""


class Guards:
    """All guards. They are asked in their order, and what the first refusal says is told."""

    def __init__(
        self, guards: Sequence[Guard], look: Look, probes: Sequence[Probe] = (), *, alert_from: str = ""
    ) -> None:
        """`alert_from`: who is asked whether the alert still fires, for people."""
        self.guards = tuple(guards)
        self.alert_from = alert_from
        self._look = look
        self.probes = tuple(probes)

    async def review(self, case: Case) -> Review:
        """What stands in the way now. Raises StoreUnavailable: nothing is begun by guessing."""
        questions = self._questions(case)
        known = await self._look(questions) if questions else Known()
        said = self._judge(case, known)
        if isinstance(said, Refuse | Hold):
            return said
        return together([said, await self.look(case)])

    async def ask(self, questions: Sequence[Question]) -> Known:
        """What the journal tells besides, for whoever adds to a start. Raises StoreUnavailable."""
        return await self._look(questions)

    async def look(self, case: Case) -> Review:
        """What the world says against it now: asked right before each changing step."""
        return together([await probe.look(case) for probe in self.probes if _is_asked(probe, case)])

    def reserve(self, case: Case) -> Reservation:
        """What the plan takes, and how the store finds out, in its own transaction, whether it may begin."""

        def judge(known: Known) -> Refusal | None:
            return _refusal(self._judge(case, known), case)

        return Reservation(case.plan.locks, changes_of(case), self._questions(case), judge)

    def _questions(self, case: Case) -> tuple[Question, ...]:
        asked = (guard for guard in self.guards if _is_asked(guard, case))
        return tuple(dict.fromkeys(question for guard in asked for question in guard.asks(case)))

    def _judge(self, case: Case, known: Known) -> Review:
        return together([guard.judge(case, known) for guard in self.guards if _is_asked(guard, case)])


def _is_asked(one: Guard | Probe, case: Case) -> bool:
    return not case.undoes or isinstance(one, AlsoOfUndoing)


def _refusal(review: Review, case: Case) -> Refusal | None:
    match review:
        case Hold(reason=reason, until=until, detail=detail):
            return Refusal(reason, detail, until)
        case Refuse(reason=reason, detail=detail):
            return Refusal(reason, detail, case.at)  # at once: the review says the same, and ends the run
        case Ask(reason=reason, detail=detail) if not case.has_approved(review):
            return Refusal(reason, detail, case.at)
    return None


def changes_of(case: Case) -> tuple[Change, ...]:
    """The plan's entries for the journal: each of its changing actions on each of its targets; the first counts."""
    found: dict[tuple[str, str], Change] = {}
    counted: set[str] = set()
    for step in case.plan.steps:
        if step.effect is Effect.READ:
            continue
        for target in step.targets:
            key = (target.name, step.action)
            if key not in found:
                found[key] = _change(case, target.name, step.action, counts=target.name not in counted)
                counted.add(target.name)
    return tuple(found.values())


def _change(case: Case, target: str, action: str, *, counts: bool) -> Change:
    run = case.run
    round_ = case.round
    action = undo_action(action) if case.undoes else action
    return Change(run.id, round_, run.rule, target, action, run.created_at, case.at, counts=counts)
