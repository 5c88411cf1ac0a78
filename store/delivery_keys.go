package store

import (
	"context"
	"slices"
	"time"
)

// DeliveryKey remembers that some bytes were taken for an account, and what
// became of them.
type DeliveryKey struct {
	AccountID    string
	Hash         string // hex SHA-256 of the bytes, or of what follows a leading Received field
	ActivityID   string // "" where it went into the quarantine
	QuarantineID string
	Ticket       int64
	At           time.Time
}

// AddDeliveryKey notes that bytes with this hash were taken for an account.
// added is false if they had been; it waits for the outcome of another
// transaction that is adding the same key.
func (tx *Tx) AddDeliveryKey(ctx context.Context, accountID, hash string, k DeliveryKey) (added bool, err error) {
	n, err := tx.exec(ctx, `INSERT INTO delivery_keys (hash, account_id, activity_id, quarantine_id, ticket, at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash, account_id) DO NOTHING`,
		hash, accountID, k.ActivityID, k.QuarantineID, k.Ticket, us(k.At))
	return n > 0, err
}

// Serialise lets one transaction at a time go on that names one of the words,
// on whatever node it runs; when it returns they are held, until the transaction
// ends.
func (tx *Tx) Serialise(ctx context.Context, words ...string) error {
	if tx.db.dialect.LockWord == "" {
		return nil
	}
	slices.Sort(words) // the same order everywhere, so that nobody waits in a ring
	for i, word := range words {
		if i == len(words)-1 { // all of them in one round trip
			_, err := tx.exec(ctx, tx.db.dialect.LockWord, word)
			return err
		}
		if err := tx.queue(ctx, tx.db.dialect.LockWord, word); err != nil {
			return err
		}
	}
	return nil
}

// DeliveryKeys gives what is noted about hashes, for one account or, for "",
// for any, oldest first.
func (tx *Tx) DeliveryKeys(ctx context.Context, accountID string, hashes []string) ([]DeliveryKey, error) {
	if len(hashes) == 0 {
		return nil, nil
	}
	condition, args := tx.in("hash", 2, hashes)
	return list(ctx, tx, func(r Rows, k *DeliveryKey) error {
		return r.Scan(&k.AccountID, &k.Hash, &k.ActivityID, &k.QuarantineID, &k.Ticket, at(&k.At))
	}, `SELECT account_id, hash, activity_id, quarantine_id, ticket, at FROM delivery_keys
		WHERE `+condition+` AND ($1 = '' OR account_id = $1) ORDER BY at, account_id`,
		append([]any{accountID}, args...)...)
}

// PruneDeliveryKeys forgets keys older than before, and tells how many.
func (tx *Tx) PruneDeliveryKeys(ctx context.Context, before time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM delivery_keys WHERE at < $1`, us(before))
	return int(n), err
}

// DeleteDeliveryKeys forgets the keys of a quarantined mail with this hash, so
// that it can be filed once more.
func (tx *Tx) DeleteDeliveryKeys(ctx context.Context, hash, quarantineID string) error {
	_, err := tx.exec(ctx, `DELETE FROM delivery_keys WHERE hash = $1 AND quarantine_id = $2 AND quarantine_id <> ''`,
		hash, quarantineID)
	return err
}
