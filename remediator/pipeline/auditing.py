"""What the audit journal says of what was done and of people's words. Pure; called by whoever stores these.

Decisions on plans have their entries in `approvals`. What only reads has none: the journal tells who has decided or
done what, not what was looked at. Secrets are taken out of every text here.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from remediator.kit.redaction import Redactor, shorten
from remediator.kit.wording import say_time
from remediator.model.audit import AuditEntry, voucher_of
from remediator.model.chain import DROPPED, subject_of_drop
from remediator.model.digest import digest_of
from remediator.model.facts import (
    Acknowledged,
    Asked,
    Ended,
    Escalated,
    Fact,
    Finished,
    LateFinished,
    Planned,
    Prolonged,
    Settled,
    Silenced,
    Started,
    Unsilenced,
    Voided,
)
from remediator.model.ids import Digest, RunId, StepId
from remediator.model.person import SERVICE, Person
from remediator.model.plan import Effect, Plan, PlannedStep
from remediator.model.run import Acknowledge, Again, Cancel, Run, Settle, Undo
from remediator.model.stop import Stop, StopKind
from remediator.model.undo import Undoing, Undone, undone_by
from remediator.rules.book import Book

_LONGEST = 1000  # characters of one text
_NAMES = 10  # targets that are named

PersonsWord = Acknowledge | Again | Cancel | Settle | Undo


class _Said(NamedTuple):
    """What is said of a fact."""

    what: str
    subject: str = ""
    digest: str = ""
    outcome: str = ""
    detail: str = ""


def of_facts(run: Run, facts: Iterable[Fact], redactor: Redactor) -> tuple[AuditEntry, ...]:
    """What is entered of facts of a run, in their order."""
    return tuple(entry for fact in facts if (entry := _of_fact(run, fact, redactor)) is not None)


def _of_fact(run: Run, fact: Fact, redactor: Redactor) -> AuditEntry | None:
    say = _SAY.get(type(fact))
    said = say(run, fact) if say is not None else None
    if said is None:
        return None
    return _entry(
        fact.at,
        said.what,
        redactor,
        run=run.id,
        subject=said.subject,
        digest=said.digest,
        outcome=said.outcome,
        detail=said.detail,
    )


def _asked(run: Run, fact: Asked) -> _Said:
    wanted = f"{fact.quorum} of {' or '.join(fact.approvers) or 'all who may decide'}"
    until = f"{wanted}, until {say_time(fact.until)}, then {fact.on_timeout}"
    return _Said("asked", _plan(run, fact), _digest(run, fact), until, fact.why)


def _prolonged(run: Run, fact: Prolonged) -> _Said:
    return _Said("prolonged", _plan(run, fact), _digest(run, fact), f"until {say_time(fact.until)}")


def _voided(run: Run, fact: Voided) -> _Said:
    return _Said("voided", _plan(run, fact), _digest(run, fact), detail=fact.why)


def _started(run: Run, fact: Started) -> _Said | None:
    step = _step(run, fact.round, fact.step)
    return None if _only_reads(step, fact.step) else _Said("started", _say_step(fact.step, step), _digest(run, fact))


def _finished(run: Run, fact: Finished) -> _Said | None:
    step = _step(run, fact.round, fact.step)
    if _only_reads(step, fact.step):
        return None
    outcome = fact.status.value if fact.begun else "not begun"
    return _Said("finished", _say_step(fact.step, step), _digest(run, fact), outcome, fact.brief)


def _finished_late(_run: Run, fact: LateFinished) -> _Said:
    return _Said("finished late", fact.step, outcome=fact.status.value, detail=fact.brief)


def _settled(_run: Run, fact: Settled) -> _Said:
    return _Said("settled", fact.step, outcome="done" if fact.done else "not done", detail=f"as {fact.by} says")


def _undoing(run: Run, fact: Undoing) -> _Said:
    return _Said("undoing", run.rule, detail=f"{fact.by} has asked for it" if fact.by else fact.says)


def _undone(run: Run, fact: Undone) -> _Said:
    return _Said("undone", run.rule, outcome="a person has to look" if fact.asks else "put back", detail=fact.brief)


def _silenced(_run: Run, fact: Silenced) -> _Said:
    return _Said("silenced", f"silence {fact.silence}", outcome=f"until {say_time(fact.until)}")


def _unsilenced(run: Run, fact: Unsilenced) -> _Said | None:
    """That it could not be ended is said once, however often it is tried."""
    if fact.tries > 1:
        return None
    ids = (one.silence for one in run.facts if isinstance(one, Silenced) and one.count == fact.count)
    outcome = "ended" if fact.ended else "not ended"
    return _Said("unsilenced", f"silence {next(ids, '')}".strip(), outcome=outcome, detail=fact.brief)


def _escalated(_run: Run, fact: Escalated) -> _Said:
    return _Said("escalated", f"level {fact.to}", outcome=", ".join(fact.channels))


def _acknowledged(run: Run, fact: Acknowledged) -> _Said:
    return _Said("acknowledged", run.rule, detail=f"by {fact.by}")


def _ended(run: Run, fact: Ended) -> _Said:
    return _Said("ended", run.rule, outcome=fact.outcome.value, detail=fact.brief)


_SAY: Mapping[type[Fact], Callable[[Run, Any], _Said | None]] = {
    Asked: _asked,
    Prolonged: _prolonged,
    Voided: _voided,
    Started: _started,
    Finished: _finished,
    LateFinished: _finished_late,
    Settled: _settled,
    Undoing: _undoing,
    Undone: _undone,
    Silenced: _silenced,
    Unsilenced: _unsilenced,
    Escalated: _escalated,
    Acknowledged: _acknowledged,
    Ended: _ended,
}


def of_word(run: RunId, word: PersonsWord, redactor: Redactor, rule: str = "") -> AuditEntry:
    """A person's word to a run; what comes of it is entered when it does."""
    what, subject, outcome = word.kind.replace("_", " "), rule, ""
    if isinstance(word, Again):
        what = "start" if word.by_hand else "rerun"
    elif isinstance(word, Settle):
        subject, outcome = word.step, "done" if word.done else "not done"
    elif isinstance(word, Acknowledge) and word.takes_over:
        outcome = "takes it over"
    return _entry(
        word.at,
        what,
        redactor,
        who=word.person or word.by,
        via=word.via,
        shown=word.by,
        origin=word.origin,
        run=run,
        subject=subject,
        outcome=outcome,
        detail=word.reason,
    )


def of_stop(
    what: str, stop: Stop, at: datetime, redactor: Redactor, person: Person = SERVICE, origin: str = ""
) -> AuditEntry:
    """That a stop begins to stand (`put`), or stands no more (`lifted`, `lapsed`)."""
    words = {(StopKind.PAUSE, "put"): "paused", (StopKind.PAUSE, "lifted"): "resumed"}
    return _entry(
        at,
        words.get((stop.kind, what), f"{stop.kind} {what}"),
        redactor,
        who=person.name,
        via=person.via.value,
        shown=person.shown,
        origin=origin,
        subject=stop.scope,
        outcome=f"until {say_time(stop.until)}" if stop.until is not None and what == "put" else "",
        detail=stop.reason,
    )


def of_reset(system: str, at: datetime, redactor: Redactor, person: Person, origin: str = "") -> AuditEntry:
    """That a person has the breaker of a system closed."""
    who = {"who": person.name, "via": person.via.value, "shown": person.shown, "origin": origin}
    return _entry(at, "breaker reset", redactor, subject=system, **who)


def of_service(what: str, at: datetime, *, version: str, process: str, book: Book) -> AuditEntry:
    """That this process has `started` or `stopped`, and with which rules."""
    return _entry(
        at, f"service {what}", Redactor(), subject=f"version {version}", origin=process, digest=digest_of_book(book)
    )


def of_reload(at: datetime, before: Book, after: Book) -> AuditEntry:
    """That other rules are in force."""
    said = f"{len(after)} rules; before: {digest_of_book(before)}"
    return _entry(at, "rules reloaded", Redactor(), digest=digest_of_book(after), detail=said)


def of_drop(at: datetime, key: bytes, place: int, seal: str) -> AuditEntry:
    """That what is old was dropped from the journal; it vouches for the seal with which the rest begins."""
    proof = voucher_of(key, place, seal)
    return _entry(at, DROPPED, Redactor(), subject=subject_of_drop(place), digest=seal, detail=proof)


def of_settled(at: datetime, trouble: str) -> AuditEntry:
    """That somebody has taken the journal as it is, whatever was wrong with it."""
    return _entry(at, "journal accepted", Redactor(), detail=trouble)


def digest_of_book(book: Book) -> Digest:
    """Of all rules in force, in their order."""
    return digest_of([[rule.id, rule.digest] for rule in book.rules])


def _entry(
    at: datetime, what: str, redactor: Redactor, *, who: str = SERVICE.name, via: str = SERVICE.via.value, **texts: str
) -> AuditEntry:
    said = {name: _text(text, redactor) for name, text in texts.items() if text}
    if said.get("shown") == who:
        del said["shown"]
    return AuditEntry(at, what, _text(who, redactor), via, **said)


def _text(text: str, redactor: Redactor) -> str:
    return shorten(" ".join(redactor.text(text).split()), _LONGEST)


def _plan_of(run: Run, fact: Asked | Prolonged | Voided | Started | Finished) -> Plan | None:
    """The plan that a fact is about."""
    revision = getattr(fact, "revision", None)
    for one in reversed(run.facts):
        if isinstance(one, Planned) and one.round == fact.round and revision in (None, one.revision):
            return one.plan
    return None


def _digest(run: Run, fact: Asked | Prolonged | Voided | Started | Finished) -> str:
    plan = _plan_of(run, fact)
    return plan.digest if plan is not None else ""


def _plan(run: Run, fact: Asked | Prolonged | Voided) -> str:
    plan = _plan_of(run, fact)
    return f"{run.rule}: {plan.name}" if plan is not None else run.rule


def _step(run: Run, round_: int, id_: StepId) -> PlannedStep | None:
    """The step of a plan; of one that puts back, the one that it does."""
    wanted = undone_by(id_) or id_
    plans = (fact.plan for fact in reversed(run.facts) if isinstance(fact, Planned) and fact.round == round_)
    return next((step for plan in plans for step in plan.steps if step.id == wanted), None)


def _only_reads(step: PlannedStep | None, id_: StepId) -> bool:
    return step is not None and step.effect is Effect.READ and undone_by(id_) is None


def _say_step(id_: StepId, step: PlannedStep | None) -> str:
    if step is None:
        return id_
    targets = [str(target) for target in step.targets[:_NAMES]]
    more = f" and {len(step.targets) - _NAMES} more" if len(step.targets) > _NAMES else ""
    return f"{id_}: {step.action}" + (f" on {', '.join(targets)}{more}" if targets else "")
