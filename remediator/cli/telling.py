"""A run as text for the terminal, made of what the API shows of it. Called by the commands; pure, and asks nobody.

Whatever comes of the outside goes through `plain`: one line, without control characters.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from remediator.cli.service import plain
from remediator.kit.wording import counted
from remediator.model.ids import StepId
from remediator.model.outcome import Reason
from remediator.model.undo import undone_by

_EXCERPT_LINES = 10
_NAMES_SHOWN = 5  # of alerts that have joined
_CAN_BE_PUT_BACK = "can be put back"
_WITH_REASON = ("decision", "cancel", "undo", "again", "resolved")  # signals; the facts' own words have theirs
_BY_PEOPLE = ("cancelled", "denied")  # outcomes, each with who and why in the line of the signal
_STATES = {
    "fresh": "gathering evidence",
    "diagnosed": "gathering evidence",
    "drafted": "planned",
    "held": "held",
    "needs_a_person": "needs a person",
    "underway": "acting",
    "in_doubt": "acting",
    "acted": "being checked",
    "not_helped": "being checked",
    "proven": "being checked",
}


def state_of(run: Mapping[str, Any]) -> str:
    """How a run stands, in words; of a line of the list or of a whole run."""
    stage = "needs_a_person" if run.get("waiting") else "held" if run.get("held") else run["stage"]
    return str(run["outcome"] or _STATES.get(stage, "under way"))


def clock_time(at: str) -> str:
    """A time of the API's to the second."""
    return f"{at[:10]} {at[11:19]} UTC"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns below their heads, as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def list_runs(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Runs as a table; with the process that has each, where one has any."""
    head: tuple[str, ...] = ("RUN", "BEGAN", "STANDS", "RULE", "ALERT")
    rows: list[tuple[str, ...]] = [
        (run["id"], clock_time(run["created_at"]), state_of(run), plain(run["rule"]), plain(run["alertname"]))
        for run in runs
    ]
    if any(run.get("owner") for run in runs):
        head = (*head, "PROCESS")
        rows = [(*row, _process(run)) for row, run in zip(rows, runs, strict=True)]
    return table(head, rows)


def _process(run: Mapping[str, Any]) -> str:
    """The process that has a run now: its host, and the id that its log has."""
    owner = run.get("owner")
    return plain(f"{owner['host']} {owner['id']}") if owner else ""


def say_hold(held: Mapping[str, Any]) -> tuple[str, str]:
    """Why a plan is held, and what comes of that."""
    why = f"{held['reason']}: {held['detail']}" if held["detail"] else str(held["reason"])
    again = f"at {clock_time(held['until'])}" if held["until"] else f"every {_seconds(held['every'])}"
    again = f"it is looked at again {again}"
    if held["reason"] == Reason.STORM:
        ends = held.get("ends")  # a service of an earlier version does not tell
        why += "" if ends else "; until when as of now: remediator stops"
        again = f"the storm ends at {clock_time(ends)} if no more alerts come; {again}" if ends else again
    expires = f"it ends as expired if it is still held at {clock_time(held['expires'])} (pipeline.hold_timeout)"
    return plain(why), f"{again}; {expires}"


def _seconds(number: float) -> str:
    from remediator.model.duration import say_duration  # it imports pydantic, which is slow; most runs hold nothing

    return say_duration(timedelta(seconds=number))


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
        *([f"Process  {_process(run)}"] if run.get("owner") else []),
        f"Stands   {state_of(run)}",
        *(f"         {line}" for line in (say_hold(run["held"]) if run.get("held") else ())),
        "",
    ]
    lines += (line for event in tell_events(run) for line in event)
    return lines + _changes(run) + _messages(run) + _how_to_go_on(run)


def tell_events(run: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The lines of everything that has happened in a run, in the order of time."""
    sentences, proof = _sentences(run), ""
    said_by = {signal.get("by") for signal in run["signals"] if signal["kind"] in ("decision", "cancel")}
    for event in _events(run):
        is_joined = event["kind"] == "joined"
        said = _joined(event, run["alert"]["labels"]) if is_joined else _headline(event, sentences, proof)
        if event["kind"] == "ended" and event["outcome"] in _BY_PEOPLE and _is_said(event, said_by):
            said = plain(f"ended as {event['outcome']}")
        yield f"{clock_time(event['at'])}  {said}", *(f"    {line}" for line in _details(event))
        proof = str(event["text"]) if event["kind"] == "verified" else proof


def _messages(run: Mapping[str, Any]) -> list[str]:
    """Where its messages stand, and what still waits to be told; nothing of a service that does not say."""
    messages = run.get("messages") or ()
    if not messages:
        return []
    sent = [one for one in messages if one["sent"]]
    places = list(dict.fromkeys(plain(one["channel"]) for one in messages))
    stand = "stands there as it is now" if len(sent) == 1 else "stand there as they are now"
    lines = ["", f"Told in {', '.join(places)}: {counted(len(sent), 'message')} {stand}"]
    for one in messages:
        if not one["sent"]:
            older = " (an older wording stands there)" if one["ref"] else ""
            lines.append(f"  not sent yet, since {clock_time(one['queued_at'])}{older}: {plain(one['title'])}")
    return lines


def say_who(asked: Mapping[str, Any]) -> str:
    """Who may decide on what was asked."""
    return " or ".join(asked.get("approvers") or ()) or "everybody who may decide"


def _events(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Facts and signals in the order of time; alerts that join one after another are one event.

    A person's word on an unknown step is told once: as the fact that it becomes. That the alert has ended is told as it
    was heard, and a person's word that has ended the run as they gave it: the fact beside it says the same. Of a step
    that cannot be put back the plan has told so.
    """
    told: list[Mapping[str, Any]] = []
    settled = {(fact["step"], fact["attempt"]) for fact in run["timeline"] if fact["kind"] == "settled"}
    signals = (s for s in run["signals"] if s["kind"] != "settle" or (s["step"], s["attempt"]) not in settled)
    is_heard = any(signal["kind"] == "resolved" for signal in run["signals"])
    stays = {step["id"] for step in _steps(run) if step.get("stays")}
    facts = (
        fact
        for fact in run["timeline"]
        if not (fact["kind"] == "closed" and is_heard) and not (fact["kind"] == "captured" and fact["step"] in stays)
    )
    for event in sorted([*facts, *signals], key=lambda e: datetime.fromisoformat(e["at"])):
        if told and told[-1]["kind"] == event["kind"] == "joined":
            labels = [*told[-1].get("labels", ()), *event.get("labels", ())]
            count = told[-1]["count"] + event["count"]
            told[-1] = {**told[-1], "until": event["at"], "count": count, "labels": labels}
        else:
            told.append(event)
    return told


def _changes(run: Mapping[str, Any]) -> list[str]:
    """What it has changed, and how it stands with each of it; the last first, as it would be put back."""
    changes = run.get("changes") or ()
    lines = ["", "Changed, the last first:"] if changes else []
    for change in changes:
        first, *rest = tell_change(change)
        lines += [f"  {first}", *(f"    {line}" for line in rest)]
    if any(change["stands"] == _CAN_BE_PUT_BACK for change in changes):
        lines.append(f"To have it put back: remediator undo {run['id']}")
    return lines


def tell_change(change: Mapping[str, Any]) -> Iterator[str]:
    """One change: what was done to what, and whether it can be put back, was, or stays and why."""
    yield plain(change["sentence"])
    if change["targets"]:
        yield f"on {plain(', '.join(change['targets']))}"
    yield plain(f"{change['stands']}: {change['why']}" if change["why"] else change["stands"])
    if change.get("now"):
        yield f"now: {plain(change['now']['says'])}"
    if change["before"] is not None:
        yield f"before it: {plain(json.dumps(change['before'], ensure_ascii=False))}"
    if change["until"] and change["stands"] == _CAN_BE_PUT_BACK:
        yield f"for a while: it is put back by itself at {clock_time(change['until'])}, or when its alert resolves"


def _how_to_go_on(run: Mapping[str, Any]) -> list[str]:
    waiting, unknown = run["waiting"], run.get("unsettled")
    if unknown:
        return [
            "",
            f"Nobody saw the end of “{plain(unknown['sentence'])}”. Look at its target; once you know, say:",
            f"remediator runs settle {run['id']} done, or: remediator runs settle {run['id']} not-done",
        ]
    if not waiting:
        return (
            ["", f"Nobody is asked while it is held. To end this run: remediator cancel {run['id']}"]
            if run.get("held")
            else []
        )
    return [
        "",
        f"Waits for {_for_whom(waiting)} with plan {waiting['digest'][:12]}, until {clock_time(waiting['until'])}:",
        *(f"  {number}. {plain(step['sentence'])}" for number, step in enumerate(waiting["steps"], 1)),
        f"Decide with: remediator approve {run['id']}, or: remediator deny {run['id']} --reason …",
    ]


def _for_whom(waiting: Mapping[str, Any]) -> str:
    """Who is waited for: how many are still needed, and of whom."""
    missing, groups = waiting.get("missing", 1), waiting.get("approvers") or ()
    who = "a person" if missing == 1 else f"{missing} people"
    who += f" of {' or '.join(map(plain, groups))}" if groups else ""
    said = waiting.get("approved_by") or ()
    return f"{who} (approved by {', '.join(map(plain, said))})" if said else who


def _sentences(run: Mapping[str, Any]) -> dict[str, str]:
    """What each step of the run's plans does, by the step's id."""
    return {step["id"]: step["sentence"] for step in _steps(run)}


def _steps(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The steps of all plans of the run."""
    for fact in run["timeline"]:
        if fact["kind"] == "planned":
            yield from fact["plan"]["steps"]


def _headline(event: Mapping[str, Any], sentences: Mapping[str, str], proof: str) -> str:
    if event["kind"] == "ended" and proof and event["text"].startswith(proof):  # it has just been told
        return plain(f"ended as {event['outcome']}{event['text'].removeprefix(proof)}")
    text, step = str(event["text"]), str(event.get("step"))
    undone = undone_by(StepId(step))
    if (undone or step) in sentences:
        said = f"“{sentences[undone or step]}”"
        text = text.replace(step, f"putting back {said}" if undone else said, 1)
    why = f": {event['reason']}" if event["kind"] in _WITH_REASON and event.get("reason") else ""
    return plain(text + why)


def _is_said(ended: Mapping[str, Any], by: Iterable[str | None]) -> bool:
    """Whether the end of a run is the word of somebody who is told already."""
    words = str(ended["text"]).removeprefix(f"{ended['outcome']}: ")
    return any(who and words.startswith((f"{who} said no", f"{who} cancelled it")) for who in by)


def _joined(event: Mapping[str, Any], first: Mapping[str, str]) -> str:
    """How many alerts have joined, the first few by the labels in which they differ from the run's first."""
    differing = (
        " ".join(f"{name}={value}" for name, value in sorted(labels.items()) if first.get(name) != value)
        for labels in event.get("labels", ())
    )
    shown = list(dict.fromkeys(filter(None, differing)))[:_NAMES_SHOWN]
    more = event["count"] - len(shown)
    names = [*shown, *([f"and {more} more"] if more > 0 else [])] if shown else []
    until = f" until {clock_time(event['until'])}" if "until" in event else ""
    said = f"{counted(event['count'], 'more alert')} of the group joined{until}"
    return plain(": ".join([said, *(["; ".join(names)] if names else [])]))


def _details(event: Mapping[str, Any]) -> Iterator[str]:
    match event["kind"]:
        case "examined":
            for name, item in event["evidence"].items():
                found = (item["brief"] or "(nothing)") if item["ok"] else f"could not be found out: {item['brief']}"
                yield f"{plain(name)}: {plain(found)}"
                yield from excerpt(item["detail"])
        case "planned":
            yield from _plan(event["plan"])
            if event.get("says_alert"):
                yield f"alert: {plain(event['says_alert'])}"
            elif event.get("alert_from"):  # by a service of an earlier version
                yield f"alert: has to fire still right before each change, by {plain(event['alert_from'])}"
        case "asked":
            yield from _asked(event)
        case "held":
            yield from ([plain(event["detail"])] if event["detail"] else [])
            yield f"looked at again {clock_time(event['until'])}"
        case "finished":
            yield from excerpt(event["detail"])
        case "verified":
            yield counted(event["samples"], "sample")
        case _:
            return


_THEN = {
    "deny": "then the run ends",
    "escalate": "then the next level is told, and there is as much time again",
    "auto": "then it goes on by itself, as the rule says",
}


def _asked(event: Mapping[str, Any]) -> Iterator[str]:
    """Who was asked, until when, and what happens then."""
    then = _THEN.get(event.get("on_timeout", ""))
    yield f"until {clock_time(event['until'])}{f'; {then}' if then else ''}"
    if "approvers" in event:
        many = f"{event['quorum']} different people of them" if event["quorum"] > 1 else ""
        yield plain(f"asked: {say_who(event)}{f', {many}' if many else ''}")
    if event.get("touches"):
        yield f"touches {plain(event['touches'])}"
    if event.get("record"):
        yield f"this rule before: {plain(event['record'])}"


def _plan(plan: Mapping[str, Any]) -> Iterator[str]:
    for number, step in enumerate(plan["steps"], 1):
        yield f"{number}. {plain(step['sentence'])}"
        if step["targets"]:
            yield f"   on {plain(', '.join(step['targets']))}"
        yield f"   {plain(step['action'])} {plain(json.dumps(step['params'], ensure_ascii=False))}"
        if step.get("stays") is not None:
            stays = f"cannot be put back: {plain(step['stays'])}"
            yield f"   {stays if step['stays'] else _CAN_BE_PUT_BACK}"
    if plan.get("lasts"):
        yield f"lasts {_seconds(plan['lasts'])}, then it is put back"
    if plan.get("every"):
        yield f"done again each {_seconds(plan['every'])}, as long as the alert fires"
    yield f"proof: {plain(plan['proof'])}"
    yield f"digest: {plan['digest'][:12]}"


def excerpt(text: str) -> Iterator[str]:
    """The last lines: the newest ones are worth reading."""
    lines = text.strip("\n").splitlines()
    if len(lines) > _EXCERPT_LINES:
        yield f"  | … {counted(len(lines) - _EXCERPT_LINES, 'line')} before"
    yield from (f"  | {plain(line)}" for line in lines[-_EXCERPT_LINES:])
