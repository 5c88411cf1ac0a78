-- +goose Up
-- Ids and keys compare by their bytes, whatever the database's collation.
CREATE TABLE meta (
    key   TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE SEQUENCE ticket_numbers START 10001;

CREATE TABLE desk_version (version BIGINT NOT NULL);
INSERT INTO desk_version (version) VALUES (1);

CREATE TABLE channels (
    id   TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    doc  TEXT NOT NULL
);

CREATE TABLE statuses (
    id   TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    doc  TEXT NOT NULL
);

CREATE TABLE accounts (
    id               TEXT COLLATE "C" PRIMARY KEY,
    doc              TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    last_received_at BIGINT NOT NULL,
    last_sent_at     BIGINT NOT NULL
);

CREATE TABLE account_keys (
    key        TEXT COLLATE "C" PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL
);

CREATE TABLE agents (
    id       TEXT COLLATE "C" PRIMARY KEY,
    key      TEXT COLLATE "C" NOT NULL UNIQUE,
    doc      TEXT NOT NULL,
    password TEXT NOT NULL
);

CREATE TABLE subscriptions (
    agent_id   TEXT COLLATE "C" NOT NULL,
    channel_id TEXT COLLATE "C" NOT NULL,
    type       TEXT NOT NULL,
    PRIMARY KEY (agent_id, channel_id)
);

CREATE TABLE tokens (
    id           TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    agent_id     TEXT COLLATE "C" NOT NULL,
    hash         TEXT COLLATE "C" NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);

CREATE TABLE contacts (
    id          TEXT COLLATE "C" PRIMARY KEY,
    name        TEXT COLLATE "C" NOT NULL,
    phones      TEXT NOT NULL,
    company_id  TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    provisional BOOLEAN NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    folded      TEXT NOT NULL
);
CREATE INDEX contacts_company ON contacts (company_id, id) WHERE company_id <> '';
CREATE INDEX contacts_external ON contacts (external_id) WHERE external_id <> '';

CREATE TABLE contact_emails (
    key           TEXT COLLATE "C" PRIMARY KEY,
    contact_id    TEXT COLLATE "C" NOT NULL,
    position      BIGINT NOT NULL,
    address       TEXT NOT NULL,
    undeliverable BOOLEAN NOT NULL
);
CREATE INDEX contact_emails_contact ON contact_emails (contact_id);

CREATE TABLE companies (
    id          TEXT COLLATE "C" PRIMARY KEY,
    name        TEXT COLLATE "C" NOT NULL,
    domains     TEXT NOT NULL,
    parent_id   TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    folded      TEXT NOT NULL
);

CREATE TABLE company_domains (
    domain     TEXT COLLATE "C" PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL
);

CREATE TABLE tickets (
    number           BIGINT PRIMARY KEY,
    id               TEXT COLLATE "C" NOT NULL,
    kind             TEXT COLLATE "C" NOT NULL,
    subject          TEXT NOT NULL,
    channel_id       TEXT COLLATE "C" NOT NULL,
    status_id        TEXT COLLATE "C" NOT NULL,
    priority         BIGINT NOT NULL,
    marker_id        TEXT COLLATE "C" NOT NULL,
    contact_id       TEXT COLLATE "C" NOT NULL,
    company_id       TEXT COLLATE "C" NOT NULL,
    owner_id         TEXT COLLATE "C" NOT NULL,
    responsible_id   TEXT COLLATE "C" NOT NULL,
    created_by       TEXT COLLATE "C" NOT NULL,
    account_id       TEXT COLLATE "C" NOT NULL,
    merged_into      BIGINT NOT NULL,
    suggested_ticket BIGINT NOT NULL,
    tags             TEXT NOT NULL,
    activities       BIGINT NOT NULL,
    files            BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    last_incoming_at BIGINT NOT NULL,
    last_outgoing_at BIGINT NOT NULL,
    closed_at        BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX tickets_channel ON tickets (channel_id, number);
CREATE INDEX tickets_contact ON tickets (contact_id, number) WHERE contact_id <> '';
CREATE INDEX tickets_company ON tickets (company_id, number) WHERE company_id <> '';
CREATE INDEX tickets_owner ON tickets (owner_id, number) WHERE owner_id <> '';
CREATE INDEX tickets_responsible ON tickets (responsible_id, number) WHERE responsible_id <> '';
CREATE INDEX tickets_created_by ON tickets (created_by, number) WHERE created_by <> '';
CREATE INDEX tickets_updated ON tickets (updated_at, number);

CREATE TABLE links (
    ticket BIGINT NOT NULL,
    number BIGINT NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ticket, number, kind)
);

CREATE TABLE participants (
    ticket  BIGINT NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,
    address TEXT NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    active  BOOLEAN NOT NULL,
    trusted BOOLEAN NOT NULL,
    PRIMARY KEY (ticket, key)
);

CREATE TABLE activities (
    id         TEXT COLLATE "C" PRIMARY KEY,
    ticket     BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    type       TEXT NOT NULL,
    medium     TEXT NOT NULL,
    author     TEXT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    answers    TEXT NOT NULL,
    subject    TEXT NOT NULL,
    text       TEXT NOT NULL,
    html       TEXT NOT NULL,
    reply_text TEXT NOT NULL,
    reply_length BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    raw_hash   TEXT NOT NULL,
    sender     TEXT NOT NULL,
    automatic  TEXT NOT NULL,
    external   BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    detail     TEXT NOT NULL
);
CREATE UNIQUE INDEX activities_ticket ON activities (ticket, seq);
CREATE INDEX activities_created_by ON activities (created_by) WHERE created_by <> '';

CREATE TABLE search (
    activity_id TEXT COLLATE "C" PRIMARY KEY,
    words       TSVECTOR NOT NULL
);
CREATE INDEX search_words ON search USING GIN (words);

CREATE TABLE attachments (
    activity_id TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    ticket      BIGINT NOT NULL,
    position    BIGINT NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    type        TEXT NOT NULL,
    size        BIGINT NOT NULL,
    inline      BOOLEAN NOT NULL,
    content_id  TEXT NOT NULL,
    hash        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (activity_id, id)
);

CREATE TABLE message_refs (
    hash        BIGINT NOT NULL,
    activity_id TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    message_id  TEXT NOT NULL,
    PRIMARY KEY (hash, activity_id, kind)
);

CREATE TABLE delivery_keys (
    hash          TEXT COLLATE "C" NOT NULL,
    account_id    TEXT COLLATE "C" NOT NULL,
    activity_id   TEXT COLLATE "C" NOT NULL,
    quarantine_id TEXT COLLATE "C" NOT NULL,
    ticket        BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    PRIMARY KEY (hash, account_id)
);

CREATE TABLE quarantine (
    id            TEXT COLLATE "C" PRIMARY KEY,
    reason        TEXT NOT NULL,
    account_id    TEXT COLLATE "C" NOT NULL,
    envelope_from TEXT NOT NULL,
    envelope_to   TEXT NOT NULL,
    from_         TEXT NOT NULL,
    to_           TEXT NOT NULL,
    subject       TEXT NOT NULL,
    raw_hash      TEXT NOT NULL,
    trace         TEXT NOT NULL,
    auth          TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE rechecks (
    id      TEXT COLLATE "C" PRIMARY KEY,
    attempt BIGINT NOT NULL,
    due_at  BIGINT NOT NULL
);
CREATE INDEX rechecks_due ON rechecks (due_at, id);

CREATE TABLE mails (
    id          TEXT COLLATE "C" PRIMARY KEY,
    kind        TEXT COLLATE "C" NOT NULL,
    account_id  TEXT COLLATE "C" NOT NULL,
    activity_id TEXT COLLATE "C" NOT NULL,
    ticket      BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    content     TEXT NOT NULL
);

CREATE TABLE deliveries (
    id              TEXT COLLATE "C" PRIMARY KEY,
    mail_id         TEXT COLLATE "C" NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,
    activity_id     TEXT COLLATE "C" NOT NULL,
    ticket          BIGINT NOT NULL,
    account_id      TEXT COLLATE "C" NOT NULL,
    recipient       TEXT NOT NULL,
    recipient_key   TEXT COLLATE "C" NOT NULL,
    domain          TEXT COLLATE "C" NOT NULL,
    return_path     TEXT NOT NULL,
    message_id      TEXT NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    reason          TEXT NOT NULL,
    attempts        BIGINT NOT NULL,
    fence           BIGINT NOT NULL,
    lease_until     BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    warned          BOOLEAN NOT NULL,
    bounced         BOOLEAN NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    last_code       BIGINT NOT NULL,
    last_text       TEXT NOT NULL,
    retried_at      BIGINT NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX deliveries_activity ON deliveries (activity_id);
CREATE INDEX deliveries_ticket ON deliveries (ticket, id);
CREATE INDEX deliveries_waiting ON deliveries (id) WHERE state IN ('queued', 'deferred', 'unknown');
CREATE INDEX deliveries_state ON deliveries (state, id) WHERE state NOT IN ('sent', 'cancelled');
CREATE INDEX deliveries_queued ON deliveries (updated_at, id) WHERE state = 'queued';
CREATE INDEX deliveries_automatic ON deliveries (recipient_key, created_at) WHERE kind <> 'answer';
CREATE INDEX deliveries_created ON deliveries (created_at) WHERE kind <> 'answer';

CREATE TABLE attempts (
    delivery_id TEXT COLLATE "C" NOT NULL,
    n           BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    host        TEXT NOT NULL,
    code        BIGINT NOT NULL,
    enhanced    TEXT NOT NULL,
    text        TEXT NOT NULL,
    PRIMARY KEY (delivery_id, n)
);

CREATE TABLE blobs (
    hash   TEXT COLLATE "C" PRIMARY KEY,
    size   BIGINT NOT NULL,
    packed BYTEA
);
-- It is compressed already.
ALTER TABLE blobs ALTER COLUMN packed SET STORAGE EXTERNAL;

CREATE TABLE dkim_keys (
    id           TEXT COLLATE "C" PRIMARY KEY,
    domain       TEXT COLLATE "C" NOT NULL,
    selector     TEXT COLLATE "C" NOT NULL,
    algorithm    TEXT NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    public       TEXT NOT NULL,
    private      BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    activated_at BIGINT NOT NULL,
    UNIQUE (domain, selector)
);

CREATE TABLE answered (
    caller    TEXT COLLATE "C" NOT NULL,
    path      TEXT COLLATE "C" NOT NULL,
    key       TEXT COLLATE "C" NOT NULL,
    body_hash TEXT NOT NULL,
    status    BIGINT NOT NULL,
    location  TEXT NOT NULL,
    response  TEXT NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (caller, path, key)
);
