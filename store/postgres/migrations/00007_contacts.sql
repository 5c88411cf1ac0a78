-- +goose Up
-- The phones of contacts in the form that they are compared in. Of older rows
-- those that hold nothing but digits and the usual marks between them are
-- brought in here; others when they are next written.
CREATE TABLE contact_phones (
    contact_id TEXT COLLATE "C" NOT NULL,
    number     TEXT COLLATE "C" NOT NULL,
    tail       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (contact_id, number)
);
CREATE INDEX contact_phones_tail ON contact_phones (tail, number);
INSERT INTO contact_phones (contact_id, number, tail)
    SELECT id, number, right(number, 7) FROM (
        SELECT id, CASE
            WHEN typed LIKE '+%' THEN '+' || ltrim(substr(typed, 2), '+')
            WHEN typed LIKE '00%' THEN '+' || substr(typed, 3)
            ELSE ltrim(typed, '0') END AS number
        FROM (SELECT c.id AS id, regexp_replace(replace(p.value, '(0)', ''), '[ ()/.-]', '', 'g') AS typed
            FROM contacts c, jsonb_array_elements_text(c.phones::jsonb) AS p(value)
            WHERE c.phones NOT IN ('', 'null') AND c.merged_into = '') AS typed
    ) AS numbers WHERE number ~ '^[+0-9][0-9]{2,}$'
    ON CONFLICT DO NOTHING;

CREATE INDEX contacts_name ON contacts (substr(name, 1, 100)) WHERE merged_into = '';
CREATE INDEX companies_name ON companies (substr(name, 1, 100));
CREATE INDEX companies_parent ON companies (parent_id) WHERE parent_id <> '';

-- Whether bytes are still named by something else is asked when a person's are
-- removed.
CREATE INDEX activities_raw ON activities (raw_hash) WHERE raw_hash <> '';
CREATE INDEX attachments_hash ON attachments (hash);

-- The proof that a person was erased: counts and hashes, and nothing of the
-- person. work holds what is still to be done, and is empty in the end.
CREATE TABLE erasures (
    id         TEXT COLLATE "C" PRIMARY KEY,
    contact_id TEXT COLLATE "C" NOT NULL,
    agent_id   TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL,
    doc        TEXT NOT NULL,
    work       TEXT NOT NULL
);
CREATE UNIQUE INDEX erasures_open ON erasures (contact_id) WHERE ended_at = 0;
