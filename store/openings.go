package store

import (
	"context"
	"time"
)

// Opening notes that a mail from an address opened a ticket, so that a flood of
// them is seen on whatever node they come.
type Opening struct {
	AccountID string
	Key       string // of the author's address
	Subject   string // in the form that subjects are compared by
	Ticket    int64
	At        time.Time
}

// AddOpening adds an opening.
func (tx *Tx) AddOpening(ctx context.Context, o Opening) error {
	return tx.queue(ctx, `INSERT INTO openings (account_id, key, ticket, subject, at) VALUES ($1, $2, $3, $4, $5)`,
		o.AccountID, o.Key, o.Ticket, o.Subject, us(o.At))
}

// CountOpenings tells how many tickets an address opened at an account after
// since; it counts no further than most.
func (tx *Tx) CountOpenings(ctx context.Context, accountID, key string, since time.Time, most int) (int, error) {
	return first(ctx, tx, "openings", func(r Rows, n *int) error { return r.Scan(n) },
		`SELECT COUNT(*) FROM (SELECT 1 FROM openings WHERE account_id = $1 AND key = $2 AND ticket > 0 AND at > $3 LIMIT $4) AS o`,
		accountID, key, us(since), most)
}

// NewestOpening gives the newest ticket that an address opened at an account
// after since with this subject; 0 where there is none.
func (tx *Tx) NewestOpening(ctx context.Context, accountID, key, subject string, since time.Time) (int64, error) {
	tickets, err := list(ctx, tx, func(r Rows, n *int64) error { return r.Scan(n) },
		`SELECT ticket FROM openings WHERE account_id = $1 AND key = $2 AND ticket > 0 AND subject = $3 AND at > $4
		ORDER BY ticket DESC LIMIT 1`, accountID, key, subject, us(since))
	if err != nil || len(tickets) == 0 {
		return 0, err
	}
	return tickets[0], nil
}

// NoteFlood notes that an address floods an account. It is true for one caller,
// on whatever node, unless it was noted after since.
func (tx *Tx) NoteFlood(ctx context.Context, accountID, key string, now, since time.Time) (bool, error) {
	n, err := tx.exec(ctx, `INSERT INTO openings (account_id, key, ticket, subject, at) VALUES ($1, $2, 0, '', $3)
		ON CONFLICT (account_id, key, ticket) DO UPDATE SET at = excluded.at WHERE openings.at <= $4`,
		accountID, key, us(now), us(since))
	return n > 0, err
}

// PruneOpenings forgets what is older than before, and tells how many.
func (tx *Tx) PruneOpenings(ctx context.Context, before time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM openings WHERE at < $1`, us(before))
	return int(n), err
}
