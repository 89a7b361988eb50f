-- Version 2: messages that belong to no run, and runs of several occurrences.

CREATE TABLE new_run (
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
    wake_at     INTEGER,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    outcome     TEXT,
    open_group  TEXT,
    open_alerts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO new_run (id, rule, rule_digest, occurrence, alert, alertname, summary, channel, owner, epoch, signals,
    wake_at, created_at, ended_at, outcome, open_alerts)
SELECT r.id, r.rule, r.rule_digest, r.occurrence, r.alert, r.alertname, r.summary, r.channel, r.owner, r.epoch,
    r.signals, r.wake_at, r.created_at, r.ended_at, r.outcome, o.closed_at IS NULL
FROM run AS r JOIN occurrence AS o ON o.id = r.occurrence;
DROP TABLE run;
ALTER TABLE new_run RENAME TO run;
CREATE INDEX run_due ON run (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX run_newest ON run (created_at DESC);
CREATE UNIQUE INDEX run_open_group ON run (rule, open_group) WHERE open_group IS NOT NULL;

CREATE TABLE member (
    occurrence TEXT NOT NULL,
    rule       TEXT NOT NULL,
    run        TEXT NOT NULL,
    PRIMARY KEY (occurrence, rule)
) STRICT, WITHOUT ROWID;
INSERT INTO member (occurrence, rule, run) SELECT occurrence, rule, id FROM run;

CREATE TABLE new_post (
    seq          INTEGER PRIMARY KEY,
    run          TEXT REFERENCES run (id),
    key          TEXT NOT NULL,
    channel      TEXT NOT NULL,
    message      TEXT NOT NULL,
    version      INTEGER NOT NULL DEFAULT 1,
    sent_version INTEGER NOT NULL DEFAULT 0,
    queued_at    INTEGER NOT NULL,
    attempted    INTEGER NOT NULL DEFAULT 0,
    ref          TEXT,
    UNIQUE (run, key)
) STRICT;
INSERT INTO new_post (seq, run, key, channel, message, version, sent_version, queued_at, attempted, ref)
SELECT seq, run, key, channel, message, version, sent_version, queued_at, attempted, ref FROM post;
DROP TABLE post;
ALTER TABLE new_post RENAME TO post;
CREATE UNIQUE INDEX post_notice ON post (channel, key) WHERE run IS NULL;
CREATE INDEX post_waiting ON post (seq) WHERE sent_version < version;
