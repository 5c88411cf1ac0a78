-- +goose Up
-- The open tickets are few among all: what is counted of them stands in an
-- index of their own, so that no ticket has to be read.
CREATE INDEX tickets_open ON tickets (channel_id, status_id, owner_id, responsible_id, created_by) WHERE closed_at = 0;
CREATE INDEX tickets_closed ON tickets (closed_at, channel_id) WHERE closed_at > 0;
CREATE INDEX tickets_held ON tickets (channel_id, number) WHERE suggested_ticket <> 0 AND merged_into = 0;
CREATE INDEX tickets_created ON tickets (created_at, number);
CREATE INDEX tickets_tagged ON tickets (number) WHERE length(tags) > 4;
CREATE INDEX activities_created ON activities (created_at, id);

-- Filters of tickets that agents gave a name; the document holds what they say.
CREATE TABLE views (
    id       TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    shared   TEXT NOT NULL,
    position BIGINT NOT NULL,
    doc      TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX views_agent ON views (agent_id);
CREATE INDEX views_shared ON views (shared) WHERE shared <> 'none';
