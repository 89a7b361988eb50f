"""The writes of intake: alerts become occurrences, and occurrences become runs.

All deliveries of a commit are written together, set by set, so that ten thousand alerts take as many statements as one:
lock and read what the alerts may touch, work out what they change (`storage/changes.py`), write that. A large
delivery goes piece by piece: the server must never take the transaction for idle, nor the others this process for dead.
Called by the writer, inside its transaction.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from remediator.model.alert import AlertStatus
from remediator.model.ids import RunId
from remediator.model.occurrence import Accepted
from remediator.storage import changes
from remediator.storage.changes import Changes, Judged, Newest, Request, SoFar
from remediator.storage.postgres import audit, cut_groups, reading
from remediator.storage.postgres.keys import bounded, buckets, plain

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

__all__ = ["Request", "accept_all"]

_BREATH = 100  # alerts that are judged at a stretch

# In a session nobody else uses such a pair of numbers for anything: the first one says what the second one is of.
_LOCK = "SELECT count(pg_advisory_xact_lock(7101, bucket)) FROM unnest($1::int[]) AS wanted (bucket)"
_RUNS_OF_OPEN = """
    SELECT m.run FROM unnest($1::text[]) AS asked (fingerprint)
    JOIN occurrence AS o ON o.fingerprint = asked.fingerprint AND o.closed_at IS NULL
    JOIN member AS m ON m.occurrence = o.id
"""
_LOCK_RUNS = """
    SELECT count(*) FROM (SELECT 1 FROM run WHERE id = ANY ($1::text[]) ORDER BY id FOR NO KEY UPDATE) AS locked
"""
_MEMBERS = "SELECT occurrence, run FROM member WHERE occurrence = ANY ($1::text[])"
_RUNS = """
    SELECT id, rule, open_group, open_alerts, signals FROM run WHERE id IN (
        SELECT unnest($1::text[])
        UNION ALL
        SELECT r.id FROM unnest($2::text[], $3::text[]) AS wanted (rule, open_group)
        JOIN run AS r ON r.rule = wanted.rule AND r.open_group = wanted.open_group
    ) ORDER BY id FOR NO KEY UPDATE
"""
_CHANGE_OCCURRENCES = """
    UPDATE occurrence AS o SET starts_at = n.starts_at, annotations = n.annotations, heard_at = n.heard_at,
        closed_at = n.closed_at, closing = coalesce(n.closing, o.closing), ends_at = n.ends_at,
        doubt_sent_again = n.doubt_sent_again, doubt = n.doubt, doubt_until = n.doubt_until
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[],
        $8::boolean[], $9::text[], $10::bigint[]) AS n (id, starts_at, annotations, heard_at, closed_at, closing,
        ends_at, doubt_sent_again, doubt, doubt_until)
    WHERE o.id = n.id
"""
_OPEN_OCCURRENCES = """
    INSERT INTO occurrence (id, starts_at, annotations, heard_at, closed_at, closing, ends_at, doubt_sent_again, doubt,
        doubt_until, fingerprint, labels, receiver, opened_at, alertname)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[],
        $8::boolean[], $9::text[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::text[])
"""
_CHANGE_RUNS = """
    UPDATE run SET open_alerts = n.open_alerts, open_group = CASE WHEN n.is_over THEN NULL ELSE run.open_group END,
        signals = n.signals, wake_at = least(run.wake_at, n.wake_at)
    FROM unnest($1::text[], $2::int[], $3::boolean[], $4::int[], $5::bigint[])
        AS n (id, open_alerts, is_over, signals, wake_at)
    WHERE run.id = n.id
"""
_CREATE_RUNS = """
    INSERT INTO run (id, rule, rule_digest, occurrence, alert, alertname, summary, channel, owner, epoch, created_at,
        priority, signals, wake_at, open_group, open_alerts)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::int[], $11::bigint[], $12::smallint[], $13::int[], $14::bigint[], $15::text[], $16::int[])
    ORDER BY 2, 15 -- others wait for a group that is new: in any other order they could wait for each other
"""
_ADD_MEMBERS = "INSERT INTO member (occurrence, rule, run) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])"
_ADD_SIGNALS = "INSERT INTO signal (run, kind, body) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])"
_ADD_POSTS = """
    INSERT INTO post (run, key, channel, message, queued_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
"""


async def accept_all(db: "Db", requests: Sequence[Request]) -> list[Accepted | Exception]:
    """What each delivery has led to; or what its judge raised, and then nothing of that delivery is written."""
    await db.execute(_LOCK, await _buckets(requests))
    results: list[Accepted | Exception] = []
    for share in changes.shares(requests):
        if changes.is_large(share[0]):
            results.append(await _accept_in_pieces(db, share[0]))
        else:
            results += await _accept_together(db, share)
    return results


async def _buckets(requests: Iterable[Request]) -> list[int]:
    """The locks of all alerts, to be taken before anything else, in their order."""
    found: set[int] = set()
    for request in requests:
        for alerts in changes.in_pieces(request.delivery.alerts):
            found.update(buckets(alert.fingerprint for alert in alerts))
            await asyncio.sleep(0)
    return sorted(found)


async def _accept_together(db: "Db", requests: Sequence[Request]) -> list[Accepted | Exception]:
    fingerprints = {alert.fingerprint for request in requests for alert in request.delivery.alerts}
    newest = await reading.newest_occurrences(db, fingerprints)
    judged = [await _judge(db, request, newest) for request in requests]
    made = await _load_runs(db, [one for alerts in judged if not isinstance(alerts, Exception) for one in alerts])
    results = [
        alerts if isinstance(alerts, Exception) else made.apply(request, alerts)
        for request, alerts in zip(requests, judged, strict=True)
    ]
    await _write(db, made)
    return results


async def _accept_in_pieces(db: "Db", request: Request) -> Accepted | Exception:
    so_far = SoFar()
    await db.execute("SAVEPOINT pieces")
    await _lock_runs(db, request)
    for piece in changes.pieces(request):
        if (error := await _accept_piece(db, piece, so_far)) is not None:
            await db.execute("ROLLBACK TO pieces")
            await db.execute("RELEASE pieces")
            return error
    for runs in changes.in_pieces(list(so_far.joined)):
        await _tell_joined(db, runs, request, so_far)
    if (cut_group := request.delivery.cut_group) is not None:
        await cut_groups.note(db, [cut_group])
    await db.execute("RELEASE pieces")
    return so_far.accepted


async def _lock_runs(db: "Db", request: Request) -> None:
    """Lock the runs that a delivery may end, of all its pieces, in the one order in which everybody locks them.

    Piece by piece, it and another replica's writes would wait for each other.
    """
    runs: set[str] = set()
    for alerts in changes.in_pieces(request.delivery.alerts):
        gone = [alert.fingerprint for alert in alerts if alert.status is AlertStatus.RESOLVED]
        if gone:
            runs.update(row["run"] for row in await db.fetch(_RUNS_OF_OPEN, list(map(plain, gone))))
        await asyncio.sleep(0)
    for some in changes.in_pieces(sorted(runs)):
        await db.execute(_LOCK_RUNS, some)


async def _accept_piece(db: "Db", piece: Request, so_far: SoFar) -> Exception | None:
    """Write some alerts of a delivery, after what was written of it before; or what its judge raised."""
    newest = await reading.newest_occurrences(db, {alert.fingerprint for alert in piece.delivery.alerts})
    judged = await _judge(db, piece, newest)
    if isinstance(judged, Exception):
        return judged
    made = await _load_runs(db, judged)
    made.go_on(piece, judged, so_far)
    await _write(db, made)
    return None


async def _tell_joined(db: "Db", runs: Sequence[RunId], request: Request, so_far: SoFar) -> None:
    made = Changes(name=bounded)
    for row in await db.fetch(_RUNS, runs, [], []):
        made.know_run(*row)
    made.tell_joined(runs, request.delivery.received_at, so_far)
    await _write(db, made)


async def _judge(db: "Db", request: Request, newest: Newest) -> list[Judged] | Exception:
    """Have all alerts of a delivery judged, or none.

    Thousands take seconds: the server must not take the transaction for idle, nor the others this process for dead.
    """
    hearing = changes.judge(request, newest)
    judged: list[Judged] = []
    while True:
        some = changes.judge_some(hearing, _BREATH)
        if isinstance(some, Exception):
            return some
        judged += some
        if len(some) < _BREATH:
            return judged
        await db.execute("SELECT 1")


async def _load_runs(db: "Db", judged: Iterable[Judged]) -> Changes:
    """The runs that occurrences may leave or join, locked in the one order in which everybody locks them."""
    made = Changes(name=bounded)
    closed, groups = made.touched(judged)
    if not closed and not groups:
        return made
    members = await db.fetch(_MEMBERS, closed) if closed else []
    for occurrence, run in members:
        made.know_member(occurrence, run)
    runs = [run for _, run in members]
    for row in await db.fetch(_RUNS, runs, [rule for rule, _ in groups], [group for _, group in groups]):
        made.know_run(*row)
    return made


async def _write(db: "Db", made: Changes) -> None:
    """What leaves comes before what takes its place: one occurrence of an alert is open, and one run of a group."""
    await _by_columns(db, _CHANGE_OCCURRENCES, made.changed_occurrences)
    await _by_columns(db, _OPEN_OCCURRENCES, made.opened_occurrences)
    await _by_columns(db, _CHANGE_RUNS, made.changed_runs)
    await _by_columns(db, _CREATE_RUNS, made.created_runs)
    await _by_columns(db, _ADD_MEMBERS, made.members)
    await _by_columns(db, _ADD_SIGNALS, made.signals)
    await _by_columns(db, _ADD_POSTS, made.posts)
    await audit.enter(db, made.audit)
    await cut_groups.note(db, made.cut_groups)


async def _by_columns(db: "Db", statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        await db.execute(statement, *map(_plain, zip(*rows, strict=True)))


def _plain(column: Sequence[Any]) -> list[Any]:
    """A column without a NUL, which almost none has."""
    return [plain(value) if type(value) is str and "\0" in value else value for value in column]
