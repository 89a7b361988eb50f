"""A run as text for the terminal, made of what the API shows of it. Called by the commands; pure, and asks nobody.

Whatever comes of the outside goes through `plain`: one line, without control characters.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from remediator.cli.service import plain

_EXCERPT_LINES = 10
_STATES = {
    "fresh": "gathering evidence",
    "diagnosed": "gathering evidence",
    "drafted": "planned",
    "needs_a_person": "needs a person",
    "underway": "acting",
    "in_doubt": "acting",
    "acted": "being checked",
    "not_helped": "being checked",
    "proven": "being checked",
}


def state_of(run: Mapping[str, Any]) -> str:
    """How a run stands, in words; of a line of the list or of a whole run."""
    stage = "needs_a_person" if run.get("waiting") else run["stage"]
    return str(run["outcome"] or _STATES.get(stage, "under way"))


def clock_time(at: str) -> str:
    """A time of the API's to the second."""
    return f"{at[:10]} {at[11:19]} UTC"


def tell_run(run: Mapping[str, Any]) -> list[str]:
    """Everything known of a run, line by line, in the order of time."""
    alert = run["alert"]
    labels = {name: value for name, value in alert["labels"].items() if name != "alertname"}
    lines = [
        f"Run      {run['id']}",
        f"Rule     {plain(run['rule'])}",
        f"Alert    {plain(alert['labels'].get('alertname', '(no name)'))}, since {clock_time(alert['startsAt'])}",
        *(f"{'Labels' if not n else '':<8} {plain(f'{k}={v}')}" for n, (k, v) in enumerate(sorted(labels.items()))),
        f"Summary  {plain(run['summary'])}",
        f"Stands   {state_of(run)}",
        "",
    ]
    sentences = _sentences(run)
    for event in sorted([*run["timeline"], *run["signals"]], key=lambda e: datetime.fromisoformat(e["at"])):
        lines.append(f"{clock_time(event['at'])}  {_headline(event, sentences)}")
        lines += (f"    {line}" for line in _details(event))
    return lines + _how_to_decide(run)


def _how_to_decide(run: Mapping[str, Any]) -> list[str]:
    waiting = run["waiting"]
    if not waiting:
        return []
    return [
        "",
        f"Waits for a person with plan {waiting['digest'][:12]}, until {clock_time(waiting['until'])}:",
        *(f"  {number}. {plain(step['sentence'])}" for number, step in enumerate(waiting["steps"], 1)),
        f"Decide with: remediator approve {run['id']}, or: remediator deny {run['id']} --reason …",
    ]


def _sentences(run: Mapping[str, Any]) -> dict[str, str]:
    """What each step of the run's plans does, by the step's id."""
    plans = (fact["plan"] for fact in run["timeline"] if fact["kind"] == "planned")
    return {step["id"]: step["sentence"] for plan in plans for step in plan["steps"]}


def _headline(event: Mapping[str, Any], sentences: Mapping[str, str]) -> str:
    text, step = str(event["text"]), str(event.get("step"))
    if step in sentences:
        text = text.replace(step, f"“{sentences[step]}”", 1)
    why = f": {event['reason']}" if event["kind"] in ("decision", "cancel") and event["reason"] else ""
    return plain(text + why)


def _details(event: Mapping[str, Any]) -> Iterator[str]:
    match event["kind"]:
        case "examined":
            for name, item in event["evidence"].items():
                found = (item["brief"] or "(nothing)") if item["ok"] else f"could not be found out: {item['brief']}"
                yield f"{plain(name)}: {plain(found)}"
                yield from excerpt(item["detail"])
        case "planned":
            yield from _plan(event["plan"])
        case "asked":
            yield f"until {clock_time(event['until'])}"
        case "held":
            yield from ([plain(event["detail"])] if event["detail"] else [])
            yield f"looked at again {clock_time(event['until'])}"
        case "finished":
            yield from excerpt(event["detail"])
        case "verified":
            yield f"{event['samples']} samples"
        case _:
            return


def _plan(plan: Mapping[str, Any]) -> Iterator[str]:
    for number, step in enumerate(plan["steps"], 1):
        yield f"{number}. {plain(step['sentence'])}"
        if step["targets"]:
            yield f"   on {plain(', '.join(step['targets']))}"
        yield f"   {plain(step['action'])} {plain(json.dumps(step['params'], ensure_ascii=False))}"
    yield f"proof: {plain(plan['proof'])}"
    yield f"digest: {plan['digest'][:12]}"


def excerpt(text: str) -> Iterator[str]:
    """The last lines: the newest ones are worth reading."""
    lines = text.strip("\n").splitlines()
    if len(lines) > _EXCERPT_LINES:
        yield f"  | … {len(lines) - _EXCERPT_LINES} lines before"
    yield from (f"  | {plain(line)}" for line in lines[-_EXCERPT_LINES:])
