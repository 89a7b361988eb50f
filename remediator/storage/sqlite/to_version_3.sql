-- Version 3: what is old is forgotten.

CREATE TABLE new_rule (
    digest        TEXT PRIMARY KEY,
    document      TEXT NOT NULL,
    remembered_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO new_rule (digest, document, remembered_at) SELECT digest, document, 0 FROM rule;
DROP TABLE rule;
ALTER TABLE new_rule RENAME TO rule;

CREATE INDEX occurrence_closed ON occurrence (closed_at, id) WHERE closed_at IS NOT NULL AND doubt_until IS NULL;
CREATE INDEX run_finished ON run (ended_at) WHERE ended_at IS NOT NULL AND wake_at IS NULL AND open_alerts = 0;
CREATE INDEX run_of_rule ON run (rule_digest);
CREATE INDEX run_of_occurrence ON run (occurrence);
CREATE INDEX member_of_run ON member (run);
