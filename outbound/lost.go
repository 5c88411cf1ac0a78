package outbound

import (
	"context"
	"time"

	"ticketgate/store"
)

// endLeases makes unknown what a worker began and never finished: its process
// died, or is cut off from the store. What workers of this process have is
// theirs: they may know by now that it left. One that can't be ended keeps
// nobody else waiting.
func (s *Service) endLeases(ctx context.Context) error {
	passed := map[string]bool{}
	for {
		ended := s.leaseEnd()
		var rows []store.Delivery
		err := s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			rows, err = tx.ExpiredLeases(ctx, ended, reconcilePage+len(passed))
			return err
		})
		if err != nil {
			return err
		}
		before := len(passed)
		for _, row := range rows {
			if passed[row.ID] {
				continue
			}
			passed[row.ID] = true
			if s.flight.has(row.ID) {
				continue
			}
			if err := s.endLease(ctx, row.ID, ended); err != nil {
				if store.CodeOf(err) == store.CodeUnavailable || ctx.Err() != nil {
					return err
				}
				s.opt.Log.Error("a delivery that lost its worker can't be ended", "delivery_id", row.ID, "error", err)
			}
		}
		if len(passed) == before {
			return nil
		}
	}
}

// endLease ends one whose lease ended at or before ended.
func (s *Service) endLease(ctx context.Context, id string, ended time.Time) error {
	var d store.Delivery
	var ok bool
	err := s.unhooked(id, func(hooks bool) error {
		return s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			d, ok, err = tx.TakeOverDelivery(ctx, id, ended, s.opt.Now().Add(s.opt.Lease))
			if err != nil {
				return err
			}
			if !ok {
				return s.endBounced(ctx, tx, id, ended, hooks)
			}
			d, ok, err = s.settle(ctx, tx, d, s.lost(d), hooks)
			return err
		})
	})
	if err != nil || !ok || !d.State.Waiting() {
		return err
	}
	s.opt.Log.Warn("a delivery lost its worker; it is sent again", "delivery_id", id, "at", d.NextAttemptAt)
	if err := s.enter(ctx, []store.Due{d.Due()}, nil); err != nil {
		s.opt.Log.Warn("what lost its worker waits for the next comparison", "delivery_id", id, "error", err)
	}
	return nil
}

// lost is the outcome of a delivery that lost its worker. The first time that
// is the worker's misfortune, and it is sent again at once; after that it may
// be what kills them.
func (s *Service) lost(d store.Delivery) store.Outcome {
	now := s.opt.Now()
	o := store.Outcome{
		State: store.Unknown, Reason: reasonLost, NextAttemptAt: now,
		Attempt: &store.Attempt{At: now, Text: "the worker was lost while it was sending; it may have been sent"},
	}
	if d.Reason == reasonLost {
		o.NextAttemptAt = now.Add(s.backoff(d.Attempts - 1))
		s.giveUpOrGoOn(d, &o, now)
	}
	return o
}

// endBounced ends what nobody may send any more, because a bounce came for it
// while it was being sent.
func (s *Service) endBounced(ctx context.Context, tx *store.Tx, id string, ended time.Time, hooks bool) error {
	d, err := tx.Delivery(ctx, id)
	if err != nil || d.State != store.Sending || !d.Bounced || d.LeaseUntil.After(ended) {
		return err
	}
	_, _, err = s.settle(ctx, tx, d, store.Outcome{State: store.Failure}, hooks)
	return err
}

// settle finishes a claim of the same transaction, and calls the hooks.
func (s *Service) settle(ctx context.Context, tx *store.Tx, claimed store.Delivery, o store.Outcome, hooks bool) (store.Delivery, bool, error) {
	d, ok, err := tx.FinishDelivery(ctx, claimed.ID, claimed.Fence, o)
	if err != nil || !ok || !hooks {
		return d, ok, err
	}
	return d, true, s.tell(ctx, tx, &d, o)
}
