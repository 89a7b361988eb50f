"""What a rule asks for and this version cannot do yet: said wherever the rule is looked at, and its plans are held.

Called by planning, and by the commands that check and explain rules. Pure. Each sentence leaves with the change that
builds what it names.
"""

from collections.abc import Iterator

from remediator.rules.rule import Rule, Rung


def held(rule: Rule) -> tuple[str, ...]:
    """Everything of a rule that this version does not carry out, a sentence each."""
    return tuple(f"the remedy “{rung.name}”: {why}" for rung in rule.rungs for why in _of_gate(rung))


def holds(rung: Rung) -> tuple[str, ...]:
    """Why a plan of this rung is held, whatever else speaks for it."""
    return tuple(_of_gate(rung))


def _of_gate(rung: Rung) -> Iterator[str]:
    gate = rung.gate
    if gate is None:
        return
    asked = {
        "approvers": bool(gate.approvers),
        "quorum": (gate.quorum or 1) > 1,
        f"on_timeout: {gate.on_timeout}": gate.on_timeout == "auto",
    }
    if named := ", ".join(f"`{name}`" for name, is_set in asked.items() if is_set):
        yield f"who approves it ({named}) is not looked at yet, so its plan is held"
