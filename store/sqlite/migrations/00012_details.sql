-- +goose Up
-- The values of custom fields, each as text in the form of its type.
CREATE TABLE field_values (
    ticket   BIGINT NOT NULL,
    field_id TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (ticket, field_id)
);
CREATE INDEX field_values_value ON field_values (field_id, value, ticket);

-- What was worked on a ticket.
CREATE TABLE times (
    id         TEXT PRIMARY KEY,
    ticket     BIGINT NOT NULL,
    agent_id   TEXT NOT NULL,
    minutes    BIGINT NOT NULL,
    day        TEXT NOT NULL,
    comment    TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX times_ticket ON times (ticket, id);

-- A file that agents took out of sight; an admin still sees it.
ALTER TABLE attachments ADD COLUMN hidden BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX attachments_ticket ON attachments (ticket, activity_id, position);
