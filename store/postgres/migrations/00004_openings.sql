-- +goose Up
-- Which addresses opened tickets within the hour; ticket 0 notes that one was
-- told of as a flood.
CREATE TABLE openings (
    account_id TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    ticket     BIGINT NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (account_id, key, ticket)
);
CREATE INDEX openings_at ON openings (at);
