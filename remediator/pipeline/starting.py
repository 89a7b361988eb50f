"""Starts a rule by hand: for an alert that a person states, as emergencies without an alert are played.

Called by the API, and so by the terminal; by Slack as well. What begins is a run like any other, through the same
guards, gates and checks; but nobody is asked whether its alert fires, and whoever has started it does not approve it.
Its alert is open as long as the run goes on, under a name that no sender's alert has. It is refused while the same
labels are open, by hand or from a sender. In one commit that is seen, and the run is there with who has started it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from remediator.errors import Failed, StoredAlready
from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert, AlertStatus, by_hand_fingerprint
from remediator.model.ids import OccurrenceId, RuleId, RunId, ids_of_request, new_occurrence_id, new_run_id
from remediator.model.matchers import Matcher
from remediator.model.occurrence import Accepted
from remediator.model.person import Person
from remediator.model.run import Again
from remediator.pipeline.intake import NotStarted, OpenAlready, Stated
from remediator.pipeline.rulebook import Rulebook
from remediator.rules.book import Rule
from remediator.storage.reading import ReadingStore

_NAME = "alertname"


class NoSuchRule(NotStarted):
    """There is no rule of that name."""


class Unfitting(NotStarted):
    """The labels are not those of an alert that the rule is for."""


class OtherStart(Failed):
    """The key of a request was used before, for another start."""


class Opener(Protocol):
    """What opens an alert that a person states."""

    async def run_by_hand(self, stated: Stated) -> Accepted:
        """Open it with its run. Raises OpenAlready and StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to be started."""

    rule: str
    labels: Mapping[str, str]
    person: Person
    annotations: Mapping[str, str]
    reason: str = ""
    key: str = ""
    """What tells a request that is made again from another one; empty where nothing does."""
    origin: str = ""
    """From where it came: an address, a channel."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The run that was started."""

    run: RunId
    rule: RuleId
    repeated: bool = False
    """Whether an earlier request with the same key has started it."""


class Starts:
    """Starts rules by hand."""

    def __init__(
        self, store: ReadingStore, opener: Opener, rulebook: Rulebook, clock: Clock, redactor: Redactor
    ) -> None:
        self._store = store
        self._opener = opener
        self._rulebook = rulebook
        self._clock = clock
        self._redactor = redactor

    async def start(self, wish: Wish) -> Begun:
        """Start it. Raises NotStarted, of which NoSuchRule and Unfitting are, OtherStart, and StoreUnavailable."""
        if not wish.person.is_known:
            raise NotStarted("nobody knows you here: have yourself added to `people` in the settings")
        rule = self._find(wish.rule)
        labels = labels_for(rule, wish.labels)
        refuse_unfitting(rule, labels)
        run, occurrence = self._ids(wish)
        if wish.key and (before := await self._begun_before(run, rule, labels, wish)) is not None:
            return before
        at = self._clock.now()
        by, reason = self._redactor.text(wish.person.shown), self._redactor.text(wish.reason)
        again = Again(
            at,
            by,
            reason,
            person=wish.person.name,
            by_hand=True,
            via=wish.person.via.value,
            origin=self._redactor.text(wish.origin),
        )
        alert = Alert(by_hand_fingerprint(labels), AlertStatus.FIRING, labels, dict(wish.annotations), at)
        try:
            await self._opener.run_by_hand(Stated(rule, alert, again, occurrence, run))
        except OpenAlready as error:
            before = await self._begun_before(run, rule, labels, wish) if error.occurrence == occurrence else None
            if before is not None:
                return before  # the same request, just now
            raise NotStarted(await self._say_open(error.occurrence)) from error
        except StoredAlready:  # of two starts with one key for other labels the store takes just one
            if (before := await self._begun_before(run, rule, labels, wish)) is not None:
                return before
            raise
        return Begun(run, rule.id)

    def _find(self, name: str) -> Rule:
        book = self._rulebook.book
        rule = book.get(RuleId(name))
        if rule is not None:
            return rule
        near = get_close_matches(name, [one.id for one in book], n=1)
        meant = f"did you mean {near[0]}?" if near else "it is written PACK/RULE"
        raise NoSuchRule(f"there is no rule {name}: {meant}; see: remediator check")

    def _ids(self, wish: Wish) -> tuple[RunId, OccurrenceId]:
        if wish.key:
            return ids_of_request(f"{wish.person.name}\0{wish.key}")
        at = self._clock.now()
        return new_run_id(at), new_occurrence_id(at)

    async def _begun_before(self, run_id: RunId, rule: Rule, labels: Mapping[str, str], wish: Wish) -> Begun | None:
        """The run that the same request has started already, whatever has become of it."""
        run = await self._store.read_run(run_id)
        if run is None:
            return None
        said = (run.rule, dict(run.alert.labels), dict(run.alert.annotations))
        if said != (rule.id, dict(labels), dict(wish.annotations)):
            raise OtherStart(f"this key was used for another start already, of {run.rule}: run {run_id}")
        return Begun(run_id, rule.id, repeated=True)

    async def _say_open(self, occurrence: OccurrenceId) -> str:
        runs = await self._store.runs_of(occurrence)
        live = [run for run in runs if run.ended_at is None]
        what = "an alert with these very labels is open already"
        if live:
            names = ", ".join(f"{run.id} of {run.rule}" for run in live[:3])
            return f"{what}, and run {names} is under way for it; see: remediator runs show {live[0].id}"
        if runs:
            return f"{what}; to begin anew: remediator rerun {runs[0].id}; see: remediator runs show {runs[0].id}"
        return f"{what}, and no rule has matched it; see: remediator alerts --open"


def labels_for(rule: Rule, given: Mapping[str, str]) -> dict[str, str]:
    """The labels, without empty ones, which are none; with the name of the alert, where the rule is for just one."""
    labels = {name: value for name, value in given.items() if value}
    if _NAME not in labels:
        asked = [matcher.values for matcher in rule.matchers if matcher.label == _NAME and matcher.values is not None]
        if len(asked) == 1 and len(asked[0]) == 1 and asked[0][0]:
            labels[_NAME] = asked[0][0]
    return labels


def refuse_unfitting(rule: Rule, labels: Mapping[str, str]) -> None:
    """Raises Unfitting where the rule is not for such an alert, with each of its matchers that says so."""
    missed = [matcher for matcher in rule.matchers if not matcher.matches(labels)]
    if missed:
        why = "; ".join(_say_missed(matcher, labels) for matcher in missed)
        raise Unfitting(f"the rule {rule.id} is not for an alert with these labels: {why}")


def _say_missed(matcher: Matcher, labels: Mapping[str, str]) -> str:
    value = labels.get(matcher.label)
    return f"it asks for {matcher}, and {'there is no such label' if not value else f'{matcher.label} is {value}'}"
