-- +goose Up
-- Service levels that single tickets, contacts and companies have of their own.
CREATE TABLE levels_of (
    kind     TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    level_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX levels_of_level ON levels_of (level_id);

-- How much of its time a ticket has used; due_at is when something is to be said.
CREATE TABLE clocks (
    ticket     BIGINT PRIMARY KEY,
    respond_by BIGINT NOT NULL,
    resolve_by BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    doc        TEXT NOT NULL
);
CREATE INDEX clocks_due ON clocks (due_at, ticket) WHERE due_at > 0;

-- What lists are sorted by: none is behind all others.
ALTER TABLE tickets ADD COLUMN respond_by BIGINT NOT NULL DEFAULT 9223372036854775807;
CREATE INDEX tickets_respond ON tickets (respond_by, number);

CREATE TABLE alarms (
    id         TEXT COLLATE "C" PRIMARY KEY,
    ticket     BIGINT NOT NULL,
    agent_id   TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    comment    TEXT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    done_at    BIGINT NOT NULL
);
CREATE INDEX alarms_ticket ON alarms (ticket, id);
CREATE INDEX alarms_due ON alarms (at, id) WHERE done_at = 0;
