package store

import (
	"context"
	"errors"
)

// changeDesk makes every cached snapshot stale once this is committed. Its row
// also lets one transaction at a time change the desk, so that what a check
// found still holds when it is committed.
func (tx *Tx) changeDesk(ctx context.Context) error {
	if !tx.deskDirty {
		tx.AfterCommit(func() { tx.db.deskChanges.Add(1) })
	}
	tx.desk, tx.deskDirty, tx.deskChanged = nil, true, true
	_, err := tx.exec(ctx, `UPDATE desk_version SET version = version + 1`)
	return err
}

// natural makes a violation of a unique index the conflict that it is where
// people choose the key.
func natural(field string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Code == CodeData && e.Reason == ReasonDuplicate {
		return &Error{Code: CodeConflict, Reason: ReasonDuplicate, Field: field, Message: "exists already", Err: e.Err}
	}
	return err
}

// PutChannel adds or replaces a channel; a name that another one has is a
// conflict (ReasonDuplicate).
func (tx *Tx) PutChannel(ctx context.Context, c Channel) error {
	if err := tx.changeDesk(ctx); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO channels (id, name, doc) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, doc = excluded.doc`, c.ID, c.Name, toJSON(c))
	return natural("name", err)
}

// PutStatus adds or replaces a status; a name that another one has is a
// conflict (ReasonDuplicate).
func (tx *Tx) PutStatus(ctx context.Context, s Status) error {
	if err := tx.changeDesk(ctx); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO statuses (id, name, doc) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, doc = excluded.doc`, s.ID, s.Name, toJSON(s))
	return natural("name", err)
}

// PutAccount adds or replaces a mail account, but for its times; an address or
// alias that another one has is a conflict (ReasonDuplicate).
func (tx *Tx) PutAccount(ctx context.Context, a MailAccount) error {
	if err := tx.changeDesk(ctx); err != nil {
		return err
	}
	created := a.CreatedAt
	if created.IsZero() {
		created = tx.db.opt.Now()
	}
	_, err := tx.exec(ctx, `INSERT INTO accounts (id, doc, created_at, last_received_at, last_sent_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`,
		a.ID, toJSON(accountDoc{a, a.Key, a.AliasKeys}), us(created), us(a.LastReceivedAt), us(a.LastSentAt))
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM account_keys WHERE account_id = $1`, a.ID); err != nil {
		return err
	}
	if err := tx.addAccountKey(ctx, "address", a.ID, a.Key); err != nil {
		return err
	}
	for _, key := range a.AliasKeys {
		if err := tx.addAccountKey(ctx, "aliases", a.ID, key); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) addAccountKey(ctx context.Context, field, id, key string) error {
	_, err := tx.exec(ctx, `INSERT INTO account_keys (key, account_id) VALUES ($1, $2)`, key, id)
	return natural(field, err)
}

// PutAgent adds or replaces an agent; an empty Password leaves the one that is
// set. A password that is set, and an agent who is switched off, end all of the
// agent's sessions. An address that another agent has is a conflict
// (ReasonDuplicate).
func (tx *Tx) PutAgent(ctx context.Context, a Agent) error {
	if err := tx.changeDesk(ctx); err != nil {
		return err
	}
	before, err := docs[agentDoc](ctx, tx, `SELECT doc FROM agents WHERE id = $1`, a.ID)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO agents (id, key, doc, password) VALUES ($1, $2, $3, '')
		ON CONFLICT (id) DO UPDATE SET key = excluded.key, doc = excluded.doc`, a.ID, a.Key, toJSON(agentDoc{a, a.Key}))
	switch {
	case err != nil:
		return natural("email", err)
	case a.Password != "":
		err = tx.SetPassword(ctx, a.ID, a.Password, "")
	}
	if err == nil && len(before) > 0 && before[0].Active && !a.Active {
		return tx.switchedOff(ctx, a.ID)
	}
	return err
}

// switchedOff ends what an agent has open. His tokens stay, and are worth
// nothing until he is switched on again.
func (tx *Tx) switchedOff(ctx context.Context, agentID string) error {
	if err := tx.EndSessions(ctx, agentID, ""); err != nil {
		return err
	}
	return tx.accessEnded(ctx, agentID)
}

// PutSubscription adds or replaces an agent's tie to a channel.
func (tx *Tx) PutSubscription(ctx context.Context, s Subscription) error {
	if err := tx.changeDesk(ctx); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO subscriptions (channel_id, agent_id, type) VALUES ($1, $2, $3)
		ON CONFLICT (agent_id, channel_id) DO UPDATE SET type = excluded.type`, s.ChannelID, s.AgentID, s.Type)
	return err
}

// DeleteSubscription ends an agent's tie to a channel.
func (tx *Tx) DeleteSubscription(ctx context.Context, channelID, agentID string) error {
	if err := tx.changeDesk(ctx); err != nil {
		return err
	}
	return tx.touched(ctx, "subscription",
		`DELETE FROM subscriptions WHERE channel_id = $1 AND agent_id = $2`, channelID, agentID)
}
