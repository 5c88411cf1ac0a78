package store

import (
	"context"
	"errors"
	"slices"
)

// inUse is the conflict of deleting what something refers to.
func inUse(by string) error {
	return &Error{Code: CodeConflict, Reason: ReasonInUse, Message: "it is used by " + by}
}

// use is one place that may refer to a thing.
type use struct {
	by  string // "a ticket"
	sql string // finds a row that refers to $1
}

// unused errs with a conflict (ReasonInUse) where something refers to id.
func (tx *Tx) unused(ctx context.Context, id string, uses ...use) error {
	for _, u := range uses {
		n, err := tx.count(ctx, u.sql, id)
		if err != nil {
			return err
		}
		if n > 0 {
			return inUse(u.by)
		}
	}
	return nil
}

// DeleteChannel removes a channel and its subscriptions; one that a ticket, a rule or
// a mail account names is a conflict (ReasonInUse).
func (tx *Tx) DeleteChannel(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(desk.ruled(id), desk.timed(id)); err != nil {
		return err
	}
	for _, a := range desk.Accounts {
		if a.DefaultChannelID == id {
			return inUse("mail account " + a.Name)
		}
	}
	err = tx.unused(ctx, id, use{"a ticket", `SELECT 1 FROM tickets WHERE channel_id = $1 LIMIT 1`})
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM subscriptions WHERE channel_id = $1`, id); err != nil {
		return err
	}
	return tx.touched(ctx, "channel", `DELETE FROM channels WHERE id = $1`, id)
}

// DeleteStatus removes a status; one that a ticket, a channel or a rule names is a
// conflict (ReasonInUse).
func (tx *Tx) DeleteStatus(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if err := desk.ruled(id); err != nil {
		return err
	}
	for _, c := range desk.Channels {
		if c.DefaultStatusID == id || c.OnIncoming == id || c.OnOutgoing == id || slices.Contains(c.Statuses, id) {
			return inUse("channel " + c.Name)
		}
	}
	err = tx.unused(ctx, id, use{"a ticket", `SELECT 1 FROM tickets WHERE status_id = $1 LIMIT 1`})
	if err != nil {
		return err
	}
	return tx.touched(ctx, "status", `DELETE FROM statuses WHERE id = $1`, id)
}

// DeleteAccount removes a mail account; one that a channel, a ticket or an
// outgoing mail names is a conflict (ReasonInUse).
func (tx *Tx) DeleteAccount(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	for _, c := range desk.Channels {
		if c.AccountID == id {
			return inUse("channel " + c.Name)
		}
	}
	err = tx.unused(ctx, id,
		use{"a ticket", `SELECT 1 FROM tickets WHERE account_id = $1 LIMIT 1`},
		use{"an outgoing mail", `SELECT 1 FROM deliveries WHERE account_id = $1 LIMIT 1`})
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM account_keys WHERE account_id = $1`, id); err != nil {
		return err
	}
	return tx.touched(ctx, "mail account", `DELETE FROM accounts WHERE id = $1`, id)
}

// DeleteAgent removes an agent, and his subscriptions, tokens, log-ins and the like; one that a
// channel, a rule, a ticket or an activity names is a conflict (ReasonInUse).
func (tx *Tx) DeleteAgent(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(desk.ruled(id), desk.timed(id)); err != nil {
		return err
	}
	for _, c := range desk.Channels {
		if c.DefaultOwnerID == id || c.DefaultResponsibleID == id {
			return inUse("channel " + c.Name)
		}
	}
	err = tx.unused(ctx, id,
		use{"a ticket", `SELECT 1 FROM tickets WHERE owner_id = $1 AND owner_id <> '' LIMIT 1`},
		use{"a ticket", `SELECT 1 FROM tickets WHERE responsible_id = $1 AND responsible_id <> '' LIMIT 1`},
		use{"a ticket", `SELECT 1 FROM tickets WHERE created_by = $1 AND created_by <> '' LIMIT 1`},
		use{"an activity", `SELECT 1 FROM activities WHERE created_by = $1 AND created_by <> '' LIMIT 1`},
		use{"a time worked", `SELECT 1 FROM times WHERE agent_id = $1 OR created_by = $1 LIMIT 1`},
		use{"a draft", `SELECT 1 FROM drafts WHERE agent_id = $1 LIMIT 1`})
	if err != nil {
		return err
	}
	for _, sql := range []string{
		`DELETE FROM subscriptions WHERE agent_id = $1`,
		`DELETE FROM tokens WHERE agent_id = $1`,
		`DELETE FROM uploads WHERE agent_id = $1`,
		`DELETE FROM views WHERE agent_id = $1 AND shared = 'none'`,
		`DELETE FROM watchers WHERE agent_id = $1`,
		`DELETE FROM digests WHERE agent_id = $1`,
		`DELETE FROM alarms WHERE agent_id = $1`,
		`DELETE FROM totp WHERE agent_id = $1`,
		`DELETE FROM recovery_codes WHERE agent_id = $1`,
	} {
		if _, err := tx.exec(ctx, sql, id); err != nil {
			return err
		}
	}
	if err := tx.switchedOff(ctx, id); err != nil {
		return err
	}
	return tx.touched(ctx, "agent", `DELETE FROM agents WHERE id = $1`, id)
}

// deskToChange gives the desk, locked against other changes.
func (tx *Tx) deskToChange(ctx context.Context) (*Desk, error) {
	if err := tx.changeDesk(ctx); err != nil {
		return nil, err
	}
	return tx.Desk(ctx)
}
