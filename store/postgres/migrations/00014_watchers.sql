-- +goose Up
CREATE TABLE watchers (
    ticket   BIGINT NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ticket, agent_id)
);
CREATE INDEX watchers_agent ON watchers (agent_id, ticket);

-- What agents are told of once a day; a row goes with the mail that tells it.
CREATE TABLE digests (
    id          TEXT COLLATE "C" PRIMARY KEY,
    agent_id    TEXT COLLATE "C" NOT NULL,
    ticket      BIGINT NOT NULL,
    activity_id TEXT COLLATE "C" NOT NULL,
    reason      TEXT NOT NULL,
    due_at      BIGINT NOT NULL
);
CREATE INDEX digests_due ON digests (due_at, agent_id);
CREATE INDEX digests_agent ON digests (agent_id, id);
