"""Runs, plans, facts and alerts as plain JSON, as the API shows them. Pure; secrets are taken out once more.

Called by the API's pages. Texts that people read are worded here, so that every client says the same.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from remediator.kit.redaction import Redactor
from remediator.kit.wording import counted
from remediator.model.duration import say_duration
from remediator.model.facts import (
    Acknowledged,
    Aside,
    Asked,
    Closed,
    Ended,
    Escalated,
    Examined,
    Fact,
    Finished,
    Held,
    LateFinished,
    Planned,
    Prolonged,
    Reminded,
    Settled,
    Silenced,
    Started,
    StepStatus,
    Unsilenced,
    Verified,
    Voided,
)
from remediator.model.ids import OwnerId
from remediator.model.occurrence import Occurrence
from remediator.model.person import Via
from remediator.model.plan import Plan
from remediator.model.run import (
    Acknowledge,
    Again,
    Cancel,
    Decision,
    Joined,
    Resolved,
    Run,
    RunSummary,
    Settle,
    Signal,
    TakeOver,
    Undo,
)
from remediator.model.stage import Drafted, Over, Underway, stage_of, unsettled
from remediator.model.stop import Stop
from remediator.model.undo import Captured, Left, Undoing, Undone, undone_by
from remediator.storage.reading import PostState
from remediator.web.undo import show_changes

_REDACTOR = Redactor()
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_WAYS: Mapping[str, str] = {Via.SLACK: "in Slack", Via.TOKEN: "with their token", Via.ADMIN: "with the admin token"}


def waiting_plan(run: Run) -> Drafted | None:
    """The plan that a person was asked about and has not decided on, if there is one."""
    stage = stage_of(run)
    waits = isinstance(stage, Drafted) and stage.asked is not None and stage.decision is None
    return stage if waits and isinstance(stage, Drafted) else None


def held_plan(run: Run) -> tuple[datetime, Held] | None:
    """The newest hold of the plan that a guard holds, unless a person is waited for as well; and since when it counts.

    That it is free again is not written down: the next step is.
    """
    stage = stage_of(run)
    if waiting_plan(run) is not None or not isinstance(stage, Drafted | Underway) or stage.held is None:
        return None
    newest = next(fact for fact in reversed(run.facts) if isinstance(fact, Held | Finished))
    since = stage.held.at if isinstance(stage, Underway) else stage.planned.at
    return (since, stage.held) if isinstance(newest, Held) else None


def show_hold(
    since: datetime, held: Held, *, at: datetime, timeout: timedelta, storms: Sequence[Stop] = ()
) -> dict[str, Any]:
    """A hold for JSON: it is written down once, so `until` is None where it was looked at again since then.

    `since`: from when on the time counts after which the plan is dropped. `storms`: those that its run is in; what they
    hold goes on when the last one ends, if no more alerts come.
    """
    ends = [stop.until for stop in storms if stop.until is not None]
    return {
        "reason": held.reason.value,
        "detail": held.detail,
        "since": _say(held.at),
        "until": _say(held.until) if held.until > at else None,
        "every": max(1, round((held.until - held.at).total_seconds())),
        "expires": _say(since + timeout),
        "ends": _say(max(ends)) if ends else None,
    }


def show_summary(summary: RunSummary) -> dict[str, Any]:
    """A line of the list, for JSON."""
    return {
        "id": summary.id,
        "rule": summary.rule,
        "alertname": summary.alertname,
        "created_at": _say(summary.created_at),
        "ended_at": _say(summary.ended_at),
        "outcome": summary.outcome,
        "wake_at": _say(summary.wake_at),
    }


def show_owner(owner: OwnerId, processes: Mapping[OwnerId, str]) -> dict[str, Any] | None:
    """The process that has a run now, for JSON: by the id that its log has, and its host; None where none has it."""
    host = processes.get(owner)
    return None if host is None else {"id": owner, "host": host}


def show_message(post: PostState) -> dict[str, Any]:
    """A message of a run for JSON: whether its newest words stand there, and where."""
    return {
        "key": post.key,
        "title": post.title,
        "channel": post.channel,
        "queued_at": _say(post.queued_at),
        "sent": post.is_sent,
        "ref": post.ref,
    }


def show_occurrence(occurrence: Occurrence) -> dict[str, Any]:
    """An alert for JSON, as it was when it was heard of last."""
    return {
        "fingerprint": occurrence.fingerprint,
        "labels": dict(occurrence.labels),
        "annotations": dict(occurrence.annotations),
        "startsAt": _say(occurrence.starts_at),
        "opened_at": _say(occurrence.opened_at),
        "heard_at": _say(occurrence.heard_at),
        "closed_at": _say(occurrence.closed_at),
        "doubtful": occurrence.doubt is not None,
    }


def stage_name(run: Run) -> str:
    """Where a run stands, in snake case."""
    return _CAPITAL.sub("_", type(stage_of(run)).__name__).lower()


def show_run(run: Run) -> dict[str, Any]:
    """A run for JSON. Facts were redacted when they were stored; times are RFC 3339 in UTC."""
    stage = stage_of(run)
    waiting = waiting_plan(run)
    return {
        "id": run.id,
        "rule": run.rule,
        "summary": run.summary,
        "alert": {
            "fingerprint": run.alert.fingerprint,
            "labels": dict(run.alert.labels),
            "annotations": dict(run.alert.annotations),
            "startsAt": _say(run.alert.starts_at),
        },
        "created_at": _say(run.created_at),
        "stage": stage_name(run),
        "outcome": stage.ended.outcome.value if isinstance(stage, Over) else None,
        "waiting": None if waiting is None else show_question(waiting),
        "unsettled": _show_unsettled(run),
        "changes": show_changes(run),
        "timeline": [show_fact(fact) for fact in run.facts],
        "signals": [show_signal(signal) for signal in run.signals],
    }


def _show_unsettled(run: Run) -> dict[str, Any] | None:
    """The step that nobody knows the end of, for a person to settle."""
    unknown = unsettled(run)
    if unknown is None:
        return None
    plans = (fact.plan for fact in run.facts if isinstance(fact, Planned))
    undone = undone_by(unknown.step)
    of = undone or unknown.step
    sentence = next((s.sentence for plan in plans for s in plan.steps if s.id == of), unknown.step)
    return {
        **_step(unknown),
        "sentence": f"putting back: {sentence}" if undone else sentence,
        "since": _say(unknown.at),
    }


def show_question(waiting: Drafted) -> dict[str, Any]:
    """What people are asked, for JSON: the plan, who may decide on it, until when, and what happens then."""
    return {
        "until": _say(waiting.asked.until) if waiting.asked is not None else None,
        **(_show_asked(waiting.asked, waiting.approvals) if waiting.asked is not None else {}),
        "pools": list(waiting.planned.plan.pools),
        **show_plan(waiting.planned.plan),
    }


def _show_asked(asked: Asked, approvals: Sequence[Decision]) -> dict[str, Any]:
    return {
        "asked_at": _say(asked.at),
        "why": asked.why,
        "approvers": list(asked.approvers),
        "quorum": asked.quorum,
        "missing": max(asked.quorum - len(approvals), 0),
        "approved_by": [decision.by for decision in approvals],
        "on_timeout": asked.on_timeout,
        "touches": asked.touches,
        "record": asked.record,
    }


def show_plan(plan: Plan) -> dict[str, Any]:
    """A plan for JSON, with the digest that a decision has to name, and all that its steps would be given."""
    return {
        "name": plan.name,
        "digest": plan.digest,
        "targets": [str(target) for target in plan.targets],
        "lasts": None if plan.lasts is None else plan.lasts.total_seconds(),
        "every": None if plan.every is None else plan.every.total_seconds(),
        "steps": [
            {
                "id": step.id,
                "action": step.action,
                "effect": step.effect.value,
                "sentence": step.sentence,
                "params": _REDACTOR.value(dict(step.params)),
                "timeout": step.timeout.total_seconds(),
                "targets": [str(target) for target in step.targets],
                "stays": step.stays,
            }
            for step in plan.steps
        ],
        "checks": [check.sentence for check in plan.verification.checks],
        "proof": _REDACTOR.text(_proof(plan)),
    }


def _proof(plan: Plan) -> str:
    """What has to be seen, and within what time, as the thread tells it."""
    checks = "; ".join(f"{check.sentence}, expecting {check.expect}" for check in plan.verification.checks)
    return f"{checks or 'the alert resolves'}, within {say_duration(plan.verification.within)}"


def show_fact(fact: Fact) -> dict[str, Any]:
    """One line of the timeline: when, what kind, in words, and the fields that belong to the kind."""
    text, fields = _words_of(fact)
    return {"at": _say(fact.at), "kind": fact.kind, "text": text, **fields}


def _words_of(fact: Fact) -> tuple[str, dict[str, Any]]:
    match fact:
        case Examined():
            failed = sum(not evidence.ok for evidence in fact.evidence.values())
            return f"gathered evidence: {counted(len(fact.evidence), 'step')}, {failed} failed", _evidence(fact)
        case Planned():
            fields = {"round": fact.round, "revision": fact.revision, "plan": show_plan(fact.plan)}
            text = "planned anew, as it was approved" if fact.renews is not None else "planned"
            text += f", otherwise than it was approved ({fact.differs})" if fact.differs else ""
            says = {"alert_from": fact.alert_from, "stated_by": fact.stated_by, "says_alert": fact.says_alert}
            return f"{text}: {fact.plan.name}", {**fields, **says}
        case Asked():
            why = f": {fact.why}" if fact.why else ""
            fields = {"round": fact.round, "until": _say(fact.until), "why": fact.why}
            asked = {"approvers": list(fact.approvers), "quorum": fact.quorum, "on_timeout": fact.on_timeout}
            told = {"record": fact.record, "touches": fact.touches}
            return f"asked for a decision{why}", {**fields, **asked, **told}
        case Prolonged():
            return "nobody has decided in time; there is as much time again", {"until": _say(fact.until)}
        case Voided():
            return f"what was asked for is void: {fact.why}", {"round": fact.round, "why": fact.why}
        case Held():
            fields = {"round": fact.round, "reason": fact.reason.value, "detail": fact.detail}
            return f"held: {fact.reason.value}", {**fields, "until": _say(fact.until)}
        case Reminded() | Captured() | Undoing() | Undone() | Left() | Silenced() | Unsilenced():
            return _words_of_aside(fact)
        case Escalated() | Acknowledged():
            return _words_of_aside(fact)
        case done:
            return _words_of_deed(done)


def _words_of_deed(
    fact: Started | Finished | LateFinished | Settled | Verified | Ended | Closed,
) -> tuple[str, dict[str, Any]]:
    match fact:
        case Started():
            fields = {**_step(fact), "round": fact.round, "deadline": _say(fact.deadline)}
            return f"started {fact.step}", fields
        case Finished():
            fields = {**_step(fact), "round": fact.round, "status": fact.status.value, "detail": fact.detail}
            fields["begun"] = fact.begun
            if not fact.begun:
                return f"{fact.step} not begun: {fact.brief}", fields
            was_seen = fact.status is not StepStatus.UNKNOWN or fact.seconds > 0
            took = f" after {fact.seconds:.1f} s" if was_seen else ""  # else nobody knows how long it lasted
            return f"{fact.step} {fact.status.value}{took}: {fact.brief}", fields
        case LateFinished():
            fields = {**_step(fact), "status": fact.status.value}
            return f"{fact.step} ended late, {fact.status.value}: {fact.brief}", fields
        case Settled():
            fields = {**_step(fact), "done": fact.done, "by": fact.by, "reason": fact.reason}
            why = f": {fact.reason}" if fact.reason else ""
            return f"{fact.step} {_settled(done=fact.done)}, says {fact.by}{why}", fields
        case Verified():
            fields = {"round": fact.round, "proof": fact.proof.value, "samples": fact.samples}
            return f"{fact.proof.value}: {fact.brief}", fields
        case Ended():
            return f"{fact.outcome.value}: {fact.brief}", {"outcome": fact.outcome.value}
        case Closed():
            return fact.brief, {}
        case other:
            assert_never(other)


def _words_of_aside(fact: Aside) -> tuple[str, dict[str, Any]]:
    match fact:
        case Reminded():
            return "reminded people that a plan waits for them", {"round": fact.round}
        case Captured():
            if fact.before is None:
                return f"{fact.step} cannot be put back later: {fact.why_not}", _step(fact)
            return f"{fact.step}: what was there before was noted", _step(fact)
        case Undoing():
            fields = {"cause": fact.cause.value, "round": fact.round, "by": fact.by, "reason": fact.reason}
            why = f"{fact.by} has asked for it" if fact.by else fact.says
            return f"its changes are put back: {why}", fields
        case Undone():
            what = "not all is put back" if fact.asks else "putting back is over"
            return f"{what}: {fact.brief}", {"asks": fact.asks}
        case Left():
            until = "for good" if fact.until is None else f"until {_say(fact.until)}"
            text = f"{fact.step} left to run {fact.run}, which has changed the same {until}"
            return text, {"step": fact.step, "round": fact.round, "to": fact.run, "until": _say(fact.until)}
        case Silenced():
            return f"silenced in Alertmanager until {_say(fact.until)}", {"silence": fact.silence}
        case Unsilenced():
            what = "silenced no more" if fact.ended else "not over yet" if fact.tries else "not silenced"
            return f"{what}: {fact.brief}" if fact.brief else what, {"ended": fact.ended}
        case Escalated():
            nobody = "the settings have no such level, so nobody else was told"
            sent = f"sent to {' and '.join(fact.channels)}" if fact.channels else nobody
            places = {"level": fact.level, "to": fact.to, "channels": list(fact.channels)}
            return f"escalated to {fact.to}, after {say_duration(fact.after)}; {sent}", places
        case Acknowledged():
            why = f": {fact.reason}" if fact.reason else ""
            what = f"taken it over from {fact.taken_from}" if fact.taken_from else "taken it on"
            return f"{fact.by} has {what}{why}", {"by": fact.by, "reason": fact.reason}
        case other:
            assert_never(other)


def _settled(*, done: bool) -> str:
    return "was done" if done else "was not done"


def _step(fact: Started | Finished | LateFinished | Settled | Settle | Captured) -> dict[str, Any]:
    return {"step": fact.step, "attempt": fact.attempt}


def _evidence(fact: Examined) -> dict[str, Any]:
    return {
        "round": fact.round,
        "evidence": {
            step: {
                "action": evidence.action,
                "ok": evidence.ok,
                "brief": evidence.brief,
                "detail": evidence.detail,
                "seconds": evidence.seconds,
            }
            for step, evidence in fact.evidence.items()
        },
    }


def show_signal(signal: Signal) -> dict[str, Any]:
    """What came from outside, in words and fields."""
    shown: dict[str, Any] = {"at": _say(signal.at), "kind": signal.kind}
    match signal:
        case Resolved():
            text = (
                "nothing was heard of the alert for too long; it counts as resolved"
                if signal.missed
                else "the alert resolved"
            )
            if signal.anew:
                text = f"{signal.anew} has had another run begun for the alert, which fires still"
            return {**shown, "text": text, "missed": signal.missed, "anew": signal.anew, "reason": signal.why}
        case Joined():
            alerts = "one more alert" if signal.count == 1 else f"{signal.count} more alerts"
            fields = {"count": signal.count, "labels": [dict(labels) for labels in signal.labels]}
            return {**shown, "text": f"{alerts} of the group joined", **fields}
        case Decision():
            verb = "approved" if signal.approved else "denied"
            fields = {
                "approved": signal.approved,
                "digest": signal.digest,
                "by": signal.by,
                "reason": signal.reason,
                "person": signal.person,
                "via": signal.via,
                "groups": list(signal.groups),
            }
            way = f" ({_WAYS[signal.via]})" if signal.via in _WAYS else ""
            return {**shown, "text": f"{verb} by {signal.by}{way}", **fields}
        case Cancel():
            return {**shown, "text": f"cancelled by {signal.by}", "by": signal.by, "reason": signal.reason}
        case Settle():
            fields = {**_step(signal), "done": signal.done, "by": signal.by, "reason": signal.reason}
            return {**shown, "text": f"settled by {signal.by}: {signal.step} {_settled(done=signal.done)}", **fields}
        case TakeOver():
            text = (
                f"run {signal.left_by} has left to this one what it has changed before: {signal.step} goes back to that"
            )
            fields = {"round": signal.round, "step": signal.step, "left_by": signal.left_by}
            return {**shown, "text": text, **fields}
        case Undo() | Acknowledge() | Again():
            what = {"undo": "undo asked for", "acknowledge": "taken on", "again": "begun anew"}[signal.kind]
            what = "started by hand" if isinstance(signal, Again) and signal.by_hand else what
            return {**shown, "text": f"{what} by {signal.by}", "by": signal.by, "reason": signal.reason}
        case other:
            assert_never(other)


def _say(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
