"""What a rule asks for and this version cannot do yet: said wherever the rule is looked at, and its plans are held.

Called by planning, and by the commands that check and explain rules. Pure. Each sentence leaves with the change that
builds what it names.
"""

from collections.abc import Iterator

from remediator.model.duration import say_duration
from remediator.rules.rule import Rule, Rung


def held(rule: Rule) -> tuple[str, ...]:
    """Everything of a rule that this version does not carry out, a sentence each."""
    said = [f"the remedy “{rung.name}”: {why}" for rung in rule.rungs for why in _of_rung(rung)]
    said += _of_escalation(rule)
    return tuple(said)


def holds(rung: Rung) -> tuple[str, ...]:
    """Why a plan of this rung is held, whatever else speaks for it."""
    return (*_of_gate(rung), *_of_time(rung))


def _of_rung(rung: Rung) -> Iterator[str]:
    yield from _of_gate(rung)
    yield from _of_time(rung)


def _of_gate(rung: Rung) -> Iterator[str]:
    gate = rung.gate
    if gate is None:
        return
    asked = {
        "approvers": bool(gate.approvers),
        "quorum": gate.quorum > 1,
        f"on_timeout: {gate.on_timeout}": gate.on_timeout != "deny",
    }
    if named := ", ".join(f"`{name}`" for name, is_set in asked.items() if is_set):
        yield f"who approves it ({named}) is not looked at yet, so its plan is held"


def _of_time(rung: Rung) -> Iterator[str]:
    if rung.for_ is not None:
        lasts = say_duration(rung.for_)
        yield f"it is to be put back after {lasts}, and putting back is not built yet, so its plan is held"


def _of_escalation(rule: Rule) -> Iterator[str]:
    for level in rule.escalate:
        yield f"“{level.to}” is not told after {say_duration(level.after)} yet; the thread asks people to do it"
