"""What is made of what was seen of the store's database."""

from dataclasses import replace

import pytest

from remediator.doctor.database import judged
from remediator.doctor.finding import Verdict
from remediator.storage.postgres.looking import SchemaSight, Sight

TABLES = SchemaSight(may_use=True, may_make_tables=True, has_tables=True, version=2, not_writable=(), other_owners=())
WELL = Sight(
    server=150004,
    user="re mediator",
    database="alerts",
    is_standby=False,
    is_read_only=False,
    may_make_schema=True,
    schema=TABLES,
    known=2,
)


@pytest.mark.parametrize(
    "sight",
    [
        WELL,
        replace(WELL, schema=None),
        replace(WELL, may_make_schema=False),
        replace(WELL, schema=replace(TABLES, may_make_tables=False, other_owners=("admin",))),
        replace(WELL, schema=replace(TABLES, version=1)),
        replace(WELL, schema=replace(TABLES, has_tables=False, version=None, other_owners=("admin",))),
    ],
    ids=["in use", "first start", "nothing left to make", "made by another", "an older version", "only the schema"],
)
def test_what_the_service_can_open_is_well(sight: Sight) -> None:
    """A right that is not used is not asked for."""
    assert [] == list(judged(sight))


@pytest.mark.parametrize(
    ("sight", "said", "remedy"),
    [
        (replace(WELL, server=120018), "PostgreSQL 12, and 13 or later", "bring the server"),
        (replace(WELL, is_standby=True), "it is a standby", "name the primary in store.url"),
        (
            replace(WELL, is_read_only=True),
            "read-only there",
            'ALTER ROLE "re mediator" SET default_transaction_read_only = off',
        ),
        (
            replace(WELL, schema=None, may_make_schema=False),
            "may not make the schema remediator in database alerts",
            'GRANT CREATE ON DATABASE "alerts" TO "re mediator"',
        ),
        (
            replace(WELL, schema=replace(TABLES, version=3)),
            "its tables are of version 3, and this program knows 2",
            "use the newer remediator",
        ),
        (
            replace(WELL, schema=replace(TABLES, may_use=False, version=None)),
            "may not use the schema remediator",
            'GRANT USAGE, CREATE ON SCHEMA remediator TO "re mediator"',
        ),
        (
            replace(WELL, schema=replace(TABLES, may_use=False, not_writable=("run", "version"), version=None)),
            "may not use the schema remediator",
            'GRANT USAGE, CREATE ON SCHEMA remediator TO "re mediator"; '
            'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA remediator TO "re mediator"',
        ),
        (
            replace(WELL, schema=replace(TABLES, not_writable=("run", "version"), version=None)),
            "may not read and write run, version",
            'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA remediator TO "re mediator"',
        ),
        (
            replace(WELL, schema=replace(TABLES, has_tables=False, version=None, may_make_tables=False)),
            "may not make tables in the schema remediator",
            'GRANT CREATE ON SCHEMA remediator TO "re mediator"',
        ),
        (
            replace(WELL, schema=replace(TABLES, version=1, other_owners=('a"b',))),
            'brought to version 2, and only their owner can: "a""b"',
            'GRANT "a""b" TO "re mediator"',
        ),
    ],
    ids=[
        "old",
        "standby",
        "read-only",
        "no schema",
        "newer",
        "no use",
        "no use nor writing",
        "no writing",
        "no making",
        "older, another's",
    ],
)
def test_what_keeps_the_service_from_starting_or_writing_is_a_problem(sight: Sight, said: str, remedy: str) -> None:
    """One cause, one finding, and a statement that mends it as it stands."""
    findings = list(judged(sight))

    assert [Verdict.PROBLEM] == [finding.verdict for finding in findings]
    assert said in findings[0].detail
    assert findings[0].remedy.startswith(remedy)
