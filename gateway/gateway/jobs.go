package gateway

import (
	"context"
	"log/slog"
	"time"

	"ticketgate/gateway/api"
	"ticketgate/store"
	"ticketgate/threading"
)

// How long things are kept that only guard against repetition.
const (
	keepDeliveryKeys = 14 * 24 * time.Hour // the contract asks for 7 days
	keepAnswered     = 24 * time.Hour      // of POSTs with an Idempotency-Key
	keepOpenings     = 2 * time.Hour       // tickets that count for new_ticket_limit do so for one
	keepWebhooks     = 30 * 24 * time.Hour // what webhooks were told, and what waits for those that are off
	keepUploads      = 24 * time.Hour      // files that nothing has used
	keepOrphans      = 24 * time.Hour      // blobs that no row names yet: their commit may be under way
	tidyPause        = time.Hour
)

// timePause is the time between two looks at what clocks and alarms have to tell.
const timePause = 5 * time.Second

// keepTime has clocks and alarms tell what falls due, until ctx ends. The store
// holds when that is; several nodes may do so at once.
func keepTime(ctx context.Context, desk *threading.Service, log *slog.Logger) {
	for wait(ctx, timePause) {
		if err := desk.KeepTime(ctx); err != nil && ctx.Err() == nil {
			log.Warn("keeping time", "err", err)
		}
	}
}

// digestPause is the time between two looks at whose digest is due.
const digestPause = 30 * time.Second

// sendDigests writes the digests of agents when they are due, until ctx ends.
// The store holds when that is; several nodes may do so at once.
func sendDigests(ctx context.Context, desk *threading.Service, log *slog.Logger) {
	for wait(ctx, digestPause) {
		if err := desk.SendDigests(ctx); err != nil && ctx.Err() == nil {
			log.Warn("sending digests", "err", err)
		}
	}
}

// retention says for how many days what is kept; 0 is for ever.
type retention struct {
	events, audit int
}

// tidy removes what is past its time, now and then, until ctx ends. Several
// nodes may do so at once: each removes what is still there.
func tidy(ctx context.Context, db *store.DB, keep retention, now func() time.Time, log *slog.Logger) {
	for ok := true; ok; ok = wait(ctx, tidyPause) {
		if err := tidyOnce(ctx, db, keep, now(), log); err != nil && ctx.Err() == nil {
			log.Warn("tidying up", "err", err)
		}
	}
}

func tidyOnce(ctx context.Context, db *store.DB, keep retention, now time.Time, log *slog.Logger) error {
	var keys, answered, openings, uploads, told int
	err := db.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if keys, err = tx.PruneDeliveryKeys(ctx, now.Add(-keepDeliveryKeys)); err != nil {
			return err
		}
		if answered, err = tx.PruneIdempotent(ctx, now.Add(-keepAnswered)); err != nil {
			return err
		}
		if openings, err = tx.PruneOpenings(ctx, now.Add(-keepOpenings)); err != nil {
			return err
		}
		if told, err = tx.PruneWebhookDeliveries(ctx, now.Add(-keepWebhooks)); err != nil {
			return err
		}
		uploads, err = tx.PruneUploads(ctx, now.Add(-keepUploads))
		return err
	})
	if err != nil {
		return err
	}
	blobs, err := db.SweepBlobs(ctx, keepOrphans)
	if err != nil {
		return err
	}
	events, err := forgetEvents(ctx, db, keep.events, now)
	if err != nil {
		return err
	}
	logins, err := forgetLogins(ctx, db, keep.audit, now)
	if err != nil {
		return err
	}
	if keys+answered+openings+uploads+told+blobs+events+logins > 0 {
		log.Info("tidied up", "delivery_keys", keys, "answered_posts", answered, "openings", openings, "uploads", uploads,
			"webhook_messages", told, "blobs", blobs, "events", events, "logins", logins)
	}
	return nil
}

// forgetLogins removes sessions, links, counted attempts and lines of the audit
// log that are past their time, and tells how many. 0 days keep the log for ever.
func forgetLogins(ctx context.Context, db *store.DB, auditDays int, now time.Time) (all int, err error) {
	idle := now.Add(-api.SessionIdle)
	steps := []func(context.Context, *store.Tx) (int, error){
		func(ctx context.Context, tx *store.Tx) (int, error) { return tx.PruneSessions(ctx, idle, now) },
		func(ctx context.Context, tx *store.Tx) (int, error) { return tx.PruneLoginLinks(ctx, now) },
		func(ctx context.Context, tx *store.Tx) (int, error) { return tx.PruneAttempts(ctx, now) },
	}
	if auditDays > 0 {
		steps = append(steps, func(ctx context.Context, tx *store.Tx) (int, error) {
			return tx.PruneAudit(ctx, now.AddDate(0, 0, -auditDays))
		})
	}
	err = db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		all = 0
		for _, step := range steps {
			n, err := step(ctx, tx)
			if err != nil {
				return err
			}
			all += n
		}
		return nil
	})
	return all, err
}

// forgetEvents prunes the journal of events, a little at a time so that mail
// comes in between. 0 days keep it for ever.
func forgetEvents(ctx context.Context, db *store.DB, days int, now time.Time) (int, error) {
	if days == 0 {
		return 0, nil
	}
	all := 0
	for {
		n := 0
		err := db.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = tx.PruneEvents(ctx, now.AddDate(0, 0, -days))
			return err
		})
		if all += n; err != nil || n == 0 {
			return all, err
		}
	}
}
