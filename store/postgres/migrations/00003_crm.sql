-- +goose Up
ALTER TABLE contacts ADD COLUMN synced_at BIGINT NOT NULL DEFAULT 0;
-- A contact that went into another one stays as a row that leads there. The
-- one that it leads to never leads on.
ALTER TABLE contacts ADD COLUMN merged_into TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX contacts_merged ON contacts (merged_into) WHERE merged_into <> '';
CREATE INDEX companies_external ON companies (external_id) WHERE external_id <> '';

CREATE TABLE contact_lookups (
    contact_id TEXT COLLATE "C" PRIMARY KEY,
    attempt    BIGINT NOT NULL,
    due_at     BIGINT NOT NULL
);
CREATE INDEX contact_lookups_due ON contact_lookups (due_at, contact_id);
