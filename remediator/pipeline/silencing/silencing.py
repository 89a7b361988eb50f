"""Silences the noise of a run's own alerts in Alertmanager while the run acts, where its rule asks for that.

Called by the flow: beside the first change of a plan, once that has its start on record, so that nothing is silenced
while a run only waits; when it is proven whether that has helped; and at the end of the run. A silence is a courtesy:
that it cannot be made or ended is told once, and never holds or fails a run. It must never silence what is not an alert
of the run, nor end what is not a silence of the run.

Alertmanager never tells of an alert that has resolved under a silence, so it is asked: while there is one now and then,
and once more when it is over. A clear no counts as the resolve.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from remediator.clients.alertmanager import CREATED_BY, OwnSilence, Silence
from remediator.errors import RemediatorError, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.redaction import shorten
from remediator.model.alert import Alert
from remediator.model.duration import say_duration
from remediator.model.facts import Planned, Silenced, Unsilenced
from remediator.model.ids import RunId
from remediator.model.matchers import Matcher
from remediator.model.occurrence import Occurrence
from remediator.model.run import Run
from remediator.model.stage import by_hand, resolved
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.rounds import survive
from remediator.pipeline.silencing.silences import next_try, open_silences
from remediator.rules.book import Rule

log = structlog.get_logger(__name__)

MOST_SILENCES = 10
"""How many alerts of a run are silenced at most; what is more stays loud."""
ASK_EVERY = timedelta(seconds=5)
"""How often Alertmanager is asked, while a silence lasts, whether the alert still fires."""

_ASKED_FOR = timedelta(days=1)
"""How long after the end of a silence it is still asked whether its alert fires, and tried to settle it at all."""
_PATIENCE = 2.0
"""How many seconds the making of silences may take: the run waits for it when its first step has ended."""
_GIVEN_UP = "it is over by its own end, and is looked at no more"
_HEARD_AGAIN = timedelta(minutes=5)
"""How long after its start Alertmanager may not have heard yet of what fires."""
_CLOCKS = timedelta(minutes=1)
_MOST_SAID = 300
_A_MISTAKE = "that is a mistake of ours, and the log has more"

Resolve = Callable[[Sequence[Occurrence], datetime], Awaitable[None]]
"""Closes occurrences that did not fire any more at that time."""


class AlertsOfRun(Protocol):
    """The part of the store that it asks."""

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        """See `Store`."""
        ...


class Alertmanager(Protocol):
    """The part of `AlertmanagerClient` that it uses. Each may raise a RemediatorError."""

    async def is_firing(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with exactly these labels fires now, silenced or not."""
        ...

    async def up_since(self) -> datetime:
        """Since when it has been running."""
        ...

    async def own_silences(self, matchers: Collection[Matcher]) -> tuple[OwnSilence, ...]:
        """Our silences with exactly these matchers that are not over."""
        ...

    async def find_silence(self, silence_id: str) -> Silence | None:
        """A silence by its id."""
        ...

    async def make_silence(
        self, matchers: Collection[Matcher], *, starts_at: datetime, ends_at: datetime, comment: str
    ) -> str:
        """Make a silence of ours; its id."""
        ...

    async def end_silence(self, silence_id: str) -> None:
        """End a silence now."""
        ...


@dataclass(frozen=True, slots=True)
class _Made:
    """A silence of one alert."""

    fingerprint: str
    id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Word:
    """Whether something is over, and what there is to say of it."""

    is_over: bool
    brief: str


class Silencing:
    """Makes and ends the silences of runs."""

    def __init__(
        self,
        alerts: AlertsOfRun,
        resolve: Resolve,
        client: Alertmanager | None,
        clock: Clock,
        *,
        longest: timedelta,
    ) -> None:
        """`longest` bounds every silence."""
        self._alerts = alerts
        self._resolve = resolve
        self._client = client
        self._clock = clock
        self._longest = longest
        self._not_before: dict[RunId, float] = {}  # when it is asked again whether a run's alerts still fire

    async def begin(self, run: Run, rule: Rule) -> tuple[Silenced | Unsilenced, ...]:
        """Silence the run's alerts, if its rule asks for that and it was not tried for this plan yet: what to note.

        The start of a step is on record by then, so who comes after a crash knows that there may be silences. It goes
        on beside the step and takes little time; whatever goes wrong is noted, and told with the rest.
        """
        if rule.silence is None or by_hand(run) is not None or _is_tried(run):
            return ()
        made: list[Silenced | Unsilenced] = []
        try:
            async with asyncio.timeout(_PATIENCE):
                broke = await survive(self._begin(run, rule.silence, made), "silence_not_made", run=run.id)
                why = _A_MISTAKE if broke is not None else ""
        except TimeoutError:
            why = f"Alertmanager did not answer within {_PATIENCE:g} s"
        except StoreUnavailable as error:
            why = str(error)
        if why:
            made.append(_failure(run, made, self._clock.now(), why))
        return tuple(made)

    async def _begin(self, run: Run, wanted: timedelta, made: list[Silenced | Unsilenced]) -> None:
        now, lasts = self._clock.now(), min(wanted, self._longest)
        if self._client is None:
            made.append(_failure(run, made, now, "no Alertmanager is configured; set alertmanager.url"))
            return
        if not lasts:
            made.append(_failure(run, made, now, "alertmanager.longest_silence allows none"))
            return
        lasting = {one.fingerprint for one in open_silences(run) if one.until > now}
        found = await self._alerts.open_alerts_of(run.id, limit=MOST_SILENCES)
        loud = [one for one in found if one.fingerprint not in lasting]
        client = self._client

        async def silence(alert: Occurrence) -> None:
            one = await self._silence(client, run, alert, now, now + lasts)
            # Noted at once: what another one waits for in vain makes it no less silenced.
            made.append(Silenced(now, _next_count(run) + len(made), one.id, one.until, one.fingerprint))

        for broke in await asyncio.gather(*map(silence, loud), return_exceptions=True):
            if broke is None:
                continue
            if not isinstance(broke, RemediatorError):
                raise broke
            if not any(isinstance(fact, Unsilenced) for fact in made):  # once is enough
                made.append(_failure(run, made, now, str(broke)))

    async def _silence(
        self, client: Alertmanager, run: Run, alert: Occurrence, now: datetime, until: datetime
    ) -> _Made:
        """The silence of this very alert: one of the run that is there already, else a new one."""
        matchers = _matchers(alert)
        found = await _find(client, run, alert)
        if found is not None:
            return found
        comment = f"run {run.id} of the rule {run.rule} acts on it"
        made = await client.make_silence(matchers, starts_at=now, ends_at=until, comment=comment)
        return _Made(alert.fingerprint, made, until)

    async def look(self, ledger: Ledger) -> None:
        """Now and then, have it known what has resolved under its silence. Raises StoreUnavailable."""
        run, now = ledger.run, self._clock.monotonic()
        silences = open_silences(run)
        if not silences or resolved(run) is not None or now < self._not_before.get(run.id, now):
            return
        self._not_before[run.id] = now + ASK_EVERY.total_seconds()
        await survive(self._ask(ledger, silences), "alert_not_looked_at", run=run.id)

    async def find_again(self, ledger: Ledger, rule: Rule | None) -> None:
        """Have on record what was silenced without the run's knowing: it was cut short, or the answer never came.

        Raises StoreUnavailable.
        """
        run = ledger.run
        is_planned = any(isinstance(fact, Planned) for fact in run.facts)
        if rule is None or rule.silence is None or by_hand(run) is not None or not is_planned:
            return
        await survive(self._find_again(ledger), "silence_not_looked_for", run=run.id)

    async def _find_again(self, ledger: Ledger) -> None:
        alerts: list[Occurrence | Alert] = list(await self._alerts.open_alerts_of(ledger.run.id, limit=MOST_SILENCES))
        own = ledger.run.alert
        if all(alert.fingerprint != own.fingerprint for alert in alerts):
            alerts.append(own)  # it may have resolved meanwhile, and its next firing would not be heard
        for alert in alerts:
            try:
                found = None if self._client is None else await _find(self._client, ledger.run, alert)
            except StoreUnavailable:
                raise
            except RemediatorError as error:
                log.warning("silence_not_looked_for", error=str(error))
                return
            if found is not None:
                now, count = self._clock.now(), _next_count(ledger.run)
                ledger.note(Silenced(now, count, found.id, found.until, found.fingerprint))

    async def lift(self, ledger: Ledger) -> None:
        """End what the run has silenced, and have it known what has resolved meanwhile.

        What cannot be ended now is noted, and tried again when the run has ended. Raises StoreUnavailable.
        """
        silences, due = open_silences(ledger.run), next_try(ledger.run)
        if not silences or (due is not None and due > self._clock.now()):
            return
        self._not_before.pop(ledger.run.id, None)
        broke = await survive(self._lift(ledger, silences), "silence_not_lifted", run=ledger.run.id)
        if broke is not None:
            for silence in open_silences(ledger.run):
                _note_end(ledger, silence, _Word(is_over=False, brief=_A_MISTAKE), "", self._clock.now())

    async def _lift(self, ledger: Ledger, silences: Sequence[Silenced]) -> None:
        words = await asyncio.gather(*(self._end(ledger.run, one) for one in silences))
        unsure = await self._ask(ledger, silences)  # last: what resolves from now on is told
        now = self._clock.now()
        for silence, word in zip(silences, words, strict=True):
            _note_end(ledger, silence, word, unsure, now)

    async def _end(self, run: Run, silence: Silenced) -> _Word:
        """End one silence, unless it is over, or somebody has made something else of it."""
        if silence.until <= self._clock.now():
            return _Word(is_over=True, brief="it has ended by itself")
        if self._client is None:
            return _Word(is_over=False, brief="no Alertmanager is configured any more")
        try:
            found = await self._client.find_silence(silence.silence)
            if found is None or (found.ends_at is not None and found.ends_at <= self._clock.now()):
                return _Word(is_over=True, brief="it was ended by somebody, or Alertmanager has forgotten it")
            is_ours = found.created_by == CREATED_BY and run.id in found.comment
            if not is_ours or found.ends_at is None or found.ends_at > silence.until + _CLOCKS:
                return _Word(is_over=True, brief="somebody has changed the silence since, so it was left as it is")
            await self._client.end_silence(silence.silence)
        except RemediatorError as error:
            log.warning("silence_not_ended", silence=silence.silence, error=str(error))
            left = say_duration(timedelta(seconds=round((silence.until - self._clock.now()).total_seconds())))
            return _Word(is_over=False, brief=f"{shorten(str(error), _MOST_SAID)}; it ends by itself in {left}")
        return _Word(is_over=True, brief="")

    async def _ask(self, ledger: Ledger, silences: Sequence[Silenced]) -> str:
        """Have closed what does not fire any more; why that cannot be told of all, or nothing."""
        asked_at, since = self._clock.now(), {one.fingerprint: one.at for one in silences}
        found = await self._alerts.open_alerts_of(ledger.run.id, limit=MOST_SILENCES)
        wanted = [one for one in found if one.fingerprint in since]
        if self._client is None or not wanted:
            return ""
        gone: list[Occurrence] = []
        unsure = ""
        try:
            is_firing = await asyncio.gather(*(self._client.is_firing(one.labels) for one in wanted))
            gone = [one for one, fires in zip(wanted, is_firing, strict=True) if not fires]
            up_since = await self._client.up_since() if gone else asked_at
        except StoreUnavailable:
            raise
        except RemediatorError as error:
            log.warning("alert_not_asked_for", error=str(error))
            return f"whether the alert still fires could not be asked: {shorten(str(error), _MOST_SAID)}"
        sure = [one for one in gone if up_since <= since[one.fingerprint] or up_since <= asked_at - _HEARD_AGAIN]
        if len(sure) < len(gone):
            unsure = "Alertmanager was started a moment ago, and may not know yet whether the alert fires"
        if sure:
            await self._resolve(sure, asked_at)
            await ledger.read_signals()
            log.info("resolved_under_silence", count=len(sure))
        return unsure


def _matchers(alert: Occurrence | Alert) -> set[Matcher]:
    """What this very alert meets."""
    return {Matcher(name, value) for name, value in alert.labels.items() if value}


async def _find(client: Alertmanager, run: Run, alert: Occurrence | Alert) -> _Made | None:
    """The silence of this alert that the run has made, and that is not on record."""
    known = {fact.silence for fact in run.facts if isinstance(fact, Silenced)}
    for found in await client.own_silences(_matchers(alert)):
        if run.id in found.comment and found.id not in known:
            return _Made(alert.fingerprint, found.id, found.ends_at)
    return None


def _is_tried(run: Run) -> bool:
    """Whether it was tried to silence something since the newest plan."""
    for fact in reversed(run.facts):
        if isinstance(fact, Planned):
            return False
        if isinstance(fact, Silenced) or (isinstance(fact, Unsilenced) and not (fact.ended or fact.tries)):
            return True
    return False


def _failure(run: Run, made: Sequence[Silenced | Unsilenced], now: datetime, why: str) -> Unsilenced:
    """That not everything could be silenced."""
    log.warning("alert_not_silenced", error=why)
    return Unsilenced(now, _next_count(run) + len(made), ended=False, brief=shorten(why, _MOST_SAID))


def _next_count(run: Run) -> int:
    return 1 + max((fact.count for fact in run.facts if isinstance(fact, Silenced | Unsilenced)), default=0)


def _note_end(ledger: Ledger, silence: Silenced, word: _Word, unsure: str, now: datetime) -> None:
    """Have on record how the end of a silence went; it is over only where it is known what became of its alert."""
    brief = "; ".join(one for one in (word.brief, unsure) if one)
    if now >= silence.until + _ASKED_FOR and (unsure or not word.is_over):
        log.warning("silence_given_up", silence=silence.silence, error=brief)
        ledger.note(Unsilenced(now, silence.count, ended=True, brief=f"{_GIVEN_UP}: {brief}"))
        return
    if word.is_over and not unsure:
        ledger.note(Unsilenced(now, silence.count, ended=True, brief=brief))
        return
    tries = sum(isinstance(fact, Unsilenced) and fact.count == silence.count for fact in ledger.run.facts)
    ledger.note(Unsilenced(now, silence.count, ended=False, brief=brief, tries=tries + 1))
