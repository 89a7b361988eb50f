-- Version 4: who may call the API, which buttons stand in the chat, and the audit journal.
--
-- `version.oldest` stays at this version: a program of an earlier one would decide and act without an entry in the
-- audit journal.

CREATE TABLE token (
    id         text COLLATE "C" PRIMARY KEY,
    subject    text NOT NULL,
    scope      text NOT NULL,
    groups     text NOT NULL,    -- JSON: names
    digest     bytea NOT NULL,   -- SHA-256 of the secret
    made_at    bigint NOT NULL,
    made_by    text NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    revoked_by text NOT NULL DEFAULT ''
);

-- A button in the chat: it stands for one decision on one question, in one message.
CREATE TABLE button (
    digest   bytea PRIMARY KEY,  -- SHA-256 of its token
    run      text COLLATE "C" NOT NULL REFERENCES run (id),
    round    integer NOT NULL,
    revision integer NOT NULL,
    plan     text NOT NULL,      -- the plan's digest
    approves boolean NOT NULL,
    post     bigint NOT NULL,    -- the message that it stands in
    made_at  bigint NOT NULL
);
CREATE INDEX button_of_run ON button (run);

-- The cards of questions whose newest version is not sent: their threads go before all others.
CREATE INDEX post_card ON post (run, seq) WHERE sent_version < version AND starts_with(key, 'asked.');
-- The cards of questions that are open.
CREATE INDEX post_open_card ON post (run) WHERE starts_with(key, 'asked.') AND strpos(message, '"choice":{"run":') > 0;

-- What was decided or done, append-only. `place`, `seal` and `key` come later, when an entry is sealed.
CREATE TABLE audit (
    seq   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run   text COLLATE "C" NOT NULL,
    at    bigint NOT NULL,
    body  text NOT NULL,
    place bigint,
    seal  text,
    key   text
);
CREATE UNIQUE INDEX audit_place ON audit (place) WHERE place IS NOT NULL;
CREATE INDEX audit_unsealed ON audit (seq) WHERE place IS NULL;
CREATE INDEX audit_of_run ON audit (run, seq) WHERE run <> '';
