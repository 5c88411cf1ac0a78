package outbound

import (
	"context"
	"time"

	"github.com/google/uuid"

	"ticketgate/store"
)

// The pages that the ledger is read in.
const (
	reconcilePage = 500
	examineChunk  = 50
	pollPages     = 5
)

// reconcileLoop compares ledger and queue at the start, when asked, and every
// so often.
func (s *Service) reconcileLoop(ctx context.Context) {
	ticker := time.NewTicker(s.opt.Reconcile)
	defer ticker.Stop()
	s.advise(ctx)
	for s.full.Store(true); ; {
		full := s.full.Swap(false)
		if err := s.reconcile(ctx, full); err != nil && ctx.Err() == nil {
			s.full.CompareAndSwap(false, full) // what did not succeed is still to be done
			s.opt.Log.Error("comparing the ledger with the queue", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		case <-ticker.C:
		}
	}
}

// advise warns of settings that endanger the queue.
func (s *Service) advise(ctx context.Context) {
	if q, ok := s.opt.Queue.(interface{ advice(context.Context) string }); ok {
		if text := q.advice(ctx); text != "" {
			s.opt.Log.Warn(text)
		}
	}
}

// reconcile sees to it that each delivery that waits in the ledger has an entry
// in the queue, and that none is being sent by nobody. A full one also sets
// the due times of the entries that are there, which may be older than the
// ledger's after the queue was out of reach.
func (s *Service) reconcile(ctx context.Context, full bool) error {
	if err := s.endLeases(ctx); err != nil {
		return err
	}
	for after := ""; ; {
		var rows []store.Due
		var next string
		err := s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			rows, next, err = tx.DueDeliveries(ctx, after, reconcilePage)
			return err
		})
		if err != nil {
			return err
		}
		err = s.enter(ctx, rows, full)
		s.examine(ctx, rows)
		if err != nil {
			return err
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// enter puts rows into the queue: all of them, or those that are missing.
func (s *Service) enter(ctx context.Context, rows []store.Due, all bool) error {
	missing := rows
	if !all && len(rows) > 0 {
		ids := make([]string, len(rows))
		for i, row := range rows {
			ids[i] = row.DeliveryID
		}
		found, err := s.opt.Queue.Has(ctx, ids...)
		if err != nil {
			s.queueSays(err)
			return err
		}
		missing = nil
		for i, row := range rows {
			if !found[i] {
				missing = append(missing, row)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := s.opt.Queue.Put(ctx, missing...)
	s.queueSays(err)
	return err
}

// endLeases makes unknown what a worker began and never finished: its process
// died, or is cut off from the store.
func (s *Service) endLeases(ctx context.Context) error {
	for {
		now := s.opt.Now()
		var rows []store.Delivery
		err := s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			rows, err = tx.ExpiredLeases(ctx, now, reconcilePage)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if err := s.endLease(ctx, row.ID, now); err != nil {
				return err
			}
		}
	}
}

func (s *Service) endLease(ctx context.Context, id string, now time.Time) error {
	var due store.Due
	waits := false
	err := s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		waits = false
		d, _, ok, err := tx.ClaimDelivery(ctx, id, now, now.Add(s.opt.Lease))
		if err != nil {
			return err
		}
		if !ok {
			return s.endBounced(ctx, tx, id, now)
		}
		d, ok, err = s.settle(ctx, tx, d, store.Outcome{
			State: store.Unknown, Reason: "worker lost", NextAttemptAt: now,
			Attempt: &store.Attempt{At: now, Text: "the worker was lost while it was sending; it may have been sent"},
		})
		due, waits = d.Due(), ok && d.State.Waiting()
		return err
	})
	if err != nil || !waits {
		return err
	}
	s.opt.Log.Warn("a delivery lost its worker; it is sent again", "delivery_id", id)
	return s.enter(ctx, []store.Due{due}, true)
}

// endBounced ends what no worker may claim any more, because a bounce came for
// it while it was being sent.
func (s *Service) endBounced(ctx context.Context, tx *store.Tx, id string, now time.Time) error {
	d, err := tx.Delivery(ctx, id)
	if err != nil || d.State != store.Sending || !d.Bounced || d.LeaseUntil.After(now) {
		return err
	}
	_, _, err = s.settle(ctx, tx, d, store.Outcome{State: store.Failure})
	return err
}

// settle finishes a claim of the same transaction, and calls the hooks.
func (s *Service) settle(ctx context.Context, tx *store.Tx, claimed store.Delivery, o store.Outcome) (store.Delivery, bool, error) {
	d, ok, err := tx.FinishDelivery(ctx, claimed.ID, claimed.Fence, o)
	if err != nil || !ok {
		return d, false, err
	}
	return d, true, s.tell(ctx, tx, &d, o)
}

// examine looks at the deliveries that have waited for long, and while the
// smarthost is down at those that don't say yet why they wait.
func (s *Service) examine(ctx context.Context, rows []store.Due) {
	now, down := s.opt.Now(), s.route.isOpen()
	var ids []string
	for _, row := range rows {
		age := now.Sub(madeAt(row.DeliveryID))
		late := age >= s.opt.LateAfter && !s.examined["late "+row.DeliveryID]
		mute := down && row.Attempt == 0 && !s.examined["mute "+row.DeliveryID]
		if late || mute || down && age >= s.opt.MaxAge {
			ids = append(ids, row.DeliveryID)
		}
	}
	for len(ids) > 0 && ctx.Err() == nil {
		n := min(examineChunk, len(ids))
		s.examineChunk(ctx, ids[:n], down)
		ids = ids[n:]
	}
}

func (s *Service) examineChunk(ctx context.Context, ids []string, down bool) {
	var seen []string
	err := s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		seen = seen[:0]
		for _, id := range ids {
			d, err := tx.Delivery(ctx, id)
			if err == nil {
				err = s.tellLate(ctx, tx, &d)
			}
			if err == nil && down {
				err = s.explainWait(ctx, tx, &d)
			}
			if err != nil && !store.IsNotFound(err) {
				return err
			}
			if d.Warned {
				seen = append(seen, "late "+id)
			}
			if d.Reason != "" {
				seen = append(seen, "mute "+id)
			}
		}
		return nil
	})
	if err != nil {
		if ctx.Err() == nil {
			s.opt.Log.Error("looking at deliveries that wait", "error", err)
		}
		return
	}
	s.examined.add(seen)
}

// explainWait makes a delivery say that the smarthost is down, and ends one
// that has waited for MaxAge. It is no attempt.
func (s *Service) explainWait(ctx context.Context, tx *store.Tx, d *store.Delivery) error {
	now := s.opt.Now()
	untried := d.State == store.Queued && d.Attempts == 0
	expired := !now.Before(s.end(*d)) && (d.State != store.Queued || untried)
	if !d.State.Waiting() || !expired && !(untried && d.Reason == "") {
		return nil
	}
	claimed, _, ok, err := tx.ClaimDelivery(ctx, d.ID, now, now.Add(s.opt.Lease))
	if err != nil || !ok {
		return err
	}
	o := store.Outcome{State: store.Deferred, Reason: reasonUnreachable + ": " + s.route.lastError(), NextAttemptAt: now}
	if expired {
		o = store.Outcome{State: store.Failure, Reason: reasonExpired, Attempt: &store.Attempt{
			At: now, Enhanced: "4.4.7", Text: reasonUnreachable + ": " + s.route.lastError(),
		}}
	}
	*d, _, err = s.settle(ctx, tx, claimed, o)
	return err
}

// pollLoop looks for deliveries that another process, such as a command at the
// shell, made or changed: a queue inside this process hears of them only here.
func (s *Service) pollLoop(ctx context.Context) {
	since := s.opt.Now()
	for waitFor(ctx, nil, s.opt.Poll) == nil {
		begun := s.opt.Now()
		if err := s.poll(ctx, since.Add(-2*s.opt.Poll)); err == nil {
			since = begun
		}
	}
}

// poll enters what became queued after since.
func (s *Service) poll(ctx context.Context, since time.Time) error {
	filter := store.DeliveryFilter{State: store.Queued, Limit: 200}
	for range pollPages {
		var rows []store.Delivery
		err := s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			rows, filter.Cursor, err = tx.Deliveries(ctx, filter)
			return err
		})
		if err != nil {
			return err
		}
		var fresh, changed []store.Due
		for _, d := range rows {
			switch {
			case d.UpdatedAt.Before(since):
			case d.UpdatedAt.After(d.CreatedAt):
				changed = append(changed, d.Due())
			default:
				fresh = append(fresh, d.Due())
			}
		}
		if err := s.enter(ctx, fresh, false); err != nil {
			return err
		}
		if err := s.enter(ctx, changed, true); err != nil {
			return err
		}
		if filter.Cursor == "" {
			return nil
		}
	}
	return nil
}

// knownIDs remembers what need not be looked at again. It forgets everything
// when it gets large, which costs another look.
type knownIDs map[string]bool

func (k knownIDs) add(ids []string) {
	if len(k) > 200_000 {
		clear(k)
	}
	for _, id := range ids {
		k[id] = true
	}
}

// madeAt reads the time in a UUIDv7; the zero time, which is long ago, where
// the id is none.
func madeAt(id string) time.Time {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}
	}
	sec, nsec := u.Time().UnixTime()
	return time.Unix(sec, nsec)
}
