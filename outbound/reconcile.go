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
