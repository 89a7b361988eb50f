-- Version 7: which commands of the chat were taken; and as other places are told of every run, notices are many: those
-- that wait, and the oldest of those that were told, are found without looking at the rest.

-- The commands of the chat that were taken, so that none is taken twice.
CREATE TABLE taken_command (
    key TEXT PRIMARY KEY,
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX post_waiting_notice ON post (seq) WHERE run IS NULL AND sent_version < version;
CREATE INDEX post_told_notice ON post (queued_at) WHERE run IS NULL AND sent_version >= version;
