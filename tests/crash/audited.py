"""Judges the audit journal, for the checker: what was decided and done stands in it, nothing else, and it is whole.

`audit.jsonl`: the entries as the API shows them at the end; `heads.jsonl`: what its head was, now and then;
`audit.key`: the key that all services seal with.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from remediator.model.audit import AuditEntry, Sealed, key_id
from remediator.model.chain import check_chain
from tests.crash.journal import Record, read
from tests.crash.ran import Run, seconds

KEY_FILE = "audit.key"
_TEXTS = ("what", "who", "via", "run", "subject", "digest", "origin", "outcome", "detail", "shown")
_OF_STEPS = {"started": "started", "finished": "finished", "late_finished": "finished late"}
_OF_RUNS = {"asked": "asked", "ended": "ended"}
_OF_PEOPLE = ("approved", "denied")

_Line = tuple[str, str, float]
"""What, of which step or by whom, and when."""


def judge_journal(folder: Path, runs: Sequence[Run]) -> Iterator[str]:
    """All that is wrong with the journal."""
    entries = read(folder / "audit.jsonl")
    yield from _judge_chain(entries, (folder / KEY_FILE).read_text().strip().encode())
    yield from _judge_heads(entries, read(folder / "heads.jsonl"))
    by_run: dict[str, list[Record]] = {run.id: [] for run in runs}
    for entry in entries:
        if entry["run"] and entry["run"] not in by_run:
            yield f"the audit journal tells of run {entry['run']}, which is not there"
        by_run.setdefault(entry["run"], []).append(entry)
    for run in runs:
        yield from _judge_run(run, by_run[run.id])
    yield from _judge_refusals(read(folder / "repeated.jsonl"), by_run)


def _judge_chain(entries: Sequence[Record], key: bytes) -> Iterator[str]:
    """It can be verified from its very beginning, and nothing was left unsealed."""
    report = check_chain(map(_sealed, entries), keys={key_id(key): key})
    if report.finding:
        yield f"the audit journal is not as it was sealed: {report.finding}"
    if report.unsealed:
        yield f"of the audit journal {report.unsealed} were never sealed"


def _sealed(shown: Record) -> Sealed:
    entry = AuditEntry(at=datetime.fromisoformat(shown["at"]), **{name: shown[name] for name in _TEXTS})
    return Sealed(shown["seq"], entry, shown["place"], shown["seal"], shown["key"])


def _judge_heads(entries: Sequence[Record], heads: Sequence[Record]) -> Iterator[str]:
    """What was its head once stands there still: nobody who took over has written it anew."""
    seals = {entry["place"]: entry["seal"] for entry in entries}
    for head in heads:
        if head["place"] and seals.get(head["place"]) != head["seal"]:
            yield f"the audit journal ended with another entry at place {head['place']} once than stands there now"


def _judge_run(run: Run, entries: Sequence[Record]) -> Iterator[str]:
    """An entry for each fact that wants one, and the other way round."""
    told, entered = Counter(_told(run)), Counter(_entered(entries))
    for (what, of, _), count in sorted((told - entered).items()):
        yield f"run {run.id}: {what} {of} is {_times(count)} without its entry in the audit journal"
    for (what, of, _), count in sorted((entered - told).items()):
        yield f"run {run.id}: {what} {of} is {_times(count)} in the audit journal, and nowhere else"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _told(run: Run) -> Iterator[_Line]:
    for fact in run.timeline:
        if fact["kind"] in _OF_STEPS:
            yield _OF_STEPS[fact["kind"]], fact["step"], seconds(fact["at"])
        elif fact["kind"] in _OF_RUNS:
            yield _OF_RUNS[fact["kind"]], "", seconds(fact["at"])
    for decision in run.decisions:
        yield "approved" if decision["approved"] else "denied", decision["person"], seconds(decision["at"])


def _entered(entries: Sequence[Record]) -> Iterator[_Line]:
    for entry in entries:
        what, at = entry["what"], seconds(entry["at"])
        if what in _OF_STEPS.values():
            yield what, entry["subject"].partition(":")[0], at
        elif what in _OF_RUNS.values():
            yield what, "", at
        elif what in _OF_PEOPLE:
            yield what, entry["who"], at


def _judge_refusals(repeated: Sequence[Record], by_run: Mapping[str, Sequence[Record]]) -> Iterator[str]:
    """A word that was refused is on record as well; the same again within a minute need not be."""
    answered = Counter((said["run"], said["who"]) for said in repeated if said["status"] == 409)
    for (run, who), count in answered.items():
        entered = sum(entry["what"] == "refused" and entry["who"] == who for entry in by_run.get(run, ()))
        if not entered:
            yield f"run {run}: {who} was refused {_times(count)}, and the audit journal has nothing of that"
