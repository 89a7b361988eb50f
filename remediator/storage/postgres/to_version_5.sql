-- Version 5: which commands of the chat were taken; and as other places are told of every run, notices are many: the
-- oldest of those that were told are found without looking at the rest.
--
-- Programs of version 4 work with these tables as well.

UPDATE version SET oldest = 4;

-- The commands of the chat that were taken, so that none is taken twice.
CREATE TABLE taken_command (
    key text COLLATE "C" PRIMARY KEY,
    at  bigint NOT NULL
);

CREATE INDEX post_told_notice ON post (queued_at) WHERE run IS NULL AND sent_version >= version;
