"""The SQL of the outbox that is the same for every engine: what a newer version does, what waits, and what for."""

from remediator.model.message import LEVEL, NEWS, PARENT, TOLD_IN

# What is minor no more waits from now on: people have waited for it since then. One that may have landed is looked for
# since the time at which it was queued first. No thread is minor as long as anything in it is waited for.
NEWER_VERSION = f"""
    DO UPDATE SET message = excluded.message, version = post.version + CAST(post.message <> excluded.message AS int),
        queued_at = CASE WHEN post.sent_version < post.version
            AND (post.is_minor <= excluded.is_minor OR (post.attempted AND post.ref IS NULL))
            THEN post.queued_at ELSE excluded.queued_at END,
        is_minor = excluded.is_minor AND NOT EXISTS (
            SELECT 1 FROM post AS reply WHERE reply.run = post.run AND reply.key <> '{PARENT}'
                AND reply.sent_version < reply.version AND NOT reply.is_minor
        )
    WHERE post.message <> excluded.message OR post.is_minor <> excluded.is_minor
"""  # noqa: S608 - a constant of ours
WAITING = f"""
    SELECT p.*, parent.ref AS thread FROM post AS p
    LEFT JOIN post AS parent ON parent.run = p.run AND parent.key = '{PARENT}' AND p.key <> parent.key
    WHERE p.sent_version < p.version
"""  # noqa: S608 - a constant of ours
IS_LEVEL = f"""
    p.run IS NULL AND (substr(p.key, 1, {len(LEVEL)}) = '{LEVEL}' OR substr(p.key, 1, {len(NEWS)}) = '{NEWS}')
    AND (p.ref IS NULL OR substr(p.ref, 1, {len(TOLD_IN)}) = '{TOLD_IN}')
"""
"""A notice that tells a level or a place of one run, and stands nowhere: not told yet, or together with others."""


def has_its_turn(is_not_passed: str) -> str:
    """A reply waits until its thread stands, and for the replies before it, except for those that are passed."""
    return f"""
        (p.run IS NULL OR p.key = '{PARENT}' OR p.ref IS NOT NULL OR (parent.ref IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM post AS earlier
            WHERE earlier.run = p.run AND earlier.seq < p.seq AND earlier.key <> '{PARENT}' AND earlier.ref IS NULL
                AND earlier.is_minor <= p.is_minor AND {is_not_passed}
        )))
    """  # noqa: S608 - constants of ours
