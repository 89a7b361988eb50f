-- The embedded store. Times are microseconds since 1970 (UTC); bodies are JSON.

CREATE TABLE occurrence (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    labels      TEXT NOT NULL,
    annotations TEXT NOT NULL,
    receiver    TEXT NOT NULL,
    starts_at   INTEGER NOT NULL,
    opened_at   INTEGER NOT NULL,
    heard_at    INTEGER NOT NULL,
    closed_at   INTEGER,
    closing     TEXT,
    ends_at     INTEGER,
    doubt       TEXT,
    doubt_until INTEGER,
    alertname   TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX occurrence_open ON occurrence (fingerprint) WHERE closed_at IS NULL;
CREATE INDEX occurrence_named ON occurrence (alertname) WHERE closed_at IS NULL;
CREATE INDEX occurrence_newest ON occurrence (fingerprint);  -- the newest has the highest rowid, whatever the clock did
CREATE INDEX occurrence_doubt ON occurrence (doubt_until) WHERE doubt_until IS NOT NULL;
CREATE INDEX occurrence_closed ON occurrence (closed_at, id) WHERE closed_at IS NOT NULL AND doubt_until IS NULL;

-- A rule as it was when a run started with it.
CREATE TABLE rule (
    digest        TEXT PRIMARY KEY,
    document      TEXT NOT NULL,
    remembered_at INTEGER NOT NULL  -- when it was last in force
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id          TEXT PRIMARY KEY,
    rule        TEXT NOT NULL,
    rule_digest TEXT NOT NULL REFERENCES rule (digest),
    occurrence  TEXT NOT NULL REFERENCES occurrence (id),
    alert       TEXT NOT NULL,
    alertname   TEXT NOT NULL,
    summary     TEXT NOT NULL,
    channel     TEXT NOT NULL,
    owner       TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    signals     INTEGER NOT NULL,
    wake_at     INTEGER,          -- when there is something to do; NULL when there is nothing
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    outcome     TEXT,
    open_group  TEXT,             -- the group whose alerts may join it; NULL where none may, or none may any more
    open_alerts INTEGER NOT NULL, -- how many of its occurrences are open
    priority    INTEGER NOT NULL DEFAULT 1  -- the smaller number goes first
) STRICT, WITHOUT ROWID;
CREATE INDEX run_due ON run (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX run_newest ON run (created_at DESC);
CREATE UNIQUE INDEX run_open_group ON run (rule, open_group) WHERE open_group IS NOT NULL;
-- What may be forgotten, and what keeps a rule or an occurrence from that (and makes its removal cheap).
CREATE INDEX run_finished ON run (ended_at) WHERE ended_at IS NOT NULL AND wake_at IS NULL AND open_alerts = 0;
CREATE INDEX run_of_rule ON run (rule_digest);
CREATE INDEX run_newest_of_rule ON run (rule, created_at);  -- whether there is a storm
CREATE INDEX run_of_occurrence ON run (occurrence);

-- Whose run is which: an occurrence is in at most one run of a rule. `run.occurrence` is the one that it began with.
CREATE TABLE member (
    occurrence TEXT NOT NULL,
    rule       TEXT NOT NULL,
    run        TEXT NOT NULL,
    PRIMARY KEY (occurrence, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_of_run ON member (run);

-- What happened in a run, append-only.
CREATE TABLE fact (
    seq     INTEGER PRIMARY KEY,
    run     TEXT NOT NULL REFERENCES run (id),
    step    TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    body    TEXT NOT NULL,
    UNIQUE (run, step, attempt, kind)
) STRICT;

-- What came to a run from outside.
CREATE TABLE signal (
    seq  INTEGER PRIMARY KEY,
    run  TEXT NOT NULL REFERENCES run (id),
    body TEXT NOT NULL
) STRICT;
CREATE INDEX signal_of_run ON signal (run, seq);

-- Who may act on a target: a run while it lives (`until` is NULL), or nobody before `until`.
CREATE TABLE lock (
    target TEXT PRIMARY KEY,
    run    TEXT NOT NULL REFERENCES run (id),
    until  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX lock_of_run ON lock (run);

-- The outbox: what chat is to be told. A row is sent when `sent_version` has reached `version`.
CREATE TABLE post (
    seq          INTEGER PRIMARY KEY,
    run          TEXT REFERENCES run (id),   -- NULL: a notice, which belongs to no run
    key          TEXT NOT NULL,
    channel      TEXT NOT NULL,
    message      TEXT NOT NULL,
    version      INTEGER NOT NULL DEFAULT 1,
    sent_version INTEGER NOT NULL DEFAULT 0,
    queued_at    INTEGER NOT NULL,
    attempted    INTEGER NOT NULL DEFAULT 0, -- 1 once somebody has begun to send it
    ref          TEXT,
    is_minor     INTEGER NOT NULL DEFAULT 0, -- 1: it goes after all others
    UNIQUE (run, key)
) STRICT;
CREATE UNIQUE INDEX post_notice ON post (channel, key) WHERE run IS NULL;
CREATE INDEX post_waiting ON post (is_minor, seq) WHERE sent_version < version;
CREATE INDEX post_waiting_notice ON post (seq) WHERE run IS NULL AND sent_version < version;
CREATE INDEX post_told_notice ON post (queued_at) WHERE run IS NULL AND sent_version >= version;
-- The cards of questions whose newest version is not sent: their threads go before all others.
CREATE INDEX post_card ON post (run, seq) WHERE sent_version < version AND substr(key, 1, 6) = 'asked.';
-- The cards of questions that are open.
CREATE INDEX post_open_card ON post (run) WHERE substr(key, 1, 6) = 'asked.' AND instr(message, '"choice":{"run":') > 0;

-- The groups of which a delivery left alerts out, until these are fetched.
CREATE TABLE cut_group (
    receiver  TEXT NOT NULL,
    group_key TEXT NOT NULL,
    labels    TEXT NOT NULL,
    missing   INTEGER NOT NULL,
    tries     INTEGER NOT NULL DEFAULT 0, -- how often it was asked for in vain
    ask_at    INTEGER NOT NULL,
    PRIMARY KEY (receiver, group_key)
) STRICT, WITHOUT ROWID;
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

CREATE TABLE token (
    id         TEXT PRIMARY KEY,
    subject    TEXT NOT NULL,
    scope      TEXT NOT NULL,
    groups     TEXT NOT NULL,    -- JSON: names
    digest     BLOB NOT NULL,    -- SHA-256 of the secret
    made_at    INTEGER NOT NULL,
    made_by    TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revoked_by TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- A button in the chat: it stands for one decision on one question, in one message.
CREATE TABLE button (
    digest   BLOB PRIMARY KEY,   -- SHA-256 of its token
    run      TEXT NOT NULL REFERENCES run (id),
    round    INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    plan     TEXT NOT NULL,      -- the plan's digest
    approves INTEGER NOT NULL,
    post     INTEGER NOT NULL,   -- the message that it stands in
    made_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX button_of_run ON button (run);

-- What was decided or done, append-only. `place`, `seal` and `key` come later, when an entry is sealed.
CREATE TABLE audit (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    run   TEXT NOT NULL,
    at    INTEGER NOT NULL,
    body  TEXT NOT NULL,
    place INTEGER,
    seal  TEXT,
    key   TEXT
) STRICT;
CREATE UNIQUE INDEX audit_place ON audit (place) WHERE place IS NOT NULL;
CREATE INDEX audit_unsealed ON audit (seq) WHERE place IS NULL;
CREATE INDEX audit_of_run ON audit (run, seq) WHERE run <> '';

-- The commands of the chat that were taken, so that none is taken twice.
CREATE TABLE taken_command (
    key TEXT PRIMARY KEY,
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
