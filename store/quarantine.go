package store

import (
	"context"
	"time"
)

const quarantineColumns = `id, reason, account_id, envelope_from, envelope_to, from_, to_, subject, raw_hash, trace, auth, created_at, rules`

func scanQuarantined(r Rows, q *Quarantined) error {
	return r.Scan(&q.ID, &q.Reason, &q.AccountID, &q.EnvelopeFrom, doc(&q.EnvelopeTo), doc(&q.From), doc(&q.To),
		&q.Subject, &q.RawHash, &q.Trace, doc(&q.Auth), at(&q.CreatedAt), doc(&q.Rules))
}

// InsertQuarantined adds a mail to the quarantine.
func (tx *Tx) InsertQuarantined(ctx context.Context, q Quarantined) error {
	return tx.queue(ctx, `INSERT INTO quarantine (`+quarantineColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		q.ID, q.Reason, q.AccountID, q.EnvelopeFrom, toJSON(q.EnvelopeTo), toJSON(q.From), toJSON(q.To), q.Subject,
		q.RawHash, q.Trace, toJSON(q.Auth), us(q.CreatedAt), toJSON(q.Rules))
}

// Quarantined gives a mail of the quarantine.
func (tx *Tx) Quarantined(ctx context.Context, id string) (Quarantined, error) {
	return first(ctx, tx, "mail in the quarantine", scanQuarantined,
		`SELECT `+quarantineColumns+` FROM quarantine WHERE id = $1`, id)
}

// UpdateQuarantined writes reason and auth of a mail of the quarantine.
func (tx *Tx) UpdateQuarantined(ctx context.Context, q Quarantined) error {
	return tx.touched(ctx, "mail in the quarantine",
		`UPDATE quarantine SET reason = $2, auth = $3 WHERE id = $1`, q.ID, q.Reason, toJSON(q.Auth))
}

// QuarantinedList lists the quarantine, newest first.
func (tx *Tx) QuarantinedList(ctx context.Context, from string, limit int) ([]Quarantined, string, error) {
	var w where
	if err := w.after(from, "quarantine"); err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	rows, err := list(ctx, tx, scanQuarantined,
		`SELECT `+quarantineColumns+` FROM quarantine`+w.sql()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(q Quarantined) cursor { return cursor{Sort: "quarantine", ID: q.ID} })
	return rows, next, err
}

// DeleteQuarantined takes a mail out of the quarantine. Its bytes stay.
func (tx *Tx) DeleteQuarantined(ctx context.Context, id string) error {
	return tx.touched(ctx, "mail in the quarantine", `DELETE FROM quarantine WHERE id = $1`, id)
}

// PutRecheck adds or replaces what a DNS look-up is to be made for again.
func (tx *Tx) PutRecheck(ctx context.Context, r Recheck) error {
	return tx.queue(ctx, `INSERT INTO rechecks (id, attempt, due_at) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt, due_at = excluded.due_at`,
		r.ID, r.Attempt, us(r.DueAt))
}

// RetryRecheck puts the next look-up down, unless another node did so, or ended
// them, since r was read.
func (tx *Tx) RetryRecheck(ctx context.Context, r Recheck, due time.Time) error {
	return tx.queue(ctx, `UPDATE rechecks SET attempt = attempt + 1, due_at = $3 WHERE id = $1 AND attempt = $2`, r.ID, r.Attempt, us(due))
}

// EndRecheck ends the look-ups for id. It is true for the one caller, on
// whatever node, that did: what it found counts.
func (tx *Tx) EndRecheck(ctx context.Context, id string) (bool, error) {
	n, err := tx.exec(ctx, `DELETE FROM rechecks WHERE id = $1`, id)
	return n > 0, err
}

// DueRechecks gives what is due by now, the most overdue first.
func (tx *Tx) DueRechecks(ctx context.Context, now time.Time, limit int) ([]Recheck, error) {
	return list(ctx, tx, func(r Rows, c *Recheck) error { return r.Scan(&c.ID, &c.Attempt, at(&c.DueAt)) },
		`SELECT id, attempt, due_at FROM rechecks WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2`, us(now), limit)
}

// DeleteRecheck ends the look-ups for id. One that is not there is no error.
func (tx *Tx) DeleteRecheck(ctx context.Context, id string) error {
	return tx.queue(ctx, `DELETE FROM rechecks WHERE id = $1`, id)
}
