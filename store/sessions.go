package store

import (
	"context"
	"time"
)

// LoginSession is one log-in of an agent. It ends when it is deleted, when nobody
// used it for long, and at ExpiresAt whatever happens.
type LoginSession struct {
	ID         string
	Hash       string // hex SHA-256 of what the cookie holds
	AgentID    string
	Way        string // one of the Way words
	Address    string // of the client, at the log-in
	Client     string // what its program calls itself
	CreatedAt  time.Time
	LastUsedAt time.Time // to the minute
	ExpiresAt  time.Time
}

// The ways to log in.
const (
	WayPassword = "password"
	WayLink     = "link" // a one-time link of a mail
	WayOIDC     = "oidc"
)

const sessionColumns = `id, hash, agent_id, way, address, client, created_at, last_used_at, expires_at`

func scanSession(r Rows, s *LoginSession) error {
	return r.Scan(&s.ID, &s.Hash, &s.AgentID, &s.Way, &s.Address, &s.Client,
		at(&s.CreatedAt), at(&s.LastUsedAt), at(&s.ExpiresAt))
}

// AddSession adds a session.
func (tx *Tx) AddSession(ctx context.Context, s LoginSession) error {
	return tx.queue(ctx, `INSERT INTO sessions (`+sessionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		s.ID, s.Hash, s.AgentID, s.Way, s.Address, s.Client, us(s.CreatedAt), us(s.LastUsedAt), us(s.ExpiresAt))
}

// Session gives a session by its id, past its time or not.
func (tx *Tx) Session(ctx context.Context, id string) (LoginSession, error) {
	return first(ctx, tx, "session", scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE id = $1`, id)
}

// SessionByHash gives the session with this hash, past its time or not.
func (tx *Tx) SessionByHash(ctx context.Context, hash string) (LoginSession, error) {
	return first(ctx, tx, "session", scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE hash = $1`, hash)
}

// Sessions gives an agent's sessions, oldest first.
func (tx *Tx) Sessions(ctx context.Context, agentID string) ([]LoginSession, error) {
	return list(ctx, tx, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE agent_id = $1 ORDER BY id`, agentID)
}

// TouchSession notes when a session was last used. One that is gone is no error.
func (tx *Tx) TouchSession(ctx context.Context, id string, used time.Time) error {
	return tx.queue(ctx, `UPDATE sessions SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2`, id, us(used))
}

// DeleteSession ends a session.
func (tx *Tx) DeleteSession(ctx context.Context, id string) error {
	s, err := tx.Session(ctx, id)
	if err != nil {
		return err
	}
	if err := tx.touched(ctx, "session", `DELETE FROM sessions WHERE id = $1`, id); err != nil {
		return err
	}
	return tx.accessEnded(ctx, s.AgentID)
}

// EndSessions ends all sessions of an agent but the one with the id keep, and
// makes the links that wait to be used worthless.
func (tx *Tx) EndSessions(ctx context.Context, agentID, keep string) error {
	if err := tx.queue(ctx, `DELETE FROM login_links WHERE agent_id = $1`, agentID); err != nil {
		return err
	}
	ended, err := tx.exec(ctx, `DELETE FROM sessions WHERE agent_id = $1 AND id <> $2`, agentID, keep)
	if err != nil || ended == 0 {
		return err
	}
	return tx.accessEnded(ctx, agentID)
}

// PruneSessions removes sessions that were not used since idle, or are past
// their time by now, and tells how many.
func (tx *Tx) PruneSessions(ctx context.Context, idle, now time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM sessions WHERE last_used_at < $1 OR expires_at <= $2`, us(idle), us(now))
	return int(n), err
}

// accessEnded tells the agent's open streams that a token or a session of his
// may be theirs.
func (tx *Tx) accessEnded(ctx context.Context, agentID string) error {
	return tx.AddEvent(ctx, Event{Kind: EventAccessEnded, AgentID: agentID, At: tx.db.opt.Now()})
}

// SetPassword sets the argon2id hash of an agent's password, and ends all of
// his sessions but the one with the id keep.
func (tx *Tx) SetPassword(ctx context.Context, agentID, hash, keep string) error {
	if err := tx.touched(ctx, "agent", `UPDATE agents SET password = $2 WHERE id = $1`, agentID, hash); err != nil {
		return err
	}
	return tx.EndSessions(ctx, agentID, keep)
}

// RenewPassword replaces the hash of a password by one of the same password
// with other costs. Where the password was changed meanwhile nothing happens.
func (tx *Tx) RenewPassword(ctx context.Context, agentID, old, hash string) error {
	return tx.queue(ctx, `UPDATE agents SET password = $3 WHERE id = $1 AND password = $2`, agentID, old, hash)
}
