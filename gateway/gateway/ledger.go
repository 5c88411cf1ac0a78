package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ticketgate/outbound"
	"ticketgate/store"
)

// Ledger is outgoing mail as a person at a shell sees it: the record in the
// store, beside the queue where that can be reached.
type Ledger struct {
	core  *Core
	queue outbound.Queue // nil: it is inside the daemon
}

// OpenLedger opens the queue beside the store, if it is one that commands can
// reach.
func OpenLedger(c *Core) (*Ledger, error) {
	l := &Ledger{core: c}
	if url := c.Config.RedisURL.Reveal(); url != "embedded" {
		var err error
		if l.queue, err = outbound.OpenQueue(url, slog.New(slog.DiscardHandler)); err != nil {
			return nil, fmt.Errorf("redis.url: %w", err)
		}
	}
	return l, nil
}

// Close gives the queue back.
func (l *Ledger) Close() {
	if l.queue != nil {
		_ = l.queue.Close() // the entries stay in Redis
	}
}

// notLeft are the states of what has not left yet.
var notLeft = []store.DeliveryState{store.Sending, store.Queued, store.Deferred, store.Unknown, store.Held}

// List gives the deliveries in a state, or for "" all that have not left yet,
// state by state, newest first.
func (l *Ledger) List(ctx context.Context, state store.DeliveryState) ([]store.Delivery, error) {
	states := notLeft
	if state != "" {
		states = []store.DeliveryState{state}
	}
	var all []store.Delivery
	err := l.core.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		all = nil
		for _, s := range states {
			for cursor := ""; ; {
				page, next, err := tx.Deliveries(ctx, store.DeliveryFilter{State: s, Cursor: cursor, Limit: 200})
				if err != nil {
					return err
				}
				all = append(all, page...)
				if next == "" {
					break
				}
				cursor = next
			}
		}
		return nil
	})
	return all, err
}

// Summary tells how many there are, and where the waiting ones stand.
func (l *Ledger) Summary(ctx context.Context, rows []store.Delivery) string {
	var ids []string
	for _, d := range rows {
		if d.State.Waiting() || d.State == store.Sending {
			ids = append(ids, d.ID)
		}
	}
	text := fmt.Sprintf("%d in the ledger, %d of them waiting", len(rows), len(ids))
	if l.queue == nil {
		return text + " (the queue is inside the daemon)"
	}
	there, err := l.queue.Has(ctx, ids...)
	if err != nil {
		return text + " (Redis does not answer)"
	}
	queued := 0
	for _, ok := range there {
		if ok {
			queued++
		}
	}
	return fmt.Sprintf("%s: %d in Redis, %d in the ledger only", text, queued, len(ids)-queued)
}

// Change does one of store's Action words to a delivery. A queue that commands
// can reach knows it at once; else, or should that fail, a daemon takes it up
// within about a second.
func (l *Ledger) Change(ctx context.Context, id, action string, now time.Time) (d store.Delivery, err error) {
	err = l.core.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err = tx.ChangeDelivery(ctx, id, action, now)
		return err
	})
	switch {
	case err != nil || l.queue == nil:
	case d.State.Waiting():
		_ = l.queue.Put(ctx, d.Due()) // what does not get there, the daemon finds in the ledger
	default:
		_ = l.queue.Remove(ctx, id) // a claim of what stays would be refused by the ledger
	}
	return d, err
}

// LedgerRow is a delivery as the API shows it; attempts may be nil.
func LedgerRow(d store.Delivery, attempts []store.Attempt) any {
	row := struct {
		ID            string              `json:"id"`
		ActivityID    string              `json:"activity_id"`
		Ticket        int64               `json:"ticket"`
		Kind          store.MailKind      `json:"kind"`
		Recipient     string              `json:"recipient"`
		State         store.DeliveryState `json:"state"`
		Reason        string              `json:"reason"`
		Attempts      []store.Attempt     `json:"attempts,omitempty"`
		LastCode      int                 `json:"last_code"`
		LastText      string              `json:"last_text"`
		NextAttemptAt *time.Time          `json:"next_attempt_at"`
		MessageID     string              `json:"message_id"`
		CreatedAt     time.Time           `json:"created_at"`
	}{
		ID: d.ID, ActivityID: d.ActivityID, Ticket: d.Ticket, Kind: d.Kind, Recipient: d.Recipient, State: d.State,
		Reason: d.Reason, Attempts: attempts, LastCode: d.LastCode, LastText: d.LastText,
		MessageID: d.MessageID, CreatedAt: d.CreatedAt.UTC(),
	}
	if d.State.Waiting() && !d.NextAttemptAt.IsZero() {
		next := d.NextAttemptAt.UTC()
		row.NextAttemptAt = &next
	}
	return row
}
