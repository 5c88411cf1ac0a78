-- +goose Up
-- What agents will say later: the document is the body of the POST.
CREATE TABLE drafts (
    id         TEXT COLLATE "C" PRIMARY KEY,
    agent_id   TEXT COLLATE "C" NOT NULL,
    ticket     BIGINT NOT NULL,
    doc        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX drafts_agent ON drafts (agent_id, id);
CREATE INDEX drafts_ticket ON drafts (ticket, agent_id) WHERE ticket <> 0;

-- Files that were handed in before what they belong to.
CREATE TABLE uploads (
    id         TEXT COLLATE "C" PRIMARY KEY,
    agent_id   TEXT COLLATE "C" NOT NULL,
    draft_id   TEXT COLLATE "C" NOT NULL,
    name       TEXT NOT NULL,
    type       TEXT NOT NULL,
    size       BIGINT NOT NULL,
    hash       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX uploads_draft ON uploads (draft_id) WHERE draft_id <> '';
CREATE INDEX uploads_unused ON uploads (created_at) WHERE draft_id = '';
