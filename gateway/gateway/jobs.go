package gateway

import (
	"context"
	"log/slog"
	"time"

	"ticketgate/store"
)

// How long things are kept that only guard against repetition.
const (
	keepDeliveryKeys = 14 * 24 * time.Hour // the contract asks for 7 days
	keepAnswered     = 24 * time.Hour      // of POSTs with an Idempotency-Key
	keepOrphans      = 24 * time.Hour      // blobs that no row names yet: their commit may be under way
	tidyPause        = time.Hour
)

// tidy removes what is past its time, now and then, until ctx ends. Several
// nodes may do so at once: each removes what is still there.
func tidy(ctx context.Context, db *store.DB, now func() time.Time, log *slog.Logger) {
	for ok := true; ok; ok = wait(ctx, tidyPause) {
		if err := tidyOnce(ctx, db, now(), log); err != nil && ctx.Err() == nil {
			log.Warn("tidying up", "err", err)
		}
	}
}

func tidyOnce(ctx context.Context, db *store.DB, now time.Time, log *slog.Logger) error {
	var keys, answered int
	err := db.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if keys, err = tx.PruneDeliveryKeys(ctx, now.Add(-keepDeliveryKeys)); err != nil {
			return err
		}
		answered, err = tx.PruneIdempotent(ctx, now.Add(-keepAnswered))
		return err
	})
	if err != nil {
		return err
	}
	blobs, err := db.SweepBlobs(ctx, keepOrphans)
	if err != nil {
		return err
	}
	if keys+answered+blobs > 0 {
		log.Info("tidied up", "delivery_keys", keys, "answered_posts", answered, "blobs", blobs)
	}
	return nil
}
