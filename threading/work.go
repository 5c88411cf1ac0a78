package threading

import (
	"context"
	"slices"
	"time"

	"ticketgate/store"
)

// work is one run of a transaction that changes tickets.
type work struct {
	s    *Service
	tx   *store.Tx
	desk *store.Desk
	now  time.Time
	due  []store.Due // ledger rows that were written
	made string      // the contact that was made of what the CRM said

	written  []occurrence        // entries of histories, for the rules to look at
	cause    []string            // ids of the rules that lead to what is written now
	answered map[answeredBy]bool // by rules, of what is looked at here
	timed    int                 // how many of them the clocks know of
	came     []store.Activity    // what was moved into tickets, for their clocks
}

func (s *Service) newWork(ctx context.Context, tx *store.Tx) (*work, error) {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return nil, err
	}
	return &work{s: s, tx: tx, desk: desk, now: s.now()}, nil
}

// done brings the clocks up to date, lets the rules look at what was written, and
// has the ledger rows queued once the transaction is committed.
func (w *work) done(ctx context.Context) error {
	for _, step := range []func(context.Context) error{w.keepTime, w.followUp, w.keepTime} { // rules turn clocks as well
		if err := step(ctx); err != nil {
			return err
		}
	}
	if w.s.opt.Queued == nil || len(w.due) == 0 {
		return nil
	}
	due := w.due
	w.tx.AfterCommit(func() { w.s.opt.Queued(context.WithoutCancel(ctx), due) })
	return nil
}

// do runs fn as one transaction.
func (s *Service) do(ctx context.Context, fn func(ctx context.Context, w *work) error) error {
	return s.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		w, err := s.newWork(ctx, tx)
		if err != nil {
			return err
		}
		if err := fn(ctx, w); err != nil {
			return err
		}
		return w.done(ctx)
	})
}

// twice runs a transaction once more that made a contact or a company in the
// same moment as another node: now it finds that one.
func twice(run func() error) error {
	err := run()
	if store.ReasonOf(err) == store.ReasonDuplicate {
		err = run()
	}
	return err
}

// hold locks tickets in the order of their numbers: whoever needs several takes
// them so first, and no two wait for each other. One that is not there is left out.
func (w *work) hold(ctx context.Context, numbers ...int64) error {
	slices.Sort(numbers)
	for _, number := range slices.Compact(numbers) {
		if _, err := w.tx.Ticket(ctx, number); hard(err) != nil {
			return err
		}
	}
	return nil
}

// setStatus gives a ticket a status and says what changed. An empty id, and
// the status that it has, change nothing.
func setStatus(desk *store.Desk, t *store.Ticket, id string, now time.Time) []store.Change {
	next := desk.Status(id)
	if next == nil || t.StatusID == id {
		return nil
	}
	from := ""
	if was := desk.Status(t.StatusID); was != nil {
		from = was.Name
	}
	t.StatusID, t.StatusAt = id, now
	switch {
	case !next.Closed:
		t.ClosedAt = time.Time{}
	case t.ClosedAt.IsZero():
		t.ClosedAt = now
	}
	return []store.Change{{Field: "status", From: from, To: next.Name}}
}

// usable gives an agent's id where he is active and sees a channel, else none:
// a default that has gone stale must not keep a ticket from being made.
func (w *work) usable(agentID, channelID string) string {
	if a := w.desk.Agent(agentID); a == nil || !a.Active || !w.desk.Sees(agentID, channelID) {
		return ""
	}
	return agentID
}

// history writes an activity and brings its ticket up to date.
func (w *work) history(ctx context.Context, t *store.Ticket, a *store.Activity) error {
	if err := w.tx.InsertActivity(ctx, a); err != nil {
		return err
	}
	t.Activities, t.UpdatedAt = a.Seq, w.now
	w.occurred(*a)
	return w.tx.UpdateTicket(ctx, *t)
}
