-- +goose Up
-- What a desk is made of beside channels, statuses, accounts and agents: each
-- a small document that is read with the desk.
CREATE TABLE things (
    id   TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    doc  TEXT NOT NULL,
    UNIQUE (kind, name)
);
