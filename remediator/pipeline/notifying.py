"""What other places than the chat are told of runs: mail, Teams, webhooks. Pure; every text is redacted here.

Called by the ledger, so that what is told is stored together with the fact that it tells of. Each is a message of its
own, by a key of its own, and never edited: there is nothing to edit in a mailbox.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from remediator.chat.chat import NOTIFY
from remediator.kit.redaction import Redactor, shorten
from remediator.kit.wording import counted, say_time
from remediator.model.budget import Budget
from remediator.model.facts import Asked, Closed, Ended, Fact, Planned, Reminded, Started, Voided
from remediator.model.ids import RunId
from remediator.model.message import NEWS, Excerpt, Fields, Message, Notice, Part, QueuedPost, Text, Tone
from remediator.model.outcome import Outcome
from remediator.model.plan import Effect, Plan
from remediator.model.run import Run
from remediator.model.undo import Undone, undone_by
from remediator.pipeline import story
from remediator.settings import NotifySettings

_SUMMARY, _WORD, _SENTENCE = 200, 100, 500
_STEPS = 10
_LISTED = 20  # of the messages that are told together, for people
_DIGEST = 12
_GOOD = (Outcome.HEALED, Outcome.RESOLVED_BY_ITSELF)
_BAD = (Outcome.NOT_HEALED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.INCONCLUSIVE, Outcome.EXPIRED)
_TITLES = {
    "asked": "A plan waits for a person",
    "reminded": "A plan still waits for a person",
    "void": "What was asked for is void",
    "acting": "Acting",
    "put_back": "Put back",
    "closed": "The alert has ended",
}


@dataclass(frozen=True, slots=True)
class _News:
    """One thing that has happened, as it is told."""

    event: str
    tone: Tone
    title: str
    said: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    asked: Asked | None = None
    """The question that waits for an answer."""


class Places:
    """The places of the settings, and what each wants to hear."""

    def __init__(self, settings: Mapping[str, NotifySettings], public_url: str | None = None) -> None:
        self._settings = settings
        self._public_url = None if public_url is None else public_url.rstrip("/")

    @property
    def limits(self) -> dict[str, Budget]:
        """How many messages may go to each, by its channel."""
        return {channel_of(name): place.limit for name, place in self._settings.items()}

    def notices_of(self, run: Run, noted: Iterable[Fact], redactor: Redactor) -> tuple[Notice, ...]:
        """The messages that follow from facts just noted."""
        wanting = [(channel_of(name), place) for name, place in self._settings.items() if _wants(place, run)]
        if not wanting:
            return ()
        return tuple(
            Notice(channel, key, message)
            for fact in noted
            if (news := _news_of(run, fact)) is not None
            for key, message in [(_key(run.id, fact, news), _message(run, fact, news, redactor, self._public_url))]
            for channel, place in wanting
            if news.event in place.events
        )


NO_PLACES = Places({})


def channel_of(place: str) -> str:
    """The channel of a place, as the outbox knows it."""
    return f"{NOTIFY}{place}"


def _wants(place: NotifySettings, run: Run) -> bool:
    severity = run.alert.labels.get("severity", "")
    return (not place.rules or any(fnmatchcase(run.rule, pattern) for pattern in place.rules)) and (
        not place.severities or severity in place.severities
    )


def _key(run: RunId, fact: Fact, news: _News) -> str:
    step, attempt = fact.key
    return f"{NEWS}{run}.{news.event}.{step}.{attempt}"


def _news_of(run: Run, fact: Fact) -> _News | None:
    """What a fact tells the places; None where it is nothing to them."""
    match fact:
        case Asked():
            return _News("asked", Tone.WAITING, _TITLES["asked"], fact.why, _question(fact), fact)
        case Reminded():
            asked = _asked(run, fact.round, fact.revision)
            return _News("reminded", Tone.WAITING, _TITLES["reminded"], "", _question(asked) if asked else (), asked)
        case Voided():
            return _News("void", Tone.WAITING, _TITLES["void"], fact.why)
        case Started() if undone_by(fact.step) is None and _is_first(run, fact):
            return _News("acting", Tone.WORKING, _TITLES["acting"])
        case Ended() if not _is_no_news(run, fact):
            return _News("ended", _tone(fact.outcome), fact.outcome.capitalize(), fact.brief)
        case Undone():
            tone = Tone.BAD if fact.asks else Tone.GOOD
            return _News("put_back", tone, "Not put back" if fact.asks else _TITLES["put_back"], fact.brief)
        case Closed():
            return _News("closed", Tone.GOOD, _TITLES["closed"], fact.brief)
        case _:
            return None


def _is_first(run: Run, started: Started) -> bool:
    """Whether a plan begins with it: it is told once, and not with each step and each target."""
    others = (one for one in run.facts if isinstance(one, Started) and one.round == started.round)
    return next((one.key for one in others if undone_by(one.step) is None), started.key) == started.key


def _is_no_news(run: Run, ended: Ended) -> bool:
    """Whether it has only waited in a storm until its alert had ended: thousands may, and nobody has heard of any."""
    return ended.outcome is Outcome.RESOLVED_BY_ITSELF and story.only_waits(run)


def _tone(outcome: Outcome) -> Tone:
    if outcome in _GOOD:
        return Tone.GOOD
    return Tone.BAD if outcome in _BAD else Tone.NEUTRAL


def _asked(run: Run, round_: int, revision: int) -> Asked | None:
    of_it = (one for one in run.facts if isinstance(one, Asked) and (one.round, one.revision) == (round_, revision))
    return next(of_it, None)


def _question(asked: Asked) -> tuple[tuple[str, str], ...]:
    who = ", ".join(asked.approvers) or "everybody who may decide"
    quorum = f", {asked.quorum} different people" if asked.quorum > 1 else ""
    then = {"deny": "the run ends", "escalate": "the next level is told", "auto": "it is carried out by itself"}
    return (
        ("Who may approve", who + quorum),
        ("Until", f"{say_time(asked.until)}; then {then.get(asked.on_timeout, asked.on_timeout)}"),
        ("Touches", asked.touches),
        ("The last plans of this rule", asked.record),
    )


def _plan_of(run: Run) -> Plan | None:
    return next((fact.plan for fact in reversed(run.facts) if isinstance(fact, Planned)), None)


def _message(run: Run, fact: Fact, news: _News, redactor: Redactor, public_url: str | None) -> Message:
    def told(text: str, length: int = _SENTENCE) -> str:
        return shorten(redactor.text(text), length)

    plan = _plan_of(run)
    summary, said = told(run.summary, _SUMMARY), told(news.said)
    targets = told(", ".join(sorted({target.name for target in plan.targets}))) if plan is not None else ""
    alert, severity = (told(text, _WORD) for text in (run.alert.name, run.alert.labels.get("severity", "")))
    pairs = (
        *((name, told(value)) for name, value in news.pairs),
        ("Plan", told(plan.name) if plan is not None else ""),
        ("Target", targets),
        ("Alert", alert),
        ("Severity", severity),
        ("Since", say_time(run.alert.starts_at)),
        ("Rule", run.rule),
        ("Run", run.id),
    )
    parts: list[Part] = [Text(said)] if said else []
    if news.asked is not None and plan is not None:
        parts.append(Excerpt("What would be done", "\n".join(told(line) for line in _steps(plan))))
        parts.append(_how(run.id, plan, public_url))
    parts.append(Fields(tuple((name, value) for name, value in pairs if value)))
    data = (
        ("event", news.event),
        ("at", fact.at.isoformat()),
        ("run", run.id),
        ("rule", run.rule),
        ("alert", alert),
        ("severity", severity),
        ("summary", summary),
        ("status", told(story.say_standing(run))),
        ("said", said),
        ("outcome", fact.outcome if isinstance(fact, Ended) else ""),
        ("plan", told(plan.name) if plan is not None else ""),
        ("digest", plan.digest if plan is not None else ""),
        ("targets", targets),
        *_question_data(run, news.asked, public_url),
        ("run_url", f"{public_url or ''}/api/v1/runs/{run.id}"),
    )
    return Message(news.tone, f"{news.title}: {summary}", tuple(parts), None, data)


def _question_data(run: Run, asked: Asked | None, public_url: str | None) -> tuple[tuple[str, str], ...]:
    if asked is None:
        return ()
    return (
        ("until", asked.until.isoformat()),
        ("approvers", ", ".join(asked.approvers)),
        ("quorum", str(asked.quorum)),
        ("on_timeout", asked.on_timeout),
        ("decision_url", f"{public_url or ''}/api/v1/runs/{run.id}/decision"),
    )


def _steps(plan: Plan) -> Iterator[str]:
    steps = [step for step in plan.steps if step.effect is not Effect.READ] or list(plan.steps)
    yield from (step.sentence for step in steps[:_STEPS])
    if (more := len(steps) - _STEPS) > 0:
        yield f"… and {counted(more, 'more step')}"


def _how(run: RunId, plan: Plan, public_url: str | None) -> Part:
    where = "" if public_url is None else f" --url {public_url}"
    title = "To decide" if public_url is None else f"To decide, at {public_url}"
    approve = f"remediator approve {run} --plan {plan.digest[:_DIGEST]}{where}"
    return Excerpt(title, f"{approve}\nremediator deny {run} --reason '…'{where}")


def key_of(posts: Sequence[QueuedPost]) -> str:
    """The key of the message that tells of all of them: each version of each is told in one such at the most."""
    return f"several.{posts[0].seq}.{posts[0].version}"


def gathered(posts: Sequence[QueuedPost], limit: Budget) -> Message:
    """One message in the place of many; what waits for a person comes first."""
    told = sorted((dict(post.message.data) for post in posts), key=lambda one: one.get("event") != "asked")
    events = Counter(one.get("event", "") for one in told)
    waiting = [one.get("run", "") for one in told if one.get("event") == "asked"]
    title = f"{len(told)} messages at once: " + ", ".join(f"{count} {event}" for event, count in events.items())
    lines = [f"{one.get('run')} {_happened(one)}: {one.get('summary')}" for one in told[:_LISTED]]
    if (more := len(told) - len(lines)) > 0:
        lines.append(f"… and {more} more")
    parts: tuple[Part, ...] = (
        Text(f"There may be {limit} messages here, so these are told together. All runs: remediator runs list"),
        Excerpt("Runs", "\n".join(lines)),
    )
    if waiting:
        approve = "\n".join(f"remediator approve {run}" for run in waiting[:_LISTED])
        parts = (*parts, Excerpt("Those that wait for a person", approve))
    data = (("event", "several"), ("count", str(len(told))), *((event, str(count)) for event, count in events.items()))
    problems = tuple(tuple(one.items()) for one in told)
    return Message(Tone.WAITING if waiting else Tone.NEUTRAL, title, parts, None, data, problems)


def _happened(one: Mapping[str, str]) -> str:
    return one.get("outcome") or one.get("event", "")
