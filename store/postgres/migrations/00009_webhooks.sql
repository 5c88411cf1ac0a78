-- +goose Up
-- What webhooks are to be told: written with the position up to which the
-- journal of events was read, so that nothing is left out or put in twice. A
-- claim moves next_attempt_at behind its lease and counts fence up.
CREATE TABLE webhook_deliveries (
    id              TEXT COLLATE "C" PRIMARY KEY,
    webhook_id      TEXT COLLATE "C" NOT NULL,
    event_tx        BIGINT NOT NULL,
    event_id        BIGINT NOT NULL,
    kind            TEXT NOT NULL,
    ticket          BIGINT NOT NULL,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL,
    tries           INTEGER NOT NULL,
    fence           BIGINT NOT NULL,
    attempts        TEXT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    ended_at        BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, event_tx, event_id, id) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (webhook_id, ticket, event_tx, event_id) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE state <> 'waiting';

-- How the receivers of webhooks are doing, over all nodes.
CREATE TABLE webhook_health (
    webhook_id    TEXT COLLATE "C" PRIMARY KEY,
    failures      INTEGER NOT NULL,
    failing_since BIGINT NOT NULL,
    paused_until  BIGINT NOT NULL,
    delivered_at  BIGINT NOT NULL
);
