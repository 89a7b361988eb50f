"""Judges a crash test from the files that it has left, and nothing else: `python -m tests.crash.checker FOLDER`.

It believes the target and the chat, which wrote down what really happened, and holds the service to what it says.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from remediator.chat.chat import REPEATED
from tests.crash.audited import judge_journal
from tests.crash.gates import judge_gates
from tests.crash.journal import Record, read
from tests.crash.ran import STEPS, Run, Trouble

LEAST_SHARE = 0.9
"""Of the runs that nothing was done to, so many reach their effect at the least: a service that refuses is no proof."""

_IDEMPOTENT = "put"
_MOST_SHOWN = 20


@dataclass
class Verdict:
    """What is wrong, if anything, and how much was looked at."""

    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Of the runs that nothing was done to, and that nobody denied, how many reached their effect and healed."""
        return self.counts["calm and healed"] / max(self.counts["calm"] - self.counts["calm and denied"], 1)


def judge(folder: Path, *, least_calm: int = 1) -> Verdict:
    """The verdict on a folder. Fewer than `least_calm` runs that nothing was done to prove nothing."""
    verdict = Verdict()
    runs = [Run.of(record) for record in read(folder / "runs.jsonl")]
    effects: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for effect in (*read(folder / "effects.jsonl"), *read(folder / "puts.jsonl")):
        effects[effect["alert"], effect["step"]].append(effect)
    troubles = list(_troubles(read(folder / "troubles.jsonl")))
    verdict.problems += _judge_accepted(read(folder / "accepted.jsonl"), runs)
    verdict.problems += judge_gates(folder, runs, effects)
    verdict.problems += judge_journal(folder, runs)
    verdict.problems += _judge_strays(effects, runs)
    for run in runs:
        verdict.problems += _judge_run(run, effects)
        _count(verdict, run, effects, is_calm=not any(run.was_under_way(trouble) for trouble in troubles))
    chat, posts = read(folder / "chat.jsonl"), read(folder / "posts.jsonl")
    verdict.problems += _judge_chat(chat, posts, runs)
    verdict.counts["messages"] = len({message["mark"] for message in chat})
    verdict.counts["messages repeated"] = sum(1 for message in chat if not message["edit"]) - verdict.counts["messages"]
    _judge_share(verdict, least_calm)
    return verdict


def _troubles(records: Iterable[Record]) -> Iterator[Trouble]:
    """A kill is a moment; a freeze and a cut last until the same service thaws or is mended, or for good."""
    open_: dict[tuple[str, str], float] = {}
    ends = {"thawed": "frozen", "mended": "cut"}
    for record in records:
        how, service = record["how"], record["service"]
        at = float(record["since"] if "since" in record else record["at"])
        if how == "killed":
            yield Trouble(at, at)
        elif how in ends:
            yield Trouble(open_.pop((service, ends[how])), at)
        else:
            open_[service, how] = at
    for begin in open_.values():
        yield Trouble(begin, float("inf"))


def _judge_accepted(accepted: Sequence[Record], runs: Sequence[Run]) -> Iterator[str]:
    """Every accepted alert has one run, of its own rule, with its outcome."""
    found = defaultdict(list)
    for run in runs:
        found[run.alert].append(run)
    promised = {record["alert"]: record["kind"] for record in accepted}
    for alert, kind in promised.items():
        mine = found[alert]
        if len(mine) != 1:
            yield f"alert {alert} was accepted and has {len(mine)} runs"
        for run in mine:
            if run.kind != kind:
                yield f"alert {alert} is for rule {kind} and has a run of {run.kind}"
            if run.outcome is None:
                yield f"run {run.id} of alert {alert} has no outcome"
    for alert in found.keys() - promised.keys():
        yield f"run {found[alert][0].id} is for alert {alert}, which nobody was told of"


def _judge_strays(effects: Mapping[tuple[str, int], Sequence[Record]], runs: Sequence[Run]) -> Iterator[str]:
    known = {run.alert for run in runs}
    for alert, step in effects:
        if alert not in known:
            yield f"step {step} was done for alert {alert}, which has no run"


def _judge_run(run: Run, effects: Mapping[tuple[str, int], Sequence[Record]]) -> Iterator[str]:
    """Nothing that may not be repeated is done twice, and what the service says of each step is so."""
    for step in range(1, STEPS[run.kind] + 1):
        done = effects.get((run.alert, step), ())
        yield from _judge_step(run, step, done)
    if run.outcome == "healed" and not run.is_unknown:
        missing = [step for step in range(1, STEPS[run.kind] + 1) if not effects.get((run.alert, step))]
        if missing:
            yield f"run {run.id} ({run.kind}) says healed, and step {missing[0]} was not done"
    if run.outcome == "unknown" and not run.is_unknown:
        yield f"run {run.id} says unknown, and no step of it is"


def _judge_step(run: Run, step: int, done: Sequence[Record]) -> Iterator[str]:
    what = f"run {run.id} ({run.kind}), step {step}"
    not_begun = {fact["attempt"] for fact in run.facts("finished", step) if not fact.get("begun", True)}
    started, finished = (
        [fact for fact in run.facts(kind, step) if fact["attempt"] not in not_begun] for kind in ("started", "finished")
    )
    statuses = run.statuses(step)
    most = 2 if run.kind == _IDEMPOTENT else 1
    if len(done) > most:
        yield f"{what} was done {len(done)} times"
    elif len(done) > len(started):
        yield f"{what} was done {len(done)} times and was recorded as started {len(started)} times"
    if len(started) > most:
        yield f"{what} was started {len(started)} times"
    if "done" in statuses and not done:
        yield f"{what} was not done, and is recorded as done"
    if done and not statuses & {"done", "unknown"}:
        yield f"{what} was done, and is recorded as {', '.join(sorted(statuses)) or 'nothing'}"
    if len(started) > len(finished) and run.outcome is not None and most == 1:
        yield f"{what} was started and has no end, not even an unknown one"


def _count(verdict: Verdict, run: Run, effects: Mapping[tuple[str, int], Sequence[Record]], *, is_calm: bool) -> None:
    counts = verdict.counts
    steps = range(1, STEPS[run.kind] + 1)
    counts["runs"] += 1
    counts[f"outcome {run.outcome}"] += 1
    counts["effects"] += sum(len(effects.get((run.alert, step), ())) for step in steps)
    counts["unknown steps"] += run.is_unknown
    counts["late ends"] += any(fact["kind"] == "late_finished" for fact in run.timeline)
    counts["repeated, as it may be"] += sum(len(effects.get((run.alert, step), ())) == 2 for step in steps)
    counts["decisions"] += len(run.decisions)
    if is_calm:
        reached = all(effects.get((run.alert, step)) for step in steps)
        counts["calm"] += 1
        counts["calm and denied"] += run.is_denied
        counts["calm and healed"] += run.outcome == "healed" and not run.is_unknown and reached
        if run.is_unknown:
            verdict.problems.append(f"run {run.id} says unknown, and nothing was done to it")


def _judge_share(verdict: Verdict, least_calm: int) -> None:
    calm = verdict.counts["calm"]
    if calm < least_calm:
        verdict.problems.append(
            f"only {calm} runs were left in peace; {least_calm} are needed for it to prove anything"
        )
    elif (wanted := calm - verdict.counts["calm and denied"]) and verdict.share < LEAST_SHARE:
        verdict.problems.append(
            f"{verdict.counts['calm and healed']} of the {wanted} runs that were left in peace and not denied have "
            f"reached their effect and healed: {verdict.share:.0%}, and {LEAST_SHARE:.0%} is the least"
        )


def _judge_chat(chat: Sequence[Record], posts: Sequence[Record], runs: Sequence[Run]) -> Iterator[str]:
    """Each message has arrived, in its thread; once, or again with the note that it may be a repeat."""
    arrived: dict[str, list[Record]] = defaultdict(list)
    for message in chat:
        if not message["edit"]:
            arrived[message["mark"]].append(message)
    queued = {_mark(post): post for post in posts}
    for mark, post in queued.items():
        yield from _judge_message(mark, post, arrived)
    for mark in arrived.keys() - queued.keys():
        yield f"message {mark} has arrived, and was never queued"
    for run in runs:
        for key in ("parent", "ended"):
            if not any(mark.startswith(f"{run.id}/{key}") for mark in arrived):
                yield f"run {run.id} has no message {key}"


def _judge_message(mark: str, post: Record, arrived: Mapping[str, Sequence[Record]]) -> Iterator[str]:
    mine = arrived.get(mark, ())
    if not mine or post["sent_version"] < post["version"]:
        yield f"message {mark} has not arrived"
        return
    for again in mine[1:]:
        if REPEATED not in again["text"]:
            yield f"message {mark} has arrived {len(mine)} times, and does not say so"
    if (post["ref"] or "").rpartition(":")[2] not in {message["ts"] for message in mine}:
        yield f"message {mark} stands at {post['ref']}, where it never arrived"
    parents = {message["ts"] for message in arrived.get(f"{post['run']}/parent", ())}
    if post["run"] and post["key"] != "parent" and not {message["thread"] for message in mine} <= parents:
        yield f"message {mark} is not in the thread of its run"


def _mark(post: Record) -> str:
    return f"{post['run']}/{post['key']}" if post["run"] else f"note/{post['channel']}/{post['key']}"


def told(verdict: Verdict) -> str:
    """The verdict in words."""
    counts = ", ".join(f"{name}: {count}" for name, count in sorted(verdict.counts.items()))
    said = [f"{counts}; {verdict.share:.1%} of the calm runs healed"]
    left = len(verdict.problems) - _MOST_SHOWN
    said += [f"PROBLEM {problem}" for problem in verdict.problems[:_MOST_SHOWN]]
    return "\n".join([*said, *([f"and {left} more"] if left > 0 else [])])


def main(arguments: Sequence[str]) -> int:
    verdict = judge(Path(arguments[0]))
    sys.stdout.write(told(verdict) + "\n")
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
