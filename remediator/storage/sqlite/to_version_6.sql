-- Version 6: who may call the API, which buttons stand in the chat, and the audit journal.

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

-- The cards of questions whose newest version is not sent: their threads go before all others.
CREATE INDEX post_card ON post (run, seq) WHERE sent_version < version AND substr(key, 1, 6) = 'asked.';
-- The cards of questions that are open.
CREATE INDEX post_open_card ON post (run) WHERE substr(key, 1, 6) = 'asked.' AND instr(message, '"choice":{"run":') > 0;

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
