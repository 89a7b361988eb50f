"""What people say on what they are asked, by several ways, and whether a start has enough of it behind it.

Shared by the machine of approvals and by that of limits. The judge goes by the words that it has heard to be taken; of
what is stored it only reads what was asked, and until when.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from remediator.kit.clock import Clock
from remediator.model.facts import Asked, Planned, Started, Voided
from remediator.model.ids import Digest, RunId
from remediator.model.person import Person
from remediator.model.run import Run
from remediator.pipeline.approvals import Answer, Approvals, Said, Verdict
from remediator.pipeline.people import People

SETTINGS = {
    "people": {"ana": {"slack": "UANA"}, "ben": {"slack": "UBEN"}, "eve": {"slack": "UEVE"}},
    "approval": {"groups": {"dba": ["ana", "ben"]}, "admin_decides": False},
}
WAYS = ("slack", "token")
MAY_DECIDE = ("ana", "ben")
NAMES = (*MAY_DECIDE, "eve", "mallory")


class Hears(Protocol):
    """Whoever takes people's words: a replica."""

    @property
    def people(self) -> People: ...

    @property
    def approvals(self) -> Approvals: ...

    @property
    def clock(self) -> Clock: ...


class AtOnce:
    """A turn that never waits for others."""

    has_news = False
    may_change = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def wait_to_change(self, at_most: timedelta | None = None) -> None:
        """Nobody is before it."""

    def end_change(self) -> None:
        """Nobody waits for it."""

    def leave(self) -> None:
        """Nobody waits for it."""

    async def rest(self, duration: timedelta) -> None:
        """No news comes but by what is stored."""
        await self._clock.sleep(duration)


@dataclass(frozen=True)
class Question:
    """What people are shown."""

    run: RunId
    planned: Planned
    until: datetime

    @property
    def place(self) -> tuple[int, int]:
        return self.planned.round, self.planned.revision


@dataclass(frozen=True)
class Vote:
    """A word that was taken."""

    name: str
    approved: bool
    digest: Digest
    place: tuple[int, int]
    run: RunId


class Words:
    """All words that were taken, and what they were used for."""

    def __init__(self) -> None:
        self.votes: list[Vote] = []
        self._used: dict[tuple[RunId, tuple[int, int]], int] = {}

    async def say(self, by: Hears, question: Question, name: str, way: str, *, approved: bool) -> Verdict:
        """Have somebody decide. What is taken has to be from who may decide, in time, and new."""
        run, digest, place = question.run, question.planned.plan.digest, question.place
        said = Said(_person(by, name, way), approved, digest, "because", place)
        verdict = await by.approvals.decide(run, said)
        assert verdict is not None
        if verdict.answer is Answer.TAKEN:
            vote = Vote(name, approved, digest, place, run)
            assert name in MAY_DECIDE, f"{name} may not decide"
            assert vote not in self.votes, f"{name} has said so before"
            assert by.clock.now() <= question.until, f"{name} was too late"
            self.votes.append(vote)
        return verdict

    def judge(self, run: Run, started: Started, gate: Mapping[str, Any]) -> str:
        """A step that was started had its question, asked about just that, and enough people for it; how it went."""
        before = run.facts[: run.facts.index(started)]
        plan = next(f.plan for f in reversed(before) if isinstance(f, Planned) and f.round == started.round)
        asked = next((f for f in reversed(before) if isinstance(f, Asked)), None)
        assert asked is not None, "nobody was asked"
        place = (asked.round, asked.revision)
        about = next(f for f in before if isinstance(f, Planned) and f.key == asked.key)
        assert about.plan.digest == plan.digest, "another plan was asked about"
        assert not [f for f in before if isinstance(f, Voided) and f.key == asked.key], "the question was void"
        votes = [v for v in self.votes if (v.run, v.place, v.digest) == (run.id, place, plan.digest)]
        of_run = [v for v in self.votes if v.run == run.id and v.place[0] <= started.round]
        assert all(v.approved for v in of_run), f"it was denied, whatever was asked since: {of_run}"
        ayes = {v.name for v in votes if v.approved}
        by_itself = gate.get("on_timeout") == "auto" and started.at >= asked.until
        is_enough = len(ayes) >= gate.get("quorum", 1)
        assert by_itself or is_enough, f"not enough have approved: {votes}"
        assert self._used.setdefault((run.id, place), started.round) == started.round, "an approval was used twice"
        return "approved" if is_enough else "by itself"


def _person(by: Hears, name: str, way: str) -> Person:
    return by.people.of_slack(f"U{name.upper()}") if way == "slack" else by.people.of_token(name)
