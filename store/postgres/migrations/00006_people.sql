-- +goose Up
-- Log-ins of agents. Of what a cookie, a link or a recovery code holds there is
-- only the SHA-256.
CREATE TABLE sessions (
    id           TEXT COLLATE "C" PRIMARY KEY,
    hash         TEXT COLLATE "C" NOT NULL UNIQUE,
    agent_id     TEXT COLLATE "C" NOT NULL,
    way          TEXT COLLATE "C" NOT NULL,
    address      TEXT NOT NULL,
    client       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX sessions_agent ON sessions (agent_id, id);

CREATE TABLE login_links (
    hash       TEXT COLLATE "C" PRIMARY KEY,
    agent_id   TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_links_agent ON login_links (agent_id);

-- confirmed_at is 0 until the agent has shown a first code; last_step is the
-- time step of the newest code that was taken, for each counts once.
CREATE TABLE totp (
    agent_id     TEXT COLLATE "C" PRIMARY KEY,
    secret       BYTEA NOT NULL,
    confirmed_at BIGINT NOT NULL,
    last_step    BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    agent_id TEXT COLLATE "C" NOT NULL,
    hash     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (agent_id, hash)
);

-- full_at is when a key that bounds attempts at logging in has all of them
-- again.
CREATE TABLE attempts_left (
    key     TEXT COLLATE "C" PRIMARY KEY,
    full_at BIGINT NOT NULL
);

CREATE TABLE audit (
    id       TEXT COLLATE "C" PRIMARY KEY,
    at       BIGINT NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    action   TEXT COLLATE "C" NOT NULL,
    thing    TEXT COLLATE "C" NOT NULL,
    doc      TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_agent ON audit (agent_id, at, id);
CREATE INDEX audit_action ON audit (action, at, id);
CREATE INDEX audit_thing ON audit (thing, at, id);
