-- +goose Up
-- What a list is sorted or cut by stands in an index, so that no list reads all
-- tickets. Those of rare things hold rare tickets alone.
CREATE INDEX tickets_priority ON tickets (priority, number);
CREATE INDEX tickets_status ON tickets (status_id, number);
CREATE INDEX tickets_marker ON tickets (marker_id, number) WHERE marker_id <> '';
CREATE INDEX tickets_kind ON tickets (kind, number) WHERE kind <> 'email';
DROP INDEX tickets_last_incoming;
CREATE INDEX tickets_last_incoming ON tickets (last_incoming_at, number);
DROP INDEX activities_created;
CREATE INDEX activities_created ON activities (created_at, id, ticket);

-- The tags of tickets, each in a row of its own.
DROP INDEX tickets_tagged;
CREATE TABLE ticket_tags (
    tag    TEXT NOT NULL,
    ticket BIGINT NOT NULL,
    PRIMARY KEY (tag, ticket)
) WITHOUT ROWID;
INSERT OR IGNORE INTO ticket_tags SELECT value, number FROM tickets, json_each(tags) WHERE length(tags) > 4;
-- +goose StatementBegin
CREATE TRIGGER ticket_tags_new AFTER INSERT ON tickets WHEN length(new.tags) > 4 BEGIN
    INSERT OR IGNORE INTO ticket_tags SELECT value, new.number FROM json_each(new.tags);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ticket_tags_change AFTER UPDATE OF tags ON tickets WHEN old.tags <> new.tags BEGIN
    DELETE FROM ticket_tags WHERE ticket = old.number AND tag IN (SELECT value FROM json_each(old.tags));
    INSERT OR IGNORE INTO ticket_tags SELECT value, new.number FROM json_each(new.tags);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ticket_tags_end AFTER DELETE ON tickets WHEN length(old.tags) > 4 BEGIN
    DELETE FROM ticket_tags WHERE ticket = old.number AND tag IN (SELECT value FROM json_each(old.tags));
END;
-- +goose StatementEnd
