"""The checker of the crash tests: what is good passes, and everything that it is there for fails it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.chat.chat import REPEATED
from remediator.model.audit import AuditEntry, key_id, seal_of
from tests.crash.audited import KEY_FILE
from tests.crash.checker import judge

Record = dict[str, Any]
T0 = 1_800_000_000.0
KEY = b"a key for the journal of a test"


def at(seconds: float) -> str:
    return datetime.fromtimestamp(T0 + seconds, UTC).isoformat()


def fact(kind: str, second: float, *, step: int = 1, attempt: int = 1, **more: Any) -> Record:
    return {"kind": kind, "at": at(second), "step": f"remediate.0.{step - 1}", "attempt": attempt, **more}


def done(second: float, *, step: int = 1, status: str = "done") -> list[Record]:
    """A step as a run tells it."""
    return [fact("started", second, step=step), fact("finished", second + 0.1, step=step, status=status)]


def asked(second: float) -> list[Record]:
    """A plan that people are asked about."""
    plan = {"kind": "planned", "at": at(second), "plan": {"digest": "d"}}
    return [plan, {"kind": "asked", "at": at(second), "until": at(second + 900)}]


def decision(second: float, who: str, *, approved: bool = True) -> Record:
    return {"kind": "decision", "at": at(second), "person": who, "approved": approved, "digest": "d"}


def entry(what: str, moment: str, *, run: str, who: str = "remediator", subject: str = "") -> Record:
    """An entry of the audit journal, as the API shows it, before it is sealed."""
    texts = dict.fromkeys(("via", "shown", "digest", "origin", "outcome", "detail"), "")
    unsealed = {"place": None, "seal": None, "key": None}
    return {"seq": 0, **unsealed, "at": moment, "what": what, "who": who, "run": run, "subject": subject, **texts}


def entries_of(run: Record) -> list[Record]:
    """What the journal has of a run."""
    words = {"started": "started", "finished": "finished", "late_finished": "finished late", "asked": "asked"}
    found = [
        entry(words[one["kind"]], one["at"], run=run["id"], subject=f"{one.get('step', 'plan')}: http.post")
        for one in run["timeline"]
        if one["kind"] in words
    ]
    for one in run["signals"]:
        what = "approved" if one["approved"] else "denied"
        found.append(entry(what, one["at"], run=run["id"], who=one["person"]))
    return found


def seal(entries: list[Record]) -> None:
    """Give each its place in the chain."""
    before = ""
    for place, one in enumerate(entries, 1):
        texts = {name: value for name, value in one.items() if name not in ("seq", "place", "seal", "key", "at")}
        before = seal_of(KEY, before, place, AuditEntry(at=datetime.fromisoformat(one["at"]), **texts))
        one.update(seq=place, place=place, seal=before, key=key_id(KEY))


@dataclass
class Story:
    """What everybody wrote down. Alert `a` is of rule post and was left in peace; `b`, of put, was killed and repeated;
    `c`, of gated, was approved by two, one of them twice; `d`, of two, lost its first step to a kill; `e`, of asked,
    was denied."""

    accepted: list[Record] = field(default_factory=list)
    decided: list[Record] = field(default_factory=list)
    repeated: list[Record] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)
    effects: list[Record] = field(default_factory=list)
    puts: list[Record] = field(default_factory=list)
    troubles: list[Record] = field(default_factory=list)
    runs: list[Record] = field(default_factory=list)
    posts: list[Record] = field(default_factory=list)
    chat: list[Record] = field(default_factory=list)
    heads: list[Record] = field(default_factory=list)
    refusals: list[Record] = field(default_factory=list)  # entries of the journal
    forge: Callable[[list[Record]], object] = len
    """What is done to the entries of the journal before they are sealed."""
    tamper: Callable[[list[Record]], object] = len
    """And afterwards."""

    def __post_init__(self) -> None:
        self.add("a", "post", 0, done(0))
        repeated = [fact("started", 10), fact("started", 11, attempt=2)]
        self.add("b", "put", 10, [*repeated, fact("finished", 12, attempt=2, status="done")])
        approvals = [decision(20.1, "ann"), decision(20.2, "ben")]
        self.add("c", "gated", 20, [*asked(20), *done(20.5)], signals=approvals)
        self.add("e", "asked", 30, asked(30), signals=[decision(31, "admin", approved=False)], outcome="denied")
        for run, who, approved in (("c", "ann", True), ("c", "ben", True), ("e", "admin", False)):
            self.decided.append({"run": f"run-{run}", "who": who, "approved": approved, "digest": "d"})
        says = "you have approved it already, at 20:00:00 UTC"
        self.repeated.append({"run": "run-c", "who": "ann", "status": 409, "says": says})
        self.refusals.append(entry("refused", at(20.3), run="run-c", who="ann"))
        self.add("d", "two", 10, done(10, status="unknown"), outcome="unknown")
        self.effects += [{"alert": "a", "step": 1, "at": T0}, {"alert": "c", "step": 1, "at": T0 + 20.5}]
        self.puts += [{"alert": "b", "step": 1, "at": T0 + s} for s in (10, 11)]
        self.troubles.append({"how": "killed", "service": "one", "since": T0 + 10.5, "at": T0 + 10.5})

    def add(
        self, alert: str, kind: str, second: float, timeline: list[Record], *, outcome: str = "healed", **more: Any
    ) -> None:
        """An alert with all that belongs to it: accepted, a run, its messages."""
        run = f"run-{alert}"
        self.accepted.append({"alert": alert, "kind": kind})
        self.runs.append(
            {
                "id": run,
                "rule": f"crash/{kind}",
                "alert": {"fingerprint": alert},
                "outcome": outcome,
                "created_at": at(second),
                "ended_at": at(second + 3),
                "timeline": timeline,
                "signals": [],
                **more,
            }
        )
        for key in ("parent", "ended.1"):
            ts = f"{alert}.{key}"
            sent = {"version": 1, "sent_version": 1, "ref": f"C1:{ts}", "channel": "C1"}
            self.posts.append({"run": run, "key": key, **sent})
            self.say(f"{run}/{key}", ts, thread=None if key == "parent" else f"{alert}.parent")

    def say(self, mark: str, ts: str, *, thread: str | None = None, text: str = "") -> None:
        self.chat.append({"mark": mark, "ts": ts, "thread": thread, "edit": 0, "text": text})

    def run(self, alert: str) -> Record:
        return next(run for run in self.runs if run["id"] == f"run-{alert}")

    def journal(self) -> list[Record]:
        """The audit journal, as it is sealed."""
        entries = [one for run in self.runs for one in entries_of(run)] + self.refusals
        self.forge(entries)
        seal(entries)
        self.tamper(entries)
        return entries

    def write(self, folder: Path) -> Path:
        files = {name: records for name, records in vars(self).items() if isinstance(records, list)}
        for name, records in {**files, "audit": self.journal()}.items():
            lines = [json.dumps({"at": T0, **record}) + "\n" for record in records]
            (folder / f"{name}.jsonl").write_text("".join(lines))
        (folder / KEY_FILE).write_bytes(KEY)
        return folder


def test_what_is_as_promised_passes(tmp_path: Path) -> None:
    """A repeat of what may be repeated, and an unknown that says so, are within the promise."""
    verdict = judge(Story().write(tmp_path))

    assert [] == verdict.problems
    assert (3, 2, 1) == tuple(verdict.counts[name] for name in ("calm", "calm and healed", "calm and denied"))
    assert (4, 1) == (verdict.counts["effects"], verdict.counts["repeated, as it may be"])


def test_an_unknown_may_have_been_done_once(tmp_path: Path) -> None:
    """That is what unknown means: done, or not."""
    story = Story()
    story.effects.append({"alert": "d", "step": 1, "at": T0 + 10})

    assert [] == judge(story.write(tmp_path)).problems


def test_a_repeated_message_passes_where_it_says_so(tmp_path: Path) -> None:
    """Chat offers no more than that where a message cannot be looked for."""
    story = Story()
    story.say("run-a/ended.1", "again", thread="a.parent", text=f"Healed\n{REPEATED}")

    assert [] == judge(story.write(tmp_path)).problems


def test_a_start_that_could_not_begin_may_be_followed_by_another(tmp_path: Path) -> None:
    """It is certain that nothing was done in the first one."""
    story = Story()
    ends = [
        fact("finished", 6, status="failed", begun=False),
        fact("finished", 7.1, attempt=2, status="done", begun=True),
    ]
    story.run("a")["timeline"][:] = [fact("started", 0), ends[0], fact("started", 7, attempt=2), ends[1]]

    assert [] == judge(story.write(tmp_path)).problems


def lose_run(story: Story) -> None:
    story.runs.remove(story.run("a"))


def double_run(story: Story) -> None:
    story.runs.append({**story.run("a"), "id": "run-2"})


def leave_open(story: Story) -> None:
    story.run("a").update(outcome=None, ended_at=None)


def act_twice(story: Story) -> None:
    story.effects.append({"alert": "a", "step": 1, "at": T0})


def act_twice_unknown(story: Story) -> None:
    story.effects += [{"alert": "d", "step": 1, "at": T0 + 10}] * 2


def start_twice(story: Story) -> None:
    story.run("a")["timeline"].append(fact("started", 1, attempt=2))


def put_three_times(story: Story) -> None:
    story.puts.append({"alert": "b", "step": 1, "at": T0 + 12})


def put_again_unsaid(story: Story) -> None:
    del story.run("b")["timeline"][0]


def act_unrecorded(story: Story) -> None:
    story.run("a")["timeline"] = []


def say_done(story: Story) -> None:
    story.effects.pop(0)


def say_failed(story: Story) -> None:
    story.run("a")["timeline"][1]["status"] = "failed"


def leave_without_end(story: Story) -> None:
    story.run("d")["timeline"].pop()


def be_unknown_in_peace(story: Story) -> None:
    story.troubles.clear()


def act_for_nobody(story: Story) -> None:
    story.effects.append({"alert": "z", "step": 1, "at": T0})


def fail_in_peace(story: Story) -> None:
    story.run("c")["outcome"] = "failed"


def trouble_all(story: Story) -> None:
    story.troubles.append({"how": "frozen", "service": "one", "at": T0 - 1})


def lose_message(story: Story) -> None:
    story.chat.pop(0)


def leave_message_waiting(story: Story) -> None:
    story.posts[1]["sent_version"] = 0


def repeat_message(story: Story) -> None:
    story.say("run-a/ended.1", "again", thread="a.parent")


def stray_from_thread(story: Story) -> None:
    story.chat[1]["thread"] = "b.parent"


def forge_message(story: Story) -> None:
    story.say("run-z/parent", "z")


def never_queue_end(story: Story) -> None:
    story.chat.pop(1)
    story.posts.pop(1)


@pytest.mark.parametrize(
    ("doctor", "said"),
    [
        (lose_run, "alert a was accepted and has 0 runs"),
        (double_run, "alert a was accepted and has 2 runs"),
        (leave_open, "run run-a of alert a has no outcome"),
        (act_twice, "run run-a (post), step 1 was done 2 times"),
        (act_twice_unknown, "run run-d (two), step 1 was done 2 times"),
        (start_twice, "run run-a (post), step 1 was started 2 times"),
        (put_three_times, "run run-b (put), step 1 was done 3 times"),
        (put_again_unsaid, "run run-b (put), step 1 was done 2 times and was recorded as started 1 times"),
        (act_unrecorded, "run run-a (post), step 1 was done 1 times and was recorded as started 0 times"),
        (say_done, "run run-a (post), step 1 was not done, and is recorded as done"),
        (say_failed, "run run-a (post), step 1 was done, and is recorded as failed"),
        (leave_without_end, "run run-d (two), step 1 was started and has no end, not even an unknown one"),
        (be_unknown_in_peace, "run run-d says unknown, and nothing was done to it"),
        (act_for_nobody, "step 1 was done for alert z, which has no run"),
        (
            fail_in_peace,
            "1 of the 2 runs that were left in peace and not denied have reached their effect",
        ),
        (trouble_all, "only 0 runs were left in peace; 1 are needed for it to prove anything"),
        (lose_message, "message run-a/parent has not arrived"),
        (leave_message_waiting, "message run-a/ended.1 has not arrived"),
        (repeat_message, "message run-a/ended.1 has arrived 2 times, and does not say so"),
        (stray_from_thread, "message run-a/ended.1 is not in the thread of its run"),
        (forge_message, "message run-z/parent has arrived, and was never queued"),
        (never_queue_end, "run run-a has no message ended"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_breaks_a_promise_fails(tmp_path: Path, doctor: Callable[[Story], None], said: str) -> None:
    """A checker that lets this pass would let the product do it."""
    story = Story()
    doctor(story)
    problems = judge(story.write(tmp_path)).problems

    assert any(problem.startswith(said) for problem in problems), problems
