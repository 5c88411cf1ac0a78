-- +goose Up
-- Since when a ticket is in its status; of older ones the latest that it can be.
ALTER TABLE tickets ADD COLUMN status_at BIGINT NOT NULL DEFAULT 0;
UPDATE tickets SET status_at = CASE WHEN closed_at > 0 THEN closed_at ELSE updated_at END;
CREATE INDEX tickets_status_at ON tickets (status_at, number);
CREATE INDEX tickets_last_incoming ON tickets (last_incoming_at, number) WHERE last_incoming_at > 0;
CREATE INDEX tickets_last_outgoing ON tickets (last_outgoing_at, number) WHERE last_outgoing_at > 0;

-- How far each rule that waits for a time has come.
CREATE TABLE rule_marks (
    rule_id TEXT COLLATE "C" PRIMARY KEY,
    event   TEXT COLLATE "C" NOT NULL,
    at      BIGINT NOT NULL,
    ticket  BIGINT NOT NULL
);

-- The rules that put a mail there.
ALTER TABLE quarantine ADD COLUMN rules TEXT NOT NULL DEFAULT 'null';
