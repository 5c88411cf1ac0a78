package outbound

import (
	"context"
	"time"

	"ticketgate/store"
)

const (
	pollPage = 200             // how much of the ledger is read at a time
	pollLate = 5 * time.Second // how late a change may be committed after the time it carries
)

// pollLoop looks for deliveries that another process, such as a command at the
// shell, made or changed: a queue inside this process hears of them only here.
func (s *Service) pollLoop(ctx context.Context) {
	since, known := s.opt.Now(), map[string]time.Time{}
	for waitFor(ctx, nil, s.opt.Poll) == nil {
		begun := s.opt.Now()
		found, err := s.poll(ctx, since.Add(-pollLate-s.opt.Grace), known)
		if err == nil {
			since, known = begun, found
		}
	}
}

// poll enters what became queued since then, but for what is known, and gives
// all of it with the times of those changes.
func (s *Service) poll(ctx context.Context, since time.Time, known map[string]time.Time) (found map[string]time.Time, err error) {
	found = map[string]time.Time{}
	for after := ""; ; {
		var rows []store.Delivery
		err := s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			rows, err = tx.QueuedSince(ctx, since, after, pollPage)
			return err
		})
		if err != nil {
			return nil, err
		}
		var fresh, changed []store.Due
		for _, d := range rows {
			found[d.ID] = d.UpdatedAt
			switch {
			case known[d.ID].Equal(d.UpdatedAt):
			case d.UpdatedAt.After(d.CreatedAt):
				changed = append(changed, d.Due())
			default:
				fresh = append(fresh, d.Due())
			}
		}
		if err := s.enter(ctx, changed, nil); err != nil {
			return nil, err
		}
		if err := s.enter(ctx, fresh, func(store.Due) bool { return false }); err != nil {
			return nil, err
		}
		if len(rows) < pollPage {
			return found, nil
		}
		last := rows[len(rows)-1]
		since, after = last.UpdatedAt, last.ID
	}
}
