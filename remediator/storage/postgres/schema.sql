-- Version 1 of the store in PostgreSQL. Times are microseconds since 1970 (UTC); bodies are JSON, as text: what a label
-- holds need not be what PostgreSQL's own JSON takes. Names are compared byte by byte, whatever the database's language.

CREATE TABLE occurrence (
    seq              bigint GENERATED ALWAYS AS IDENTITY, -- the newest has the highest, whatever the clock did
    id               text COLLATE "C" PRIMARY KEY,
    fingerprint      text COLLATE "C" NOT NULL,
    labels           text NOT NULL,
    annotations      text NOT NULL,
    receiver         text NOT NULL,
    starts_at        bigint NOT NULL,
    opened_at        bigint NOT NULL,
    heard_at         bigint NOT NULL,
    closed_at        bigint,
    closing          text,
    ends_at          bigint,
    doubt            text,
    doubt_until      bigint,
    doubt_sent_again boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX occurrence_open ON occurrence (fingerprint) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX occurrence_seq ON occurrence (seq);
CREATE INDEX occurrence_newest ON occurrence (fingerprint, seq);
CREATE INDEX occurrence_newest_open ON occurrence (seq) WHERE closed_at IS NULL;
CREATE INDEX occurrence_doubt ON occurrence (doubt_until) WHERE doubt_until IS NOT NULL;
CREATE INDEX occurrence_closed ON occurrence (closed_at, id) WHERE closed_at IS NOT NULL AND doubt_until IS NULL;

-- A rule as it was when a run started with it.
CREATE TABLE rule (
    digest        text COLLATE "C" PRIMARY KEY,
    document      text NOT NULL,
    remembered_at bigint NOT NULL
);

CREATE TABLE run (
    id          text COLLATE "C" PRIMARY KEY,
    rule        text COLLATE "C" NOT NULL,
    rule_digest text COLLATE "C" NOT NULL REFERENCES rule (digest),
    occurrence  text COLLATE "C" NOT NULL REFERENCES occurrence (id),
    alert       text NOT NULL,
    alertname   text NOT NULL,
    summary     text NOT NULL,
    channel     text NOT NULL,
    owner       text COLLATE "C" NOT NULL,
    epoch       integer NOT NULL,
    signals     integer NOT NULL,
    wake_at     bigint,           -- when there is something to do; NULL when there is nothing
    created_at  bigint NOT NULL,
    ended_at    bigint,
    outcome     text,
    open_group  text COLLATE "C", -- the group whose alerts may join it; NULL where none may, or none may any more
    open_alerts integer NOT NULL  -- how many of its occurrences are open
);
CREATE INDEX run_due ON run (wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX run_newest ON run (created_at DESC, id DESC);
CREATE INDEX run_finished ON run (ended_at, id) WHERE ended_at IS NOT NULL AND wake_at IS NULL AND open_alerts = 0;
CREATE INDEX run_of_rule ON run (rule_digest);
CREATE INDEX run_of_occurrence ON run (occurrence);
CREATE UNIQUE INDEX run_open_group ON run (rule, open_group) WHERE open_group IS NOT NULL;

-- Whose run is which: an occurrence is in at most one run of a rule. `run.occurrence` is the one that it began with.
CREATE TABLE member (
    occurrence text COLLATE "C" NOT NULL,
    rule       text COLLATE "C" NOT NULL,
    run        text COLLATE "C" NOT NULL,
    PRIMARY KEY (occurrence, rule)
);
CREATE INDEX member_of_run ON member (run);

-- What happened in a run, append-only.
CREATE TABLE fact (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run     text COLLATE "C" NOT NULL REFERENCES run (id),
    step    text COLLATE "C" NOT NULL,
    attempt integer NOT NULL,
    kind    text COLLATE "C" NOT NULL,
    body    text NOT NULL,
    UNIQUE (run, step, attempt, kind)
);

-- What came to a run from outside.
CREATE TABLE signal (
    seq  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run  text COLLATE "C" NOT NULL REFERENCES run (id),
    kind text COLLATE "C" NOT NULL,
    body text NOT NULL
);
CREATE INDEX signal_of_run ON signal (run, seq);

-- Who may act on a target: a run while it lives (`until` is NULL), or nobody before `until`.
CREATE TABLE lock (
    target text COLLATE "C" PRIMARY KEY,
    run    text COLLATE "C" NOT NULL REFERENCES run (id),
    until  bigint
);
CREATE INDEX lock_of_run ON lock (run);

-- The outbox: what chat is to be told. A row is sent when `sent_version` has reached `version`.
CREATE TABLE post (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run          text COLLATE "C" REFERENCES run (id), -- NULL: a notice, which belongs to no run
    key          text COLLATE "C" NOT NULL,
    channel      text COLLATE "C" NOT NULL,
    message      text NOT NULL,
    version      integer NOT NULL DEFAULT 1,
    sent_version integer NOT NULL DEFAULT 0,
    queued_at    bigint NOT NULL,
    attempted    boolean NOT NULL DEFAULT false,        -- once somebody has begun to send it
    ref          text,
    UNIQUE (run, key)
);
CREATE UNIQUE INDEX post_notice ON post (channel, key) WHERE run IS NULL;
CREATE INDEX post_waiting ON post (seq) WHERE sent_version < version;
