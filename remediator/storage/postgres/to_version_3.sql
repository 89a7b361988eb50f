-- Version 3: the journal of changes, and what stands in the way of more of them.

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
