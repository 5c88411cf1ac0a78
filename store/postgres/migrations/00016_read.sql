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

-- The search index knows whose ticket an activity is, so that those of a few
-- tickets are found together, without the activities.
DROP INDEX search_words; -- to make it again is faster than to follow each row
ALTER TABLE search ADD COLUMN ticket BIGINT;
UPDATE search SET ticket = a.ticket FROM activities a WHERE a.id = search.activity_id;
DELETE FROM search WHERE ticket IS NULL;
ALTER TABLE search DROP CONSTRAINT search_pkey;
ALTER TABLE search ALTER COLUMN ticket SET NOT NULL;
ALTER TABLE search ADD PRIMARY KEY (activity_id);
CREATE INDEX search_ticket ON search (ticket);
CREATE INDEX search_words ON search USING GIN (words);
