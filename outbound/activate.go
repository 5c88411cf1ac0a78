package outbound

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ticketgate/store"
)

// ActivatePublished activates each new key whose record DNS shows, and gives
// those keys. lookup gives the TXT records of a name, each with its strings
// joined. A key that DNS does not show, or shows otherwise, stays new; so does
// one that can't be looked up, which is part of the error. It may run on
// several nodes at once.
func ActivatePublished(ctx context.Context, db *store.DB, lookup func(ctx context.Context, name string) ([]string, error), now time.Time) (activated []store.DKIMKey, err error) {
	var keys []store.DKIMKey
	err = db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		keys, err = tx.DKIMKeys(ctx, "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the DKIM keys: %w", err)
	}
	for _, k := range keys {
		if k.State != store.DKIMNew {
			continue
		}
		txt, lookupErr := lookup(ctx, recordName(k))
		if lookupErr != nil {
			err = errors.Join(err, fmt.Errorf("looking up %s: %w", recordName(k), lookupErr))
			continue
		}
		if CheckRecord(k, txt) != nil {
			continue
		}
		changed, putErr := activate(ctx, db, k.ID, now)
		err = errors.Join(err, putErr)
		if changed {
			activated = append(activated, k)
		}
	}
	return activated, err
}

// activate makes a key sign, unless somebody retired or activated it meanwhile.
func activate(ctx context.Context, db *store.DB, id string, now time.Time) (changed bool, err error) {
	err = db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		changed = false
		k, err := tx.DKIMKey(ctx, id)
		if err != nil || k.State != store.DKIMNew {
			return err
		}
		k.State, k.ActivatedAt = store.DKIMActive, now
		changed = true
		return tx.PutDKIMKey(ctx, k)
	})
	return changed && err == nil, err
}
