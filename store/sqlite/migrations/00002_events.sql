-- +goose Up
-- The journal of events. There is one writer, so ids rise as commits do; tx is
-- there for PostgreSQL's sake.
CREATE TABLE events (
    tx          BIGINT NOT NULL,
    id          BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    ticket      BIGINT NOT NULL,
    activity_id TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    data        TEXT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (tx, id)
) WITHOUT ROWID;
