-- +goose Up
-- Log-ins of agents. Of what a cookie, a link or a recovery code holds there is
-- only the SHA-256.
CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    hash         TEXT NOT NULL UNIQUE,
    agent_id     TEXT NOT NULL,
    way          TEXT NOT NULL,
    address      TEXT NOT NULL,
    client       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX sessions_agent ON sessions (agent_id, id);

CREATE TABLE login_links (
    hash       TEXT PRIMARY KEY,
    agent_id   TEXT NOT NULL,
    key        TEXT NOT NULL,
    kind       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX login_links_agent ON login_links (agent_id);

-- confirmed_at is 0 until the agent has shown a first code; last_step is the
-- time step of the newest code that was taken, for each counts once.
CREATE TABLE totp (
    agent_id     TEXT PRIMARY KEY,
    secret       BLOB NOT NULL,
    confirmed_at BIGINT NOT NULL,
    last_step    BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE recovery_codes (
    agent_id TEXT NOT NULL,
    hash     TEXT NOT NULL,
    PRIMARY KEY (agent_id, hash)
) WITHOUT ROWID;

-- full_at is when a key that bounds attempts at logging in has all of them
-- again.
CREATE TABLE attempts_left (
    key     TEXT PRIMARY KEY,
    full_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    id       TEXT PRIMARY KEY,
    at       BIGINT NOT NULL,
    agent_id TEXT NOT NULL,
    action   TEXT NOT NULL,
    thing    TEXT NOT NULL,
    doc      TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_agent ON audit (agent_id, at, id);
CREATE INDEX audit_action ON audit (action, at, id);
CREATE INDEX audit_thing ON audit (thing, at, id);
