"""An explanation as text and as JSON. Called by `remediator explain`; pure, and asks nobody.

What comes of alerts, rules and answers is redacted; in text it goes through `plain` as well: one line, no control
characters.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from remediator.cli.figures import Figures, Placed
from remediator.cli.service import plain
from remediator.cli.telling import clock_time, excerpt
from remediator.kit.redaction import Redactor
from remediator.kit.wording import counted
from remediator.model.alert import Alert, AlertStatus
from remediator.model.duration import say_duration
from remediator.model.facts import Evidence
from remediator.model.ids import RuleId
from remediator.model.plan import Effect, Mode
from remediator.pipeline.explaining import Explanation, RuleView, Seen, Standing
from remediator.pipeline.outlook import GateOutlook, Outlook, RungOutlook, StepOutlook
from remediator.pipeline.rehearsal import Rehearsed
from remediator.rules.rule import Escalation, Rule

Gathered = Mapping[RuleId, Rehearsed]

_SHORT = 12  # characters of a digest, as it is shown everywhere
_LONGEST_LINE = 4000  # a label can be as long as a body; JSON has all of it


def say_failure(seen: Seen) -> str:
    """Why a matcher failed, with the value that it saw."""
    label = seen.matcher.label
    has = f'the alert has {label}="{seen.value}"' if seen.value is not None else f"the alert has no label {label}"
    return f"{seen.matcher} failed: {has}"


_NEVER_ACT = (Mode.OBSERVE, Mode.SUGGEST)


class Text:
    """Renders explanations for people."""

    def __init__(self, redactor: Redactor, *, every_rule: bool, figures: Figures, alert_from: str = "") -> None:
        """`alert_from`: who is asked whether an alert still fires."""
        self._redactor = redactor
        self._every_rule = every_rule
        self._alert_from = alert_from
        self._figures = figures

    def lines(self, explanation: Explanation, gathered: Gathered) -> Iterator[str]:
        """One alert, with the rules that are worth showing."""
        yield from map(self._safe, self._alert(explanation.alert))
        if explanation.is_heartbeat:
            yield from map(self._safe, _heartbeat(explanation))
            return
        if explanation.alert.status is AlertStatus.RESOLVED:
            yield "  A resolved alert starts no run; this is what the rules would make of it while it fires."
        for view in explanation.matching:
            yield ""
            yield from map(self._safe, self._matching(view, is_gathered=view.rule.id in gathered))
            if view.rule.id in gathered:
                yield from map(self._safe, _rehearsed(gathered[view.rule.id]))
            elif view.outlook is not None and any(rung.unknown for rung in view.outlook.rungs):
                yield "  (--gather finds out what is not known yet: it only reads)"
        if not explanation.matching:
            yield "No rule matches this alert."
        others = [view for view in explanation.rules if view.standing is not Standing.MATCHES]
        shown = others if self._every_rule else list(explanation.near)
        if shown:
            yield "\nOther rules:" if self._every_rule else "\nRules that come near:"
            yield from (f"  {self._safe(_why_not(view))}" for view in shown)
        if len(shown) < len(others):
            more = len(others) - len(shown)
            yield f"({counted(more, 'more rule does', 'more rules do')} not match; --all shows every one)"

    def _safe(self, line: str) -> str:
        kept = line.lstrip(" ")
        return line[: len(line) - len(kept)] + plain(self._redactor.start(kept, _LONGEST_LINE))

    def _alert(self, alert: Alert) -> Iterator[str]:
        yield f"Alert {alert.name or '(no name)'}, {_lasted(alert)}"
        labels = [f"{name}={value}" for name, value in sorted(alert.labels.items()) if name != "alertname"]
        yield f"  labels: {', '.join(labels) or '(none)'}"

    def _matching(self, view: RuleView, *, is_gathered: bool) -> Iterator[str]:
        outlook = view.outlook
        if outlook is None:
            return
        yield f"{view.rule.id} matches: {outlook.summary}"
        if view.group_key:
            key = ", ".join(f"{name}={value}" for name, value in view.group_key)
            yield f"  group: one run for all alerts with {key}"
        yield f"  mode: {_mode(view, outlook)}"
        if self._alert_from and outlook.mode not in _NEVER_ACT and any(rung.steps for rung in outlook.rungs):
            yield f"  alert: has to fire still right before each change, by {self._alert_from}"
        for step in outlook.diagnose:
            yield f"  looks: {step.id.removeprefix('diagnose.')}: {step.sentence}"
            yield from _doubts(step, "    ", is_gathered=is_gathered)
        if not outlook.rungs:
            yield "  The rule only diagnoses: it has no remedy."
        for rung in outlook.rungs:
            yield from self._rung(view.rule, rung, outlook, is_gathered=is_gathered)
        if view.rule.escalate:
            yield f"  escalates while it lasts: {', '.join(map(_level, view.rule.escalate))}"

    def _rung(self, rule: Rule, rung: RungOutlook, outlook: Outlook, *, is_gathered: bool) -> Iterator[str]:
        yield f"  remedy {rung.index + 1}, {rung.name}: {_condition(rung, is_gathered=is_gathered)}"
        if rung.tell:
            yield f"    tells people: {rung.tell}"
            return
        for number, step in enumerate(rung.steps, 1):
            yield f"    {number}. {step.sentence} ({'at most ' if step.at_most else ''}{step.effect})"
            yield from _doubts(step, "       ", is_gathered=is_gathered)
            yield from _way_back(step)
        if rung.lasts is not None:
            yield f"    put back after {say_duration(rung.lasts)}, or when the alert resolves"
        if rung.every is not None:
            yield f"    done again each {say_duration(rung.every)}, as long as the alert fires"
        yield from _limits(self._figures.of_remedy(rule, rule.rungs[rung.index]))
        yield from _proof(rung, is_gathered=is_gathered)
        yield f"    gate: {self._gate(rung.gate, outlook.mode)}"
        yield from (f"    would be refused: {why}" for why in rung.refusals)
        if rung.digest is not None or not is_gathered:  # else the plan below has it
            yield f"    digest: {_digest(rung)}"

    def _gate(self, gate: GateOutlook, mode: Mode) -> str:
        if mode in _NEVER_ACT:
            return f"nothing is done in the mode {mode}"
        if not gate.reasons:
            return "nobody is asked"
        people = "person" if gate.quorum == 1 else "people"
        who = f" of {', '.join(gate.approvers)}" if gate.approvers else ""
        until = say_duration(gate.timeout) + (f" of {' and '.join(gate.hours)}" if gate.hours else "")
        why = ", ".join(gate.reasons)
        said = f"{gate.quorum} {people}{who} must approve it within {until} (else: {gate.on_timeout}): {why}"
        return "; ".join((said, *gate.doubts))


def _limits(found: Sequence[Placed]) -> Iterator[str]:
    """The limits that hold: those that somebody has set, with where, and the others."""
    own = [f"{one.figure.name} {one.figure.said} ({one.says})" for one in found if one.figure.path]
    shipped = [f"{one.figure.name} {one.figure.said}" for one in found if not one.figure.path]
    if own:
        yield f"    limits: {'; '.join(own)}"
    if shipped:
        yield f"    limits as shipped: {'; '.join(shipped)}"


def _level(level: Escalation) -> str:
    return f"{level.to} {f'after {say_duration(level.after)}' if level.after else 'at once'}"


def _heartbeat(explanation: Explanation) -> Iterator[str]:
    """What becomes of a beat, whatever rules match it."""
    is_resolved = explanation.alert.status is AlertStatus.RESOLVED
    noted = "its resolution is no beat" if is_resolved else "that it came is noted"
    yield f"  It is taken as the heartbeat (heartbeat.alertname): {noted}, no rule is asked, and nothing is started."
    for view in explanation.matching:
        yield f"  {view.rule.id} would match it, and is never carried out for it."


def _lasted(alert: Alert) -> str:
    """Since when it fires, or from when to when it did; a sender may leave either time out."""
    start, end = (clock_time(at.isoformat()) if at is not None else "" for at in (alert.starts_at, alert.ends_at))
    if alert.status is not AlertStatus.RESOLVED:
        return f"firing since {start}"
    if not end:
        return f"resolved; it was firing from {start}" if alert.is_start_known else "resolved"
    return f"firing from {start} to {end}, resolved" if alert.is_start_known else f"resolved at {end}"


def _why_not(view: RuleView) -> str:
    if view.failed is not None:
        return f"{view.rule.id}: {say_failure(view.failed)}"
    return f"{view.rule.id}: its matchers hold, but {view.winner} stands before it and has no `continue: true`"


def _mode(view: RuleView, outlook: Outlook) -> str:
    if view.rule.mode is outlook.mode:
        return outlook.mode
    return f"{outlook.mode} (the rule says {view.rule.mode}, and mode_ceiling is {outlook.ceiling})"


def _condition(rung: RungOutlook, *, is_gathered: bool) -> str:
    if not rung.when:
        return "always, in its turn"
    if rung.trouble:
        return f"`{rung.when}` ends the search: {rung.trouble}"
    if rung.holds is None:
        needs = _results(rung.needs)
        return f"if `{rung.when}`: " + (f"{needs}: see below" if is_gathered else f"not known yet, it needs {needs}")
    return f"if `{rung.when}`: {'true' if rung.holds else 'false'}"


def _results(needs: tuple[str, ...]) -> str:
    return ", ".join(f"steps.{need}" for need in needs)


def _doubts(step: StepOutlook, indent: str, *, is_gathered: bool) -> Iterator[str]:
    if step.trouble:
        yield f"{indent}cannot be carried out: {step.trouble}"
    if step.missing_labels:
        yield f"{indent}not on the alert: {', '.join(step.missing_labels)}"
    if step.needs:
        yield f"{indent}{'see below for' if is_gathered else 'not known yet:'} {_results(step.needs)}"


def _way_back(step: StepOutlook) -> Iterator[str]:
    """Whether `remediator undo` could put it back; nothing where that depends on what is not known yet."""
    if step.stays is not None:
        yield f"       cannot be put back: {step.stays}" if step.stays else "       can be put back"


def _proof(rung: RungOutlook, *, is_gathered: bool) -> Iterator[str]:
    proof = rung.proof
    times = f"within {say_duration(proof.within)}, first looked at after {say_duration(proof.settle)}"
    if not proof.checks:
        yield f"    proof: the alert resolves within {say_duration(proof.within)}"
        return
    yield f"    proof: holds for {say_duration(proof.sustain)} {times}"
    for check in proof.checks:
        yield f"      {check.sentence}, expecting {check.expect}"
        yield from _doubts(check, "        ", is_gathered=is_gathered)


def _digest(rung: RungOutlook) -> str:
    if rung.digest is not None:
        return rung.digest[:_SHORT]
    if rung.refusals:
        return "none, there would be no plan"
    return f"needs {', '.join(rung.unknown)}" if rung.unknown else "not worked out"


def _rehearsed(found: Rehearsed) -> Iterator[str]:
    yield "  Looked at just now:"
    for name, item in found.evidence.items():
        said = (item.brief or "(nothing)") if item.ok else f"could not be found out: {item.brief}"
        yield f"    {name}: {said}"
        yield from (f"    {line}" for line in excerpt(item.detail))
    if found.rung:
        yield f"  It leads to the remedy “{found.rung}”."
    plan = found.plan
    if plan is not None:
        for number, step in enumerate(plan.steps, 1):
            yield f"    {number}. {step.sentence}"
            if step.targets:
                yield f"       on {', '.join(map(str, step.targets))}"
            yield f"       {step.action} {json.dumps(dict(step.params), ensure_ascii=False)}"
        yield f"    digest: {plan.digest[:_SHORT]}"
    yield f"  {found.says[0].upper()}{found.says[1:]}."


# JSON


def as_json(explanation: Explanation, gathered: Gathered, redactor: Redactor, figures: Figures) -> dict[str, Any]:
    """Everything that is known, every rule included."""
    alert = explanation.alert
    shown: dict[str, Any] = redactor.value(
        {
            "alert": {
                "fingerprint": alert.fingerprint,
                "status": alert.status.value,
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": alert.starts_at.isoformat().replace("+00:00", "Z"),
            },
            "heartbeat": explanation.is_heartbeat,
            "matching": [view.rule.id for view in explanation.matching],
            "rules": [_rule_json(view, gathered.get(view.rule.id), figures) for view in explanation.rules],
        }
    )
    return shown


def _rule_json(view: RuleView, found: Rehearsed | None, figures: Figures) -> dict[str, Any]:
    failed = view.failed
    return {
        "rule": view.rule.id,
        "standing": view.standing.name.lower(),
        "matchers": [{"matcher": str(one.matcher), "value": one.value, "holds": one.holds} for one in view.seen],
        "why_not": say_failure(failed) if failed is not None else None,
        "passed_over_for": view.winner,
        "continue": view.rule.continues,
        "group_key": dict(view.group_key),
        "escalate": [{"after": level.after.total_seconds(), "to": level.to} for level in view.rule.escalate],
        "outlook": None if view.outlook is None else _outlook_json(view, view.outlook, figures),
        "gathered": None if found is None else _rehearsed_json(found),
    }


def _outlook_json(view: RuleView, outlook: Outlook, figures: Figures) -> dict[str, Any]:
    rungs = view.rule.rungs
    return {
        "summary": outlook.summary,
        "mode": {"effective": outlook.mode.value, "rule": view.rule.mode.value, "ceiling": outlook.ceiling.value},
        "diagnose": [_step_json(step) for step in outlook.diagnose],
        "remediate": [_rung_json(rung, figures.of_remedy(view.rule, rungs[rung.index])) for rung in outlook.rungs],
    }


def _step_json(step: StepOutlook) -> dict[str, Any]:
    shown = {
        "id": step.id,
        "action": step.action,
        "effect": step.effect.value,
        "effect_is_at_most": step.at_most,
        "sentence": step.sentence,
        "params": dict(step.params),
        "timeout": None if step.timeout is None else step.timeout.total_seconds(),
        "needs": [f"steps.{need}" for need in step.needs],
        "missing_labels": list(step.missing_labels),
        "trouble": step.trouble or None,
        "can_be_put_back": None if step.stays is None else not step.stays,
        "stays": step.stays or None,
    }
    return {**shown, "expect": step.expect} if step.expect else shown


def _rung_json(rung: RungOutlook, limits: Sequence[Placed]) -> dict[str, Any]:
    gate, proof = rung.gate, rung.proof
    return {
        "name": rung.name,
        "when": rung.when or None,
        "holds": rung.holds,
        "needs": [f"steps.{need}" for need in rung.needs],
        "trouble": rung.trouble or None,
        "tell": rung.tell or None,
        "do": [_step_json(step) for step in rung.steps],
        "for": None if rung.lasts is None else rung.lasts.total_seconds(),
        "every": None if rung.every is None else rung.every.total_seconds(),
        "verify": {
            "settle": proof.settle.total_seconds(),
            "sustain": proof.sustain.total_seconds(),
            "within": proof.within.total_seconds(),
            "every": proof.every.total_seconds(),
            "checks": [_step_json(check) for check in proof.checks],
        },
        "gate": {
            "reasons": list(gate.reasons),
            "approvers": list(gate.approvers),
            "quorum": gate.quorum,
            "timeout": gate.timeout.total_seconds(),
            "on_timeout": gate.on_timeout,
            "hours": list(gate.hours),
            "doubts": list(gate.doubts),
        },
        "limits": [one.as_json() for one in limits],
        "refusals": list(rung.refusals),
        "digest": rung.digest,
        "digest_needs": list(rung.unknown),
    }


def _rehearsed_json(found: Rehearsed) -> dict[str, Any]:
    plan = found.plan
    return {
        "evidence": {name: _evidence_json(item) for name, item in found.evidence.items()},
        "remedy": found.rung or None,
        "says": found.says,
        "plan": None
        if plan is None
        else {
            "name": plan.name,
            "digest": plan.digest,
            "targets": [str(target) for target in plan.targets],
            "changes": any(step.effect is not Effect.READ for step in plan.steps),
            "steps": [
                {
                    "id": step.id,
                    "action": step.action,
                    "effect": step.effect.value,
                    "sentence": step.sentence,
                    "params": dict(step.params),
                    "timeout": step.timeout.total_seconds(),
                    "targets": [str(target) for target in step.targets],
                    "can_be_put_back": None if step.stays is None else not step.stays,
                    "stays": step.stays or None,
                }
                for step in plan.steps
            ],
            "checks": [check.sentence for check in plan.verification.checks],
        },
    }


def _evidence_json(item: Evidence) -> dict[str, Any]:
    return {
        "action": item.action,
        "ok": item.ok,
        "brief": item.brief,
        "detail": item.detail,
        "result": dict(item.result),
        "seconds": item.seconds,
    }
