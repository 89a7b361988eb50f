"""The journal of changes, and the stops: what guards ask, and what a start enters.

Answers are given within the transaction that asks. Whoever records starts that are judged takes `STARTING` before
anything else, so that no two processes judge starts at once, and none waits for that with a row of its own. Whoever
puts a stop takes it as well: or a start that was judged before would be committed after the stop was answered.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from remediator.model.change import Change, Ended
from remediator.model.history import Known, Question
from remediator.model.ids import RunId
from remediator.model.stop import Stop, StopKind
from remediator.storage import answers, codec
from remediator.storage.answers import Answers, Begun, Span
from remediator.storage.postgres.keys import bounded, plain
from remediator.storage.runs import Refusal, Reservation

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

STARTING = "SELECT pg_advisory_xact_lock(x'72656d7374617274'::bigint)"  # any number, as long as it stays the same

_ENTER = """
    INSERT INTO change (run, round, rule, target, action, counts, alert_at, at)
    SELECT run, round, rule, target, action, counts, alert_at, at
    FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bigint[], $8::bigint[])
        WITH ORDINALITY AS c (run, round, rule, target, action, counts, alert_at, at, place) ORDER BY place
    ON CONFLICT (run, round, target, action) DO UPDATE SET
        at = excluded.at, ending = NULL, ended_at = NULL, seq = DEFAULT
    WHERE change.ending = 'not begun'
"""
# Of several that are noted at once of the same change the last one stands.
_END = """
    UPDATE change SET ending = last.ending, ended_at = last.at FROM (
        SELECT DISTINCT ON (c.seq) c.seq, e.ending, e.at
        FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::bigint[], $6::bool[])
            WITH ORDINALITY AS e (run, round, action, ending, at, settles, place)
        JOIN change AS c ON c.run = e.run AND c.round = e.round AND (e.action IS NULL OR c.action = e.action)
            AND (NOT e.settles OR c.ending = 'unknown') AND (e.ending <> 'not begun' OR c.ending IS NULL)
        ORDER BY c.seq, e.place DESC
    ) AS last WHERE change.seq = last.seq
"""
_COLUMNS = ", ".join(f"found.{column}" for column in codec.CHANGE.split(", "))
_SHAPES = {
    (): "counts",
    ("rule",): "counts AND rule = q.rule",
    ("target",): "counts AND target = q.target",
    ("rule", "target"): "counts AND rule = q.rule AND target = q.target",
    ("action",): "action = q.action",
}
"""What a kind of change may name, and the condition that an index answers."""
_PLACES = {names: place for place, names in enumerate(_SHAPES)}
_THERE = -1  # where the entries are that were to be entered, and are there already
_STOPS = 2**31 - 1  # where the stops are
_RUNS = -2  # where the runs are of the first question about them; those of the others are below
_RULE, _AT = (codec.CHANGE.split(", ").index(column) for column in ("rule", "at"))
_AS_CHANGE = "kind, NULL, scope, reason, by, NULL, at, NULL, NULL, until"
"""A stop in the columns of a change."""
_OF_STOP = tuple(_AS_CHANGE.split(", ").index(column) for column in codec.STOP.split(", "))
_NEWEST = {
    names: f"""
        SELECT * FROM change WHERE {condition} AND at > q.since AND ending IS DISTINCT FROM 'not begun'
        ORDER BY at DESC, seq DESC LIMIT q.most OFFSET q.skip
    """  # noqa: S608 - constants of ours
    for names, condition in _SHAPES.items()
}
_FIND = " UNION ALL ".join(
    f"""
    SELECT q.place, found.seq, {_COLUMNS} FROM q CROSS JOIN LATERAL ({newest}) AS found
    WHERE q.shape = {_PLACES[names]} AND (
        NOT q.if_bad OR EXISTS (SELECT FROM stop WHERE scope = ANY ($18::text[]))
        OR EXISTS (SELECT FROM ({newest}) AS any_bad WHERE ending IN ({codec.BAD}))
    )
    """  # noqa: S608 - constants of ours
    for names, newest in _NEWEST.items()
)
# An alert that comes and goes counts once: its newest run of the rule, that is, one that no later run began with. That
# is looked for only where there are repeats among as many runs as are asked for, as it takes several times as long.
_ANEW = """
    AND NOT EXISTS (
        SELECT FROM occurrence AS its
        JOIN occurrence AS later ON later.fingerprint = its.fingerprint AND later.seq > its.seq
        JOIN run AS anew ON anew.occurrence = later.id AND anew.rule = run.rule AND anew.created_at >= run.created_at
        WHERE its.id = run.occurrence
    )
"""


def _begun(first: int, *, anew: str = "", alert: bool = True) -> str:
    """The beginning of a statement, with the newest runs that questions are about; their parameters begin at `first`.

    The rules are found by steps in the index, and then the newest runs of each: so the work is the same, however many
    runs one of them has.
    """
    columns = f"run.rule, run.created_at{', run.occurrence' if alert else ''}"  # without it the index alone is read
    kinds = zip(("int", "text", "bigint", "int", "int"), range(first, first + 5), strict=True)
    return f"""
    WITH RECURSIVE wanted AS (
        SELECT * FROM unnest({", ".join(f"${number}::{kind}[]" for kind, number in kinds)})
            AS one (place, rule, since, most, each)
    ), one_rule AS (
        (SELECT rule FROM run WHERE EXISTS (SELECT FROM wanted WHERE each IS NOT NULL) ORDER BY rule LIMIT 1)
        UNION ALL
        SELECT (SELECT run.rule FROM run WHERE run.rule > one_rule.rule ORDER BY run.rule LIMIT 1)
        FROM one_rule WHERE one_rule.rule IS NOT NULL
    ), begun AS (
        SELECT wanted.place, found.* FROM wanted CROSS JOIN LATERAL (
            SELECT {columns} FROM run WHERE run.rule = wanted.rule AND run.created_at > wanted.since {anew}
            ORDER BY run.created_at DESC LIMIT wanted.most
        ) AS found WHERE wanted.rule IS NOT NULL
        UNION ALL
        SELECT wanted.place, found.* FROM wanted CROSS JOIN LATERAL (
            SELECT {columns} FROM run WHERE run.created_at > wanted.since {anew}
            ORDER BY run.created_at DESC LIMIT wanted.most
        ) AS found WHERE wanted.rule IS NULL AND wanted.each IS NULL
        UNION ALL
        SELECT wanted.place, found.* FROM wanted CROSS JOIN LATERAL (
            SELECT newest.* FROM one_rule CROSS JOIN LATERAL (
                SELECT {columns} FROM run
                WHERE run.rule = one_rule.rule AND run.created_at > wanted.since {anew}
                ORDER BY run.created_at DESC LIMIT wanted.each
            ) AS newest ORDER BY newest.created_at DESC LIMIT wanted.most
        ) AS found WHERE wanted.rule IS NULL AND wanted.each IS NOT NULL
    )
    """  # noqa: S608 - constants of ours


_ALERT = "(SELECT its.fingerprint FROM occurrence AS its WHERE its.id = begun.occurrence)"
_ALERTS, _ONCE = (
    f"{_begun(1, anew=anew)} SELECT place, rule, created_at, {_ALERT} FROM begun ORDER BY place, created_at DESC"  # noqa: S608
    for anew in ("", _ANEW)
)
_LOOK = f"""
    {_begun(13, alert=False)}, q AS (
        SELECT * FROM unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::int[],
            $8::int[], $19::bool[]) AS one (place, shape, rule, target, action, since, most, skip, if_bad)
    )
    SELECT * FROM ({_FIND} UNION ALL
        SELECT {_THERE}, found.seq, {_COLUMNS} FROM unnest($9::text[], $10::int[], $11::text[], $12::text[])
            AS e (run, round, target, action)
        JOIN change AS found USING (run, round, target, action) WHERE found.ending IS DISTINCT FROM 'not begun'
        UNION ALL
        SELECT place, 0, NULL, NULL, rule, NULL, NULL, NULL, created_at, NULL, NULL, NULL FROM begun
        UNION ALL
        SELECT {_STOPS}, 0, {_AS_CHANGE} FROM stop WHERE scope = ANY ($18::text[])
    ) AS answer ORDER BY place, at DESC, seq DESC
"""  # noqa: S608 - constants of ours
_PUT = f"""
    INSERT INTO stop AS s (kind, scope, reason, by, at, until) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (kind, scope) DO UPDATE SET reason = excluded.reason, by = excluded.by, at = excluded.at,
        until = excluded.until
    WHERE s.kind = '{StopKind.PAUSE}' OR s.until IS NULL OR greatest(s.until, s.at) < excluded.at
    RETURNING kind
"""  # noqa: S608 - our own
_PROLONG = f"""
    INSERT INTO stop AS s (kind, scope, reason, by, at, until) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (kind, scope) DO UPDATE SET
        reason = CASE WHEN s.until > $7 THEN s.reason ELSE excluded.reason END,
        by = CASE WHEN s.until > $7 THEN s.by ELSE excluded.by END,
        at = CASE WHEN s.until > $7 THEN s.at ELSE excluded.at END,
        until = CASE WHEN s.until > $7 THEN greatest(s.until, excluded.until) ELSE excluded.until END
    WHERE s.until > $7 OR s.until <= excluded.at
    RETURNING {codec.STOP}
"""  # noqa: S608 - our own
_LIFT = """
    UPDATE stop SET until = $3 WHERE kind = $1 AND scope = $2 AND (until IS NULL OR until > $3) RETURNING kind
"""
# Up to when things belong to a stop that was lifted at $3: a clock that was ahead may have dated some of them later.
_DATE = {
    subject: f"""
        UPDATE stop SET at = greatest(at, ({newest})) WHERE kind = $1 AND scope = $2 AND $4::text IS NOT NULL
    """  # noqa: S608 - our own
    for subject, newest in {
        "run": "SELECT max(created_at) FROM run WHERE created_at > $3::bigint",
        "rule": "SELECT max(ended_at) FROM change WHERE rule = $4 AND ended_at > $3::bigint",
        "action": "SELECT max(ended_at) FROM change WHERE action = $4 AND ended_at > $3::bigint",
        "target": "SELECT max(greatest(ended_at, alert_at)) FROM change WHERE target = $4 AND ending IS NOT NULL"
        " AND greatest(ended_at, alert_at) > $3::bigint",
    }.items()
}
_LIST = f"SELECT {codec.STOP} FROM stop WHERE until IS NULL OR until > $1 ORDER BY at"  # noqa: S608 - our own
_WITHIN = f"SELECT {codec.STOP} FROM stop WHERE scope = ANY ($1::text[]) ORDER BY at"  # noqa: S608 - our own


async def enter(db: "Db", changes: Sequence[Change]) -> None:
    """Enter changes that are not there yet; one that was not begun is entered anew, after all others."""
    rows = [
        (c.run, c.round, c.rule, bounded(c.target), c.action, c.counts, codec.to_us(c.alert_at), codec.to_us(c.at))
        for c in changes
    ]
    if rows:
        await db.execute(_ENTER, *map(list, zip(*rows, strict=True)))


async def note_endings(db: "Db", endings: Iterable[tuple[RunId, Ended]]) -> None:
    """Note what came of changes, each of a run."""
    rows = [(run, e.round, e.action, e.ending, codec.to_us(e.at), e.settles) for run, e in endings]
    if rows:
        await db.execute(_END, *map(list, zip(*rows, strict=True)))


async def judge(db: "Db", wanted: Mapping[RunId, Reservation]) -> dict[RunId, Refusal]:
    """Why those are refused that may not begin, each judged as if those before it that may had begun.

    It writes nothing.
    """
    questions = dict.fromkeys(question for one in wanted.values() for question in one.questions)
    found = await _look(db, list(questions), [change for one in wanted.values() for change in one.changes])
    refused: dict[RunId, Refusal] = {}
    for run, one in wanted.items():
        refusal = one.judge(found.to(one.questions))
        if refusal is None:
            found.enter(one.changes)
        else:
            refused[run] = refusal
    return refused


async def known(db: "Db", questions: Sequence[Question]) -> Known:
    """The answers."""
    return (await _look(db, questions)).to(questions)


async def _look(db: "Db", questions: Sequence[Question], entering: Sequence[Change] = ()) -> Answers:
    """What answers questions, also once some of these were entered: in one way to the server.

    Where as many runs began as are asked for, which is a storm or an alert that comes and goes, in one or two more.
    """
    wanted = answers.spans(questions, entering, bounded)
    recent = answers.runs_asked_for(questions)
    scopes = answers.stops_asked_for(questions, bounded)
    stops: list[Stop] = []
    found: dict[int, list[Change]] = defaultdict(list)
    begun: dict[int, list[Begun]] = defaultdict(list)
    if wanted or recent:
        keys = [(c.run, c.round, bounded(c.target), c.action) for c in entering]
        spans = [_row(place, span) for place, span in enumerate(wanted)]
        runs = [
            (_RUNS - n, one.rule, codec.to_us(one.since), answers.rows_for(one), one.each)
            for n, one in enumerate(recent)
        ]
        *asked, if_bad = _columns(spans, 9)
        looks = (*asked, *_columns(keys, 4), *_columns(runs, 5), scopes, if_bad)
        for place, seq, *columns in await db.fetch(_LOOK, *looks):
            if place == _STOPS:
                stops.append(codec.read_stop(columns[column] for column in _OF_STOP))
            elif place <= _RUNS:
                begun[place].append(Begun(columns[_RULE], columns[_AT]))
            else:
                found[place].append(codec.read_change((*columns, seq)))
        if full := [row for row, one in zip(runs, recent, strict=True) if answers.is_full(one, begun[row[0]])]:
            alerts = await _runs(db, _ALERTS, full)
            if again := [row for row in full if answers.has_repeats(alerts[row[0]])]:
                begun.update(await _runs(db, _ONCE, again))
    elif scopes:
        stops += map(codec.read_stop, await db.fetch(_WITHIN, scopes))
    return Answers(
        [(span, found[place]) for place, span in enumerate(wanted)],
        stops=sorted(stops, key=lambda stop: stop.at),
        there=[(c.run, c.round, c.target, c.action) for c in found[_THERE]],
        begun={one: begun[_RUNS - n] for n, one in enumerate(recent)},
        name=bounded,
    )


async def _runs(db: "Db", statement: str, wanted: Sequence[tuple[Any, ...]]) -> dict[int, list[Begun]]:
    """The newest runs with their alerts, for each place that is wanted."""
    found: dict[int, list[Begun]] = {place: [] for place, *_ in wanted}
    for place, *columns in await db.fetch(statement, *_columns(wanted, 5)):
        found[place].append(Begun(*columns))
    return found


def _row(place: int, span: Span) -> tuple[Any, ...]:
    names = ("rule", "target", "action")
    shape = tuple(name for name, value in zip(names, span.kind, strict=True) if value is not None)
    return place, _PLACES[shape], *span.kind, codec.to_us(span.since), span.most, span.skip, span.if_bad


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return list(map(list, zip(*rows, strict=True))) or [[] for _ in range(count)]


async def put_stop(db: "Db", *, stop: Stop) -> bool:
    """Whether it was written."""
    until = codec.to_us(stop.until) if stop.until is not None else None
    words = (bounded(stop.scope), plain(stop.reason), plain(stop.by))
    return await db.fetchval(_PUT, stop.kind, *words, codec.to_us(stop.at), until) is not None


async def prolong_stop(db: "Db", *, stop: Stop, now: datetime) -> Stop | None:
    """What stands then; None where nothing was written."""
    until = codec.to_us(stop.until) if stop.until is not None else None
    words = (bounded(stop.scope), plain(stop.reason), plain(stop.by))
    row = await db.fetchrow(_PROLONG, stop.kind, *words, codec.to_us(stop.at), until, codec.to_us(now))
    return replace(codec.read_stop(row), scope=stop.scope) if row is not None else None


async def lift_stop(db: "Db", *, kind: StopKind, scope: str, at: datetime, after_all: bool = False) -> bool:
    """Whether there was one that stood."""
    named = (kind, bounded(scope), codec.to_us(at))
    if await db.fetchval(_LIFT, *named) is None:
        return False
    if after_all:
        subject, _, name = scope.partition(":")
        date = _DATE.get("run" if kind is StopKind.STORM else subject)
        if date is not None:
            await db.execute(date, *named, bounded(name))
    return True


async def list_stops(db: "Db", *, at: datetime) -> tuple[Stop, ...]:
    return tuple(map(codec.read_stop, await db.fetch(_LIST, codec.to_us(at))))
