"""`/remediator …` in Slack: looking, pausing, and deciding, with the same rights that people have everywhere else.

Called by the inbox with who has said it. Answers are texts for that person alone. Looking is for people that the
settings know; pausing and starting is for those in a group of approvers, where there is any; who decides is judged by
the approvals.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from remediator.chat.text import one_line
from remediator.errors import Mistaken
from remediator.kit.clock import Clock
from remediator.kit.redaction import shorten
from remediator.kit.wording import counted, say_time
from remediator.model.alert import Alert, AlertStatus
from remediator.model.audit import AuditEntry
from remediator.model.duration import parse_duration, say_duration
from remediator.model.ids import Digest, Fingerprint, RunId
from remediator.model.occurrence import Occurrence
from remediator.model.person import Person
from remediator.model.run import Run, RunSummary
from remediator.model.stage import Drafted
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.approvals import Said
from remediator.pipeline.explaining import Explanation, RuleView
from remediator.pipeline.intake import NotStarted
from remediator.pipeline.refusals import Refusals
from remediator.pipeline.starting import OtherStart, Wish
from remediator.pipeline.stops import how_to_lift
from remediator.web.api import RunReader
from remediator.web.health import Health
from remediator.web.shown import held_plan, stage_name, waiting_plan
from remediator.web.starting import Starter
from remediator.web.stops import StopKeeper

HELP = """\
/remediator status: how the service is, and what stands in the way of changes
/remediator runs: what is under way
/remediator explain ALERT: what the rules make of an alert: a run's id, a fingerprint, or NAME label=value …
/remediator pause SCOPE [for 2h] [reason]: change nothing within everything, pack:…, rule:…, action:… or target:…
/remediator resume SCOPE: lift that pause
/remediator start PACK/RULE label=value … [reason]: begin a run by hand, for an alert that you state
/remediator approve RUN: show the plan that a run waits with; the end of its id is enough
/remediator approve RUN PLAN: approve it, by the first 12 digits of its digest at the least
/remediator deny RUN reason: say no to it"""
_NEWEST = 500
_SHOWN = 15
_SHORTEST_END, _WHOLE_ID = 4, 16  # of a run's id
_NEAR, _STEPS = 3, 10
_LONGEST_WORD = 40
_ONCE = ("pause", "resume", "approve", "deny")
_TAKEN = "this very command was taken already; look at /remediator status, and give it again if you mean it"
_PLAN = re.compile(r"[0-9a-f]{12,64}", re.ASCII)

log = structlog.get_logger(__name__)


class Alerts(Protocol):
    """What is asked of the alerts."""

    async def newest_occurrence(self, fingerprint: str, /) -> Occurrence | None:
        """The newest one of an alert, open or closed. Raises StoreUnavailable."""
        ...


class Journal(Protocol):
    """What is asked of the store: the audit journal, and which commands were taken."""

    async def take_command(self, key: str, at: datetime, /) -> bool:
        """Whether nobody has taken the command of this key before, by any process. Raises StoreUnavailable."""
        ...

    async def audit(self, entries: Sequence[AuditEntry], /) -> None:
        """Enter what belongs to no other write. Raises StoreUnavailable."""
        ...


class Commands:
    """Answers commands."""

    def __init__(
        self,
        *,
        runs: RunReader,
        alerts: Alerts,
        stops: StopKeeper,
        journal: Journal,
        health: Callable[[], Any],
        explain: Callable[[Alert], Explanation],
        starts: Starter,
        clock: Clock,
        deciders: frozenset[str],
    ) -> None:
        """`deciders`: the groups whose people may pause and start; without any, everybody who is known may."""
        self._runs = runs
        self._alerts = alerts
        self._stops = stops
        self._journal = journal
        self._health = health
        self._explain = explain
        self._clock = clock
        self._starts = starts
        self._deciders = deciders
        self._refusals = Refusals(clock.monotonic)

    async def answer(self, person: Person, text: str, *, origin: str, key: str = "") -> str:
        """Do what somebody says, and what they are told. Raises StoreUnavailable.

        `key` tells the same command that comes twice from one that is given again.
        """
        word, *rest = text.split() or ["help"]
        if refusal := await self._refusal(person, word, origin, key):
            return refusal
        try:
            match word.lower():
                case "status":
                    return await self._status()
                case "runs":
                    return await self._list_runs()
                case "explain":
                    return await self._explain_alert(rest)
                case "pause":
                    return await self._pause(person, rest, origin)
                case "resume":
                    return await self._resume(person, rest, origin)
                case "start":
                    return await self._start(person, rest, origin, key)
                case "approve" | "deny":
                    return await self._decide(person, rest, approved=word.lower() == "approve", origin=origin)
                case "help":
                    return HELP
                case _:
                    return f"there is no /remediator {shorten(word, _LONGEST_WORD)}. There is:\n{HELP}"
        except (Mistaken, NotStarted, OtherStart) as error:
            return str(error)

    async def _refusal(self, person: Person, word: str, origin: str, key: str) -> str:
        """Why a command is not taken; empty where it is.

        What Slack has signed could be sent again to another process, so what changes something is taken once. A start
        needs no such look: its run has an id of that key.
        """
        if not person.is_known:
            await self._note_refused(person, word, origin)
            return f"nobody knows you here: have `{person.name.partition(':')[2]}` added to `people` in the settings"
        wanted = word.lower()
        if wanted in ("pause", "resume", "start") and not self._may_act(person):
            await self._note_refused(person, word, origin)
            who = " and ".join(sorted(self._deciders))
            return f"only {who} may {wanted} anything from here, and you are not in there"
        if key and wanted in _ONCE and not await self._journal.take_command(key, self._clock.now()):
            return _TAKEN
        return ""

    # -- looking --

    async def _status(self) -> str:
        health: Health = await self._health()
        lines = ["The service is ready." if health.ready else "The service is NOT ready."]
        lines += [f"- {check.name}: {check.detail}" for check in health.checks if check.degraded or not check.ok]
        active = await self._runs.list_runs(limit=_NEWEST, outcome=None, active=True, unsettled=False)
        many = "at least " if len(active) == _NEWEST else ""
        lines.append(f"{many}{counted(len(active), 'run is', 'runs are')} under way (/remediator runs)")
        stops = await self._stops.standing()
        lines += [_say_stop(stop) for stop in stops[-_SHOWN:]]
        lines += [f"{bar.kind}: {bar.scope}: {bar.reason}" for bar in self._stops.bars()]
        return _each_on_its_own(lines)

    async def _list_runs(self) -> str:
        active = await self._runs.list_runs(limit=_SHOWN + 1, outcome=None, active=True, unsettled=False)
        if not active:
            return "no run is under way"
        lines = [await self._say_run(summary) for summary in active[:_SHOWN]]
        if len(active) > _SHOWN:
            lines.append("… and more: remediator runs list --active")
        return "\n".join(lines)

    async def _say_run(self, summary: RunSummary) -> str:
        run = await self._runs.read_run(summary.id)
        return f"{summary.id}  {summary.rule}  {_standing(run)}, since {say_time(summary.created_at)}"

    async def _explain_alert(self, words: Sequence[str]) -> str:
        if not words:
            return "explain takes a run's id, an alert's fingerprint, or its name with labels: ServiceDown service=web"
        alert = await self._alert(words)
        return _each_on_its_own(_explained(self._explain(alert)))

    async def _alert(self, words: Sequence[str]) -> Alert:
        name, *pairs = words
        if not pairs:
            run = await self._find_run(name, active=False)
            if run is not None:
                return run.alert
            found = await self._alerts.newest_occurrence(name)
            if found is not None:
                return _alert(found.labels, found, self._clock)
        labels = {"alertname": name}
        for pair in pairs:
            label, equals, value = pair.partition("=")
            if not equals or not label:
                raise Mistaken(f"{pair} is no label: give them as name=value, after the alert's name")
            labels[label] = value.strip('"')
        return _alert(labels, None, self._clock)

    async def _find_run(self, given: str, *, active: bool) -> Run | None:
        """The run whose id is, or ends with, this. Raises Mistaken where several do."""
        end = given.strip("[]").lower()
        if not (_SHORTEST_END <= len(end) <= _WHOLE_ID and end.isascii() and end.isalnum()):
            return None
        if len(end) == _WHOLE_ID:
            return await self._runs.read_run(RunId(end))
        listed = await self._runs.list_runs(limit=_NEWEST, outcome=None, active=active, unsettled=False)
        found = [summary.id for summary in listed if summary.id.endswith(end)]
        if len(found) > 1:
            raise Mistaken(f"{len(found)} runs end with {end}: give more of the id")
        return await self._runs.read_run(found[0]) if found else None

    # -- pausing and starting --

    def _may_act(self, person: Person) -> bool:
        return not self._deciders or not self._deciders.isdisjoint(person.groups)

    async def _pause(self, person: Person, words: Sequence[str], origin: str) -> str:
        if not words:
            return "pause takes a scope: everything, pack:NAME, rule:PACK/NAME, action:NAME or target:NAME"
        scope, lasts, reason = _pause_of(words)
        stop, note = await self._stops.pause(scope, reason, person.shown, lasts, person=person, origin=origin)
        until = f" until {say_time(stop.until)}" if stop.until else ""
        said = f"paused{until}: {scope} (to go on: /remediator resume {scope})"
        return "\n".join(filter(None, (said, note)))

    async def _resume(self, person: Person, words: Sequence[str], origin: str) -> str:
        scope = words[0] if words else "everything"
        if await self._stops.lift(StopKind.PAUSE, scope, person.shown, person=person, origin=origin):
            return f"resumed: {scope}"
        there = [stop.scope for stop in await self._stops.standing() if stop.kind is StopKind.PAUSE]
        others = f"there is one of {', '.join(there[:_SHOWN])}" if there else "there is none at all"
        return f"there is no pause of {scope}; {others}"

    async def _start(self, person: Person, words: Sequence[str], origin: str, key: str) -> str:
        if not words:
            return "start takes a rule with the labels of the alert: start web/down alertname=ServiceDown service=web"
        rule, *rest = words
        labels: dict[str, str] = {}
        while rest and "=" in rest[0]:
            name, _, value = rest.pop(0).partition("=")
            labels[name] = value.strip('"')
        begun = await self._starts.start(Wish(rule, labels, person, {}, " ".join(rest), key, origin))
        return f"started: run {begun.run} of {begun.rule}; somebody else has to approve what it asks for"

    # -- deciding --

    async def _decide(self, person: Person, words: Sequence[str], *, approved: bool, origin: str) -> str:
        what = "approve" if approved else "deny"
        if not words:
            return f"{what} takes a run's id; the end of it is enough"
        run = await self._find_run(words[0], active=True)
        if run is None:
            return f"there is no run {words[0]} under way; see: /remediator runs"
        waiting = waiting_plan(run)
        if waiting is None:
            return f"no plan of run {run.id} waits for a decision: it is {_standing(run)}"
        place = waiting.planned.renews or (waiting.planned.round, waiting.planned.revision)
        digest, reason = Digest(waiting.planned.plan.digest), words[1:]
        if approved:
            if not reason or _PLAN.fullmatch(named := reason[0].lower()) is None:
                return _say_waiting(run, waiting)
            digest, reason = digest if digest.startswith(named) else Digest(named), reason[1:]
        verdict = await self._runs.decide(run.id, Said(person, approved, digest, " ".join(reason), place, origin))
        return verdict.says if verdict is not None else f"there is no run {words[0]} any more"

    async def _note_refused(self, person: Person, word: str, origin: str) -> None:
        """Somebody who may not is recorded."""
        what = word if word.lower() in HELP.lower().split() else "a command"
        log.warning("slack_command_refused", who=person.name, command=what)
        outcome = "not known here" if not person.is_known else "not allowed"
        entry = AuditEntry(
            self._clock.now(), "refused", person.name, person.via.value, subject=what, origin=origin, outcome=outcome
        )
        await self._refusals.enter(self._journal, entry, outcome)


def _standing(run: Run | None) -> str:
    """Where a run stands, in words."""
    if run is None:
        return "unknown"
    if waiting_plan(run) is not None:
        return "waits for a person"
    if (held := held_plan(run)) is not None:
        return f"held: {held[1].reason}"
    return stage_name(run).replace("_", " ")


def _say_waiting(run: Run, waiting: Drafted) -> str:
    """What would be done, and how to approve just that: what nobody has looked at is not approved by its run's name."""
    plan = waiting.planned.plan
    steps = [f"- {step.sentence} ({step.effect})" for step in plan.steps[:_STEPS]]
    if len(plan.steps) > _STEPS:
        steps.append(f"- … and {counted(len(plan.steps) - _STEPS, 'more step', 'more steps')}")
    head = f"run {run.id} of {run.rule} waits with the plan {plan.name}, {plan.digest[:12]}:"
    return _each_on_its_own((head, *steps, f"to approve it: /remediator approve {run.id} {plan.digest[:12]}"))


def _each_on_its_own(lines: Iterable[str]) -> str:
    """What an alert says in one of them begins no other."""
    return "\n".join(map(one_line, lines))


def _say_stop(stop: Stop) -> str:
    until = f"until {say_time(stop.until)}" if stop.until else "until somebody lifts it"
    why = f": {stop.reason}" if stop.reason else ""
    return f"{stop.kind} of {stop.scope}, by {stop.by}, {until}{why} (to lift it: {how_to_lift(stop)})"


def _pause_of(words: Sequence[str]) -> tuple[str, timedelta | None, str]:
    """Scope, time and reason of `SCOPE [for] [2h] [reason …]`. Raises Mistaken."""
    scope, *rest = words
    is_timed = rest[:1] == ["for"]
    rest = rest[1:] if is_timed else rest
    lasts = _duration(rest[0]) if rest else None
    if is_timed and lasts is None:
        raise Mistaken("after `for` comes how long, like 2h")
    reason = rest[1:] if lasts is not None else rest
    if lasts is not None and lasts <= timedelta(0):
        raise Mistaken("it has to last longer than nothing, like 2h")
    return scope, lasts, " ".join(reason)


def _duration(word: str) -> timedelta | None:
    try:
        return parse_duration(word)
    except ValueError:
        return None


def _alert(labels: Any, occurrence: Occurrence | None, clock: Clock) -> Alert:
    fingerprint = occurrence.fingerprint if occurrence is not None else Fingerprint("")
    annotations = occurrence.annotations if occurrence is not None else {}
    starts = occurrence.starts_at if occurrence is not None else clock.now()
    return Alert(fingerprint, AlertStatus.FIRING, dict(labels), annotations, starts)


def _explained(found: Explanation) -> list[str]:
    """What the rules make of an alert, in a few lines."""
    if found.is_heartbeat:
        return [f"{found.alert.name} is the heartbeat: it starts nothing"]
    lines = [f"Alert {found.alert.name or '(no name)'}"]
    for view in found.matching:
        lines += _matching(view)
    if not found.matching:
        lines.append("No rule matches it.")
        lines += [f"- {view.rule.id}: {_why_not(view)}" for view in found.near[:_NEAR]]
    return lines


def _matching(view: RuleView) -> list[str]:
    outlook = view.outlook
    if outlook is None:
        return [f"{view.rule.id} matches"]
    lines = [f"{view.rule.id} matches: {outlook.summary} (mode {outlook.mode})"]
    for rung in outlook.rungs:
        what = [f"tells people: {rung.tell}"] if rung.tell else [step.sentence for step in rung.steps[:_STEPS]]
        asks = "; a person is asked" if rung.gate.reasons else ""
        lasts = f"; put back after {say_duration(rung.lasts)}" if rung.lasts is not None else ""
        lines.append(f"- remedy {rung.index + 1}, {rung.name}: {'; '.join(what)}{asks}{lasts}")
    return lines if outlook.rungs else [*lines, "- it only diagnoses: it has no remedy"]


def _why_not(view: RuleView) -> str:
    failed = view.failed
    if failed is None:
        return f"{view.winner} was first"
    has = failed.value if failed.value is not None else f"no label {failed.matcher.label}"
    return f"{failed.matcher} failed: the alert has {has}"
