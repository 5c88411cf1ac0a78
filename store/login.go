package store

import (
	"context"
	"time"
)

// LoginLink lets its reader log in once. Only its SHA-256 is kept.
type LoginLink struct {
	Hash      string // hex SHA-256
	AgentID   string
	Key       string // of the address that it was sent to
	Kind      string // one of the Mailed words
	CreatedAt time.Time
	ExpiresAt time.Time
}

// The kinds of link.
const (
	MailedInvitation = "invitation"
	MailedLogin      = "login"
)

// AddLoginLink adds a link.
func (tx *Tx) AddLoginLink(ctx context.Context, l LoginLink) error {
	return tx.queue(ctx, `INSERT INTO login_links (hash, agent_id, key, kind, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`, l.Hash, l.AgentID, l.Key, l.Kind, us(l.CreatedAt), us(l.ExpiresAt))
}

// LoginLink gives the link with this hash, past its time or not.
func (tx *Tx) LoginLink(ctx context.Context, hash string) (LoginLink, error) {
	return first(ctx, tx, "link", func(r Rows, l *LoginLink) error {
		return r.Scan(&l.Hash, &l.AgentID, &l.Key, &l.Kind, at(&l.CreatedAt), at(&l.ExpiresAt))
	}, `SELECT hash, agent_id, key, kind, created_at, expires_at FROM login_links WHERE hash = $1`, hash)
}

// UseLoginLink takes a link away; not_found where somebody was first.
func (tx *Tx) UseLoginLink(ctx context.Context, hash string) error {
	return tx.touched(ctx, "link", `DELETE FROM login_links WHERE hash = $1`, hash)
}

// PruneLoginLinks removes the links that are past their time by now, and tells
// how many.
func (tx *Tx) PruneLoginLinks(ctx context.Context, now time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM login_links WHERE expires_at <= $1`, us(now))
	return int(n), err
}

// TOTP is an agent's second factor (RFC 6238).
type TOTP struct {
	AgentID     string
	Secret      []byte    // sealed under the master key
	ConfirmedAt time.Time // zero: not asked for yet
	LastStep    int64     // of the newest code that was taken
}

func scanTOTP(r Rows, t *TOTP) error {
	return r.Scan(&t.AgentID, &t.Secret, at(&t.ConfirmedAt), &t.LastStep)
}

// TOTP gives an agent's second factor, confirmed or not.
func (tx *Tx) TOTP(ctx context.Context, agentID string) (TOTP, error) {
	return first(ctx, tx, "second factor", scanTOTP,
		`SELECT agent_id, secret, confirmed_at, last_step FROM totp WHERE agent_id = $1`, agentID)
}

// TOTPs gives all second factors.
func (tx *Tx) TOTPs(ctx context.Context) ([]TOTP, error) {
	return list(ctx, tx, scanTOTP, `SELECT agent_id, secret, confirmed_at, last_step FROM totp ORDER BY agent_id`)
}

// PutTOTP adds or replaces an agent's second factor.
func (tx *Tx) PutTOTP(ctx context.Context, t TOTP) error {
	return tx.queue(ctx, `INSERT INTO totp (agent_id, secret, confirmed_at, last_step) VALUES ($1, $2, $3, $4)
		ON CONFLICT (agent_id) DO UPDATE SET secret = excluded.secret, confirmed_at = excluded.confirmed_at,
		last_step = excluded.last_step`, t.AgentID, t.Secret, us(t.ConfirmedAt), t.LastStep)
}

// TakeTOTPStep notes that the code of a time step was used; false where that
// code, or a later one, was used before (RFC 6238, 5.2).
func (tx *Tx) TakeTOTPStep(ctx context.Context, agentID string, step int64) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE totp SET last_step = $2 WHERE agent_id = $1 AND last_step < $2`, agentID, step)
	return n > 0, err
}

// DeleteTOTP removes an agent's second factor and his recovery codes.
func (tx *Tx) DeleteTOTP(ctx context.Context, agentID string) error {
	if err := tx.queue(ctx, `DELETE FROM recovery_codes WHERE agent_id = $1`, agentID); err != nil {
		return err
	}
	return tx.touched(ctx, "second factor", `DELETE FROM totp WHERE agent_id = $1`, agentID)
}

// PutRecoveryCodes replaces an agent's recovery codes, given by their hashes.
func (tx *Tx) PutRecoveryCodes(ctx context.Context, agentID string, hashes []string) error {
	if err := tx.queue(ctx, `DELETE FROM recovery_codes WHERE agent_id = $1`, agentID); err != nil {
		return err
	}
	for _, hash := range hashes {
		err := tx.queue(ctx, `INSERT INTO recovery_codes (agent_id, hash) VALUES ($1, $2)`, agentID, hash)
		if err != nil {
			return err
		}
	}
	return nil
}

// UseRecoveryCode takes a recovery code away; false where it is none.
func (tx *Tx) UseRecoveryCode(ctx context.Context, agentID, hash string) (bool, error) {
	n, err := tx.exec(ctx, `DELETE FROM recovery_codes WHERE agent_id = $1 AND hash = $2`, agentID, hash)
	return n > 0, err
}

// RecoveryCodes tells how many recovery codes an agent has left.
func (tx *Tx) RecoveryCodes(ctx context.Context, agentID string) (int, error) {
	n, err := tx.count(ctx, `SELECT COUNT(*) FROM recovery_codes WHERE agent_id = $1`, agentID)
	return int(n), err
}

// Allowance bounds how often something may be tried: so many times at once, and
// once more with each interval that passes.
type Allowance struct {
	Burst    int
	Interval time.Duration
}

// TakeAttempt takes one attempt of a key's; false where none is left. Of
// attempts at the same moment, on whatever nodes, each is counted.
func (tx *Tx) TakeAttempt(ctx context.Context, key string, now time.Time, a Allowance) (bool, error) {
	// The generic cell rate algorithm: full_at is the one number that it needs.
	full := now.Add(time.Duration(a.Burst-1) * a.Interval)
	n, err := tx.exec(ctx, `INSERT INTO attempts_left (key, full_at) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET
		full_at = CASE WHEN attempts_left.full_at > $3 THEN attempts_left.full_at + $4 ELSE $2 END
		WHERE attempts_left.full_at <= $5`,
		key, us(now.Add(a.Interval)), us(now), a.Interval.Microseconds(), us(full))
	return n > 0, err
}

// GiveAttempt gives an attempt back that was not one.
func (tx *Tx) GiveAttempt(ctx context.Context, key string, a Allowance) error {
	return tx.queue(ctx, `UPDATE attempts_left SET full_at = full_at - $2 WHERE key = $1`, key, a.Interval.Microseconds())
}

// GiveAttempts gives all attempts of a key back.
func (tx *Tx) GiveAttempts(ctx context.Context, key string) error {
	return tx.queue(ctx, `DELETE FROM attempts_left WHERE key = $1`, key)
}

// PruneAttempts forgets the keys that have all their attempts by now, and tells
// how many.
func (tx *Tx) PruneAttempts(ctx context.Context, now time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM attempts_left WHERE full_at <= $1`, us(now))
	return int(n), err
}
