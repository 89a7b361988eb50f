-- Version 3: the journal of changes, what stands in the way of more of them, which alerts of a name are open, and which
-- messages may wait behind all others.
--
-- `version.oldest` stays at this version: a program of an earlier one would start changes that are not in the journal,
-- so that no budget counts them, and would ask no stop.

ALTER TABLE occurrence ADD COLUMN alertname text COLLATE "C" NOT NULL DEFAULT '';
-- PostgreSQL's JSON cannot give out a text that has a NUL, or half of a surrogate pair, in any of its strings: there the
-- name is cut out as it stands. In no string of JSON is a quotation mark without a backslash before it.
UPDATE occurrence SET alertname = found.name FROM (
    SELECT id, CASE WHEN labels ~* '\\u(0000|d[89a-f])' THEN substring(labels FROM '"alertname": ?"([^"\\]*)"')
        ELSE labels::json ->> 'alertname' END AS name
    FROM occurrence WHERE closed_at IS NULL
) AS found WHERE occurrence.id = found.id AND octet_length(found.name) <= 500;
CREATE INDEX occurrence_named ON occurrence (alertname) WHERE closed_at IS NULL;

ALTER TABLE post ADD COLUMN is_minor boolean NOT NULL DEFAULT false;
DROP INDEX post_waiting;
CREATE INDEX post_waiting ON post (is_minor, seq) WHERE sent_version < version;

CREATE INDEX run_newest_of_rule ON run (rule, created_at);  -- whether there is a storm

-- What was done to which target. It outlives its runs: budgets look back further than a busy store keeps runs.
CREATE TABLE change (
    seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run      text COLLATE "C" NOT NULL,
    round    integer NOT NULL,
    rule     text COLLATE "C" NOT NULL,
    target   text COLLATE "C" NOT NULL,
    action   text COLLATE "C" NOT NULL,
    counts   boolean NOT NULL,   -- for the one entry that counts, of each run, round and target
    alert_at bigint NOT NULL,
    at       bigint NOT NULL,
    ending   text,               -- what came of it, as far as it is known
    ended_at bigint,
    UNIQUE (run, round, target, action)
);
CREATE INDEX change_of_all ON change (at) WHERE counts;
CREATE INDEX change_of_rule ON change (rule, at) WHERE counts;
CREATE INDEX change_of_target ON change (target, at) WHERE counts;
CREATE INDEX change_of_action ON change (action, at);
CREATE INDEX change_by_age ON change (at);

-- What stands in the way of changes, until its time is over or somebody lifts it.
CREATE TABLE stop (
    kind   text COLLATE "C" NOT NULL,
    scope  text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    by     text NOT NULL,
    at     bigint NOT NULL,
    until  bigint,
    PRIMARY KEY (kind, scope)
);
CREATE INDEX stop_of_scope ON stop (scope);
