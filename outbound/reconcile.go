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
		again := s.overdue(ctx)
		if full {
			again = nil
		}
		err = s.enter(ctx, rows, again)
		s.examine(ctx, rows)
		if err != nil {
			return err
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// enter puts rows into the queue: those that are missing there, and those that
// again wants; nil wants all.
func (s *Service) enter(ctx context.Context, rows []store.Due, again func(store.Due) bool) error {
	if len(rows) == 0 {
		return nil
	}
	wanted := rows
	if again != nil {
		ids := make([]string, len(rows))
		for i, row := range rows {
			ids[i] = row.DeliveryID
		}
		found, err := s.opt.Queue.Has(ctx, ids...)
		if err != nil {
			s.queueSays(err)
			return err
		}
		wanted = nil
		for i, row := range rows {
			if !found[i] || again(row) {
				wanted = append(wanted, row)
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	err := s.opt.Queue.Put(ctx, wanted...)
	s.queueSays(err)
	return err
}

// overdue finds the rows that are due by the ledger, whose entries may still
// say later if news of a retry got lost. Entries of an account with a limit say
// later on purpose.
func (s *Service) overdue(ctx context.Context) func(store.Due) bool {
	now := s.opt.Now()
	return func(row store.Due) bool {
		if row.DueAt.After(now) {
			return false
		}
		account := s.account(ctx, row.AccountID)
		return account == nil || account.MessagesPerMinute <= 0
	}
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
