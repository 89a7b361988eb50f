-- Version 4: how urgent a run is, and the groups of which a delivery left alerts out.

ALTER TABLE run ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;

CREATE TABLE cut_group (
    receiver  TEXT NOT NULL,
    group_key TEXT NOT NULL,
    labels    TEXT NOT NULL,
    missing   INTEGER NOT NULL,
    tries     INTEGER NOT NULL DEFAULT 0,
    ask_at    INTEGER NOT NULL,
    PRIMARY KEY (receiver, group_key)
) STRICT, WITHOUT ROWID;
