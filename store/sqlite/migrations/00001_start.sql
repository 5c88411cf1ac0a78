-- +goose Up
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('ticket', 10000);

CREATE TABLE desk_version (version BIGINT NOT NULL);
INSERT INTO desk_version (version) VALUES (1);

CREATE TABLE channels (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    doc  TEXT NOT NULL
);

CREATE TABLE statuses (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    doc  TEXT NOT NULL
);

CREATE TABLE accounts (
    id               TEXT PRIMARY KEY,
    doc              TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    last_received_at BIGINT NOT NULL,
    last_sent_at     BIGINT NOT NULL
);

CREATE TABLE account_keys (
    key        TEXT PRIMARY KEY,
    account_id TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE agents (
    id       TEXT PRIMARY KEY,
    key      TEXT NOT NULL UNIQUE,
    doc      TEXT NOT NULL,
    password TEXT NOT NULL
);

CREATE TABLE subscriptions (
    agent_id   TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    type       TEXT NOT NULL,
    PRIMARY KEY (agent_id, channel_id)
) WITHOUT ROWID;

CREATE TABLE tokens (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    agent_id     TEXT NOT NULL,
    hash         TEXT NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);

CREATE TABLE contacts (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    phones      TEXT NOT NULL,
    company_id  TEXT NOT NULL,
    external_id TEXT NOT NULL,
    provisional BOOLEAN NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    folded      TEXT NOT NULL
);
CREATE INDEX contacts_company ON contacts (company_id, id) WHERE company_id <> '';
CREATE INDEX contacts_external ON contacts (external_id) WHERE external_id <> '';

CREATE TABLE contact_emails (
    key           TEXT PRIMARY KEY,
    contact_id    TEXT NOT NULL,
    position      BIGINT NOT NULL,
    address       TEXT NOT NULL,
    undeliverable BOOLEAN NOT NULL
) WITHOUT ROWID;
CREATE INDEX contact_emails_contact ON contact_emails (contact_id);

CREATE TABLE companies (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    domains     TEXT NOT NULL,
    parent_id   TEXT NOT NULL,
    external_id TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    folded      TEXT NOT NULL
);

CREATE TABLE company_domains (
    domain     TEXT PRIMARY KEY,
    company_id TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE tickets (
    number           INTEGER PRIMARY KEY,
    id               TEXT NOT NULL,
    kind             TEXT NOT NULL,
    subject          TEXT NOT NULL,
    channel_id       TEXT NOT NULL,
    status_id        TEXT NOT NULL,
    priority         BIGINT NOT NULL,
    marker_id        TEXT NOT NULL,
    contact_id       TEXT NOT NULL,
    company_id       TEXT NOT NULL,
    owner_id         TEXT NOT NULL,
    responsible_id   TEXT NOT NULL,
    created_by       TEXT NOT NULL,
    account_id       TEXT NOT NULL,
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
);
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
    kind   TEXT NOT NULL,
    PRIMARY KEY (ticket, number, kind)
) WITHOUT ROWID;

CREATE TABLE participants (
    ticket  BIGINT NOT NULL,
    key     TEXT NOT NULL,
    address TEXT NOT NULL,
    name    TEXT NOT NULL,
    active  BOOLEAN NOT NULL,
    trusted BOOLEAN NOT NULL,
    PRIMARY KEY (ticket, key)
) WITHOUT ROWID;

-- n is what the search index knows an activity by.
CREATE TABLE activities (
    n          INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    ticket     BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    type       TEXT NOT NULL,
    medium     TEXT NOT NULL,
    author     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    account_id TEXT NOT NULL,
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

CREATE VIRTUAL TABLE search USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = 'ascii'
);
-- Each group of commits writes a segment. Merging twice as many at a time as
-- is the default costs a search little, and spares the intake a third of it.
INSERT INTO search (search, rank) VALUES ('automerge', 16);

CREATE TABLE attachments (
    activity_id TEXT NOT NULL,
    id          TEXT NOT NULL,
    ticket      BIGINT NOT NULL,
    position    BIGINT NOT NULL,
    name        TEXT NOT NULL,
    type        TEXT NOT NULL,
    size        BIGINT NOT NULL,
    inline      BOOLEAN NOT NULL,
    content_id  TEXT NOT NULL,
    hash        TEXT NOT NULL,
    PRIMARY KEY (activity_id, id)
) WITHOUT ROWID;

CREATE TABLE message_refs (
    hash        BIGINT NOT NULL,
    activity_id TEXT NOT NULL,
    kind        TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    PRIMARY KEY (hash, activity_id, kind)
) WITHOUT ROWID;

CREATE TABLE delivery_keys (
    hash          TEXT NOT NULL,
    account_id    TEXT NOT NULL,
    activity_id   TEXT NOT NULL,
    quarantine_id TEXT NOT NULL,
    ticket        BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    PRIMARY KEY (hash, account_id)
) WITHOUT ROWID;

CREATE TABLE quarantine (
    id            TEXT PRIMARY KEY,
    reason        TEXT NOT NULL,
    account_id    TEXT NOT NULL,
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
    id      TEXT PRIMARY KEY,
    attempt BIGINT NOT NULL,
    due_at  BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX rechecks_due ON rechecks (due_at, id);

CREATE TABLE mails (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    activity_id TEXT NOT NULL,
    ticket      BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    content     TEXT NOT NULL
);

CREATE TABLE deliveries (
    id              TEXT PRIMARY KEY,
    mail_id         TEXT NOT NULL,
    kind            TEXT NOT NULL,
    activity_id     TEXT NOT NULL,
    ticket          BIGINT NOT NULL,
    account_id      TEXT NOT NULL,
    recipient       TEXT NOT NULL,
    recipient_key   TEXT NOT NULL,
    domain          TEXT NOT NULL,
    return_path     TEXT NOT NULL,
    message_id      TEXT NOT NULL,
    state           TEXT NOT NULL,
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
);
CREATE INDEX deliveries_activity ON deliveries (activity_id);
CREATE INDEX deliveries_ticket ON deliveries (ticket, id);
CREATE INDEX deliveries_waiting ON deliveries (id) WHERE state IN ('queued', 'deferred', 'unknown');
CREATE INDEX deliveries_state ON deliveries (state, id) WHERE state NOT IN ('sent', 'cancelled');
CREATE INDEX deliveries_queued ON deliveries (updated_at, id) WHERE state = 'queued';
CREATE INDEX deliveries_automatic ON deliveries (recipient_key, created_at) WHERE kind <> 'answer';
CREATE INDEX deliveries_created ON deliveries (created_at) WHERE kind <> 'answer';

CREATE TABLE attempts (
    delivery_id TEXT NOT NULL,
    n           BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    host        TEXT NOT NULL,
    code        BIGINT NOT NULL,
    enhanced    TEXT NOT NULL,
    text        TEXT NOT NULL,
    PRIMARY KEY (delivery_id, n)
) WITHOUT ROWID;

CREATE TABLE blobs (
    hash   TEXT PRIMARY KEY,
    size   BIGINT NOT NULL,
    packed BLOB
);

CREATE TABLE dkim_keys (
    id           TEXT PRIMARY KEY,
    domain       TEXT NOT NULL,
    selector     TEXT NOT NULL,
    algorithm    TEXT NOT NULL,
    state        TEXT NOT NULL,
    public       TEXT NOT NULL,
    private      BLOB NOT NULL,
    created_at   BIGINT NOT NULL,
    activated_at BIGINT NOT NULL,
    UNIQUE (domain, selector)
);

CREATE TABLE answered (
    caller    TEXT NOT NULL,
    path      TEXT NOT NULL,
    key       TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    status    BIGINT NOT NULL,
    location  TEXT NOT NULL,
    response  TEXT NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (caller, path, key)
);
