package gateway

import (
	"context"
	"log/slog"
	"time"

	"ticketgate/store"
)

// rechecker looks mails up again whose DNS look-up failed when they came. The
// store holds when each is due (after 1, 5, 30 minutes, 2 and 8 hours). Any
// number of nodes may do so at once: a second look-up of a mail finds the same.
type rechecker struct {
	db     *store.DB
	intake *intake
	every  time.Duration // dns.recheck: look up at least this often; 0: as planned
	now    func() time.Time
	log    *slog.Logger
}

const (
	recheckPause = 15 * time.Second
	recheckBatch = 100
	longestDelay = 8 * time.Hour
)

// run looks until ctx ends.
func (r *rechecker) run(ctx context.Context) {
	pause := recheckPause
	if r.every > 0 {
		pause = min(pause, r.every)
	}
	for wait(ctx, pause) {
		if err := r.round(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("looking up mails again", "err", err)
		}
	}
}

// round looks up what is due. With dns.recheck that is all that waits; such an
// early look-up that fails once more doesn't count as one of the five.
func (r *rechecker) round(ctx context.Context) error {
	now := r.now()
	horizon := now
	if r.every > 0 {
		horizon = now.Add(longestDelay)
	}
	var due []store.Recheck
	err := r.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		due, err = tx.DueRechecks(ctx, horizon, recheckBatch)
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range due {
		if err := r.again(ctx, d, !d.DueAt.After(now)); err != nil {
			return err
		}
	}
	return nil
}

// again looks up one mail; planned tells that a failure counts.
func (r *rechecker) again(ctx context.Context, d store.Recheck, planned bool) error {
	mail, err := r.intake.readKept(ctx, r.db, d.ID)
	if store.IsNotFound(err) {
		return r.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRecheck(ctx, d.ID) })
	}
	if err != nil {
		return err
	}
	if mail.Auth.Verdict == store.AuthError {
		r.intake.metrics.rechecks.WithLabelValues("failed").Inc()
		if !planned {
			return nil
		}
	} else {
		r.intake.metrics.rechecks.WithLabelValues("answered").Inc()
	}
	return r.intake.desk.Rechecked(ctx, d, mail.Incoming)
}

// wait pauses, and tells whether to go on.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
