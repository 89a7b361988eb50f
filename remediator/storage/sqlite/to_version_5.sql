-- Version 5: the journal of changes, what stands in the way of more of them, which alerts of a name are open, and which
-- messages may wait behind all others.

ALTER TABLE occurrence ADD COLUMN alertname TEXT NOT NULL DEFAULT '';
UPDATE occurrence SET alertname = coalesce(json_extract(labels, '$.alertname'), '') WHERE closed_at IS NULL;
CREATE INDEX occurrence_named ON occurrence (alertname) WHERE closed_at IS NULL;

ALTER TABLE post ADD COLUMN is_minor INTEGER NOT NULL DEFAULT 0;
DROP INDEX post_waiting;
CREATE INDEX post_waiting ON post (is_minor, seq) WHERE sent_version < version;

CREATE INDEX run_newest_of_rule ON run (rule, created_at);  -- whether there is a storm

-- What was done to which target. It outlives its runs: budgets look back further than a busy store keeps runs.
CREATE TABLE change (
    seq      INTEGER PRIMARY KEY,
    run      TEXT NOT NULL,
    round    INTEGER NOT NULL,
    rule     TEXT NOT NULL,
    target   TEXT NOT NULL,
    action   TEXT NOT NULL,
    counts   INTEGER NOT NULL,   -- 1 for the one entry that counts, of each run, round and target
    alert_at INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    ending   TEXT,               -- what came of it, as far as it is known
    ended_at INTEGER,
    UNIQUE (run, round, target, action)
) STRICT;
CREATE INDEX change_of_all ON change (at) WHERE counts;
CREATE INDEX change_of_rule ON change (rule, at) WHERE counts;
CREATE INDEX change_of_target ON change (target, at) WHERE counts;
CREATE INDEX change_of_action ON change (action, at);
CREATE INDEX change_by_age ON change (at);

-- What stands in the way of changes, until its time is over or somebody lifts it.
CREATE TABLE stop (
    kind   TEXT NOT NULL,
    scope  TEXT NOT NULL,
    reason TEXT NOT NULL,
    by     TEXT NOT NULL,
    at     INTEGER NOT NULL,
    until  INTEGER,
    PRIMARY KEY (kind, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX stop_of_scope ON stop (scope);
