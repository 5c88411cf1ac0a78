package store

import (
	"context"
	"time"
)

// Meta gives a small fact about this store; "" where it was never set.
func (tx *Tx) Meta(ctx context.Context, key string) (string, error) {
	var value string
	err := tx.query(ctx, func(r Rows) error { return r.Scan(&value) }, `SELECT value FROM meta WHERE key = $1`, key)
	return value, err
}

// SetMeta sets a small fact.
func (tx *Tx) SetMeta(ctx context.Context, key, value string) error {
	_, err := tx.exec(ctx, `INSERT INTO meta (key, value) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// Answered is what was answered to a POST with an Idempotency-Key.
type Answered struct {
	Caller   string
	Path     string
	Key      string
	BodyHash string
	Status   int // HTTP; 0: still running
	Location string
	Response string
	At       time.Time
}

// Idempotent gives what was answered to this call before; ok is false where
// it is new.
func (tx *Tx) Idempotent(ctx context.Context, caller, path, key string) (a Answered, ok bool, err error) {
	all, err := list(ctx, tx, func(r Rows, a *Answered) error {
		return r.Scan(&a.Caller, &a.Path, &a.Key, &a.BodyHash, &a.Status, &a.Location, &a.Response, at(&a.At))
	}, `SELECT caller, path, key, body_hash, status, location, response, at FROM answered
		WHERE caller = $1 AND path = $2 AND key = $3`, caller, path, key)
	if err != nil || len(all) == 0 {
		return Answered{}, false, err
	}
	return all[0], true, nil
}

// AddIdempotent notes a call that begins; added is false if it is noted.
func (tx *Tx) AddIdempotent(ctx context.Context, a Answered) (added bool, err error) {
	n, err := tx.exec(ctx, `INSERT INTO answered (caller, path, key, body_hash, status, location, response, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (caller, path, key) DO NOTHING`,
		a.Caller, a.Path, a.Key, a.BodyHash, a.Status, a.Location, a.Response, us(a.At))
	return n > 0, err
}

// PutIdempotent notes what a call was answered, or replaces that.
func (tx *Tx) PutIdempotent(ctx context.Context, a Answered) error {
	_, err := tx.exec(ctx, `INSERT INTO answered (caller, path, key, body_hash, status, location, response, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (caller, path, key) DO UPDATE SET
		body_hash = excluded.body_hash, status = excluded.status, location = excluded.location,
		response = excluded.response, at = excluded.at`,
		a.Caller, a.Path, a.Key, a.BodyHash, a.Status, a.Location, a.Response, us(a.At))
	return err
}

// DeleteIdempotent forgets a call, so that it may be made anew.
func (tx *Tx) DeleteIdempotent(ctx context.Context, caller, path, key string) error {
	_, err := tx.exec(ctx, `DELETE FROM answered WHERE caller = $1 AND path = $2 AND key = $3`, caller, path, key)
	return err
}

// PruneIdempotent forgets calls older than before, and tells how many.
func (tx *Tx) PruneIdempotent(ctx context.Context, before time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM answered WHERE at < $1`, us(before))
	return int(n), err
}
