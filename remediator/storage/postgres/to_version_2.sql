-- Version 2: several processes share a store. A run whose owner is empty is free, and one of them claims it.

-- The oldest version whose programs can work with these tables: while an upgrade rolls, some still run.
ALTER TABLE version ADD COLUMN oldest integer NOT NULL DEFAULT 2;

ALTER TABLE run ADD COLUMN priority smallint NOT NULL DEFAULT 1; -- the smaller number goes first
CREATE INDEX run_free ON run (priority, wake_at, id) WHERE owner = '' AND wake_at IS NOT NULL;
CREATE INDEX run_owned ON run (owner) WHERE owner <> '' AND wake_at IS NOT NULL;

-- Who works on the store, and how often each has said that it lives: the others count, and trust no clock.
CREATE TABLE replica (
    id        text COLLATE "C" PRIMARY KEY,
    name      text NOT NULL, -- of its host
    instance  text NOT NULL, -- of its folder, the same at each start
    joined_at timestamptz NOT NULL DEFAULT now(),
    beats     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Who posts to chat and tidies: one of them, or nobody.
CREATE TABLE leader (
    is_one  boolean PRIMARY KEY DEFAULT true CHECK (is_one), -- so that there is one row
    replica text COLLATE "C" NOT NULL DEFAULT ''
);
INSERT INTO leader DEFAULT VALUES;

-- The groups of which a delivery left alerts out, until these are fetched.
CREATE TABLE cut_group (
    receiver  text COLLATE "C" NOT NULL,
    group_key text COLLATE "C" NOT NULL,
    labels    text NOT NULL,
    missing   integer NOT NULL,
    tries     integer NOT NULL DEFAULT 0, -- how often it was asked for in vain
    ask_at    bigint NOT NULL,
    PRIMARY KEY (receiver, group_key)
);
