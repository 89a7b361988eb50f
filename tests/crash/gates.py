"""Judges what people have decided, for the checker: each word once, and nothing done without enough of them.

`decided.jsonl`: words whose owner was told that they are taken; `repeated.jsonl`: what was answered to the same word
said again; `refused.jsonl`: words that somebody who may decide was not let say.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.journal import Record, read
from tests.crash.ran import NEAR, STEPS, Run, seconds

APPROVERS = {"gated": frozenset({"ann", "ben"}), "asked": frozenset({"admin"})}
"""Who has to approve runs of a kind: each of them."""


@dataclass(frozen=True)
class Question:
    """What people were asked: until when, and about which plan."""

    at: float
    until: float
    digest: str


def judge_gates(
    folder: Path, runs: Sequence[Run], effects: Mapping[tuple[str, int], Sequence[Record]]
) -> Iterator[str]:
    """All that is wrong with what was decided, and with what came of it."""
    by_id = {run.id: run for run in runs}
    yield from _judge_promises(read(folder / "decided.jsonl"), by_id)
    yield from _judge_repeats(read(folder / "repeated.jsonl"), by_id)
    for record in read(folder / "refused.jsonl"):
        yield f"{record['who']} may decide on run {record['run']} and was refused: {record['status']} {record['says']}"
    for run in runs:
        yield from _judge_words(run)
        yield from _judge_deeds(run, effects)


def _judge_promises(decided: Sequence[Record], runs: Mapping[str, Run]) -> Iterator[str]:
    """Every decision that was acknowledged is there, as it was said."""
    for said in decided:
        run = runs.get(said["run"])
        stored = [(one["person"], one["approved"], one["digest"]) for one in run.decisions] if run is not None else []
        if (said["who"], said["approved"], said["digest"]) not in stored:
            what = "approval" if said["approved"] else "denial"
            yield f"the {what} of run {said['run']} by {said['who']} was acknowledged and is gone"


def _judge_repeats(repeated: Sequence[Record], runs: Mapping[str, Run]) -> Iterator[str]:
    """Who says again what was taken is told so; where people were asked anew, that is another question."""
    for said in repeated:
        run = runs.get(said["run"])
        if run is None or len(_questions(run)) > 1:
            continue
        if said["status"] != 409 or "already" not in said["says"]:
            answer = f"{said['status']} {said['says']}"
            yield f"{said['who']} has said again what was taken of run {said['run']}, and was answered {answer}"


def _questions(run: Run) -> list[Question]:
    found: list[Question] = []
    digest = ""
    for fact in run.timeline:
        if fact["kind"] == "planned":
            digest = fact["plan"]["digest"]
        elif fact["kind"] == "asked":
            found.append(Question(seconds(fact["at"]), seconds(fact["until"]), digest))
    return found


def _question_at(questions: Sequence[Question], moment: float) -> Question | None:
    """The one that was the newest then."""
    return next((question for question in reversed(questions) if question.at <= moment), None)


def _judge_words(run: Run) -> Iterator[str]:
    """To each question every person has said one thing, in time, about the plan that was asked about."""
    questions = _questions(run)
    said: Counter[tuple[str, Question]] = Counter()
    for decision in run.decisions:
        who = decision["person"]
        question = _question_at(questions, seconds(decision["at"]))
        if question is None:
            yield f"run {run.id} was decided on by {who} before anybody was asked"
            continue
        said[who, question] += 1
        if decision["digest"] != question.digest:
            yield f"run {run.id} was decided on by {who} for another plan than people were asked about"
        if seconds(decision["at"]) > question.until:
            yield f"run {run.id} was decided on by {who} when the time was over"
        if who not in APPROVERS.get(run.kind, ()):
            yield f"run {run.id} was decided on by {who}, who may not"
    for (who, _), count in said.items():
        if count > 1:
            yield f"run {run.id} was decided on {count} times by {who}"


def _judge_deeds(run: Run, effects: Mapping[tuple[str, int], Sequence[Record]]) -> Iterator[str]:
    """Nothing is begun or done that was denied, or that not enough people had approved by then."""
    if run.kind not in APPROVERS:
        return
    steps = range(1, STEPS[run.kind] + 1)
    done = [float(effect["at"]) for step in steps for effect in effects.get((run.alert, step), ())]
    begun = [seconds(fact["at"]) for step in steps for fact in run.facts("started", step)]
    if run.is_denied:
        if done or begun:
            yield f"run {run.id} was denied, and {'acted' if done else 'began to act'}"
        if run.outcome not in ("denied", None):
            yield f"run {run.id} was denied, and ended as {run.outcome}"
        return
    if run.outcome == "denied":
        yield f"run {run.id} ended as denied, and nobody has denied it"
    if done or begun:
        missing = APPROVERS[run.kind] - _approved_by(run, min(done + begun))
        if missing:
            yield f"run {run.id} acted before it was approved by {' and '.join(sorted(missing))}"


def _approved_by(run: Run, moment: float) -> set[str]:
    """Who had approved then what was asked last, in time."""
    question = _question_at(_questions(run), moment + NEAR)
    if question is None:
        return set()
    last = min(question.until, moment + NEAR)
    return {
        decision["person"]
        for decision in run.decisions
        if decision["digest"] == question.digest and question.at <= seconds(decision["at"]) <= last
    }
