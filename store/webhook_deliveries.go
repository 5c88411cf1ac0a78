package store

import (
	"context"
	"time"
)

// WebhookDelivery is one message to one webhook. Its ID is the webhook-id of the
// Standard Webhooks specification, the same at each attempt.
type WebhookDelivery struct {
	ID            string
	WebhookID     string
	Event         EventPosition // that it tells of; zero: of none
	Kind          string
	Ticket        int64  // 0: of no ticket
	Body          string // as it is sent, each time
	State         WebhookState
	Tries         int   // attempts since it began, or since it was last asked for again
	Fence         int64 // grows with each claim; an outcome with an older one is not written
	Attempts      []WebhookAttempt
	NextAttemptAt time.Time
	CreatedAt     time.Time
	EndedAt       time.Time // zero while it waits
}

// WebhookState is where a message to a webhook stands.
type WebhookState string

// The states of a message to a webhook.
const (
	WebhookWaiting   WebhookState = "waiting"   // until it is due, or while it is being sent
	WebhookDelivered WebhookState = "delivered" // answered with 2xx
	WebhookFailed    WebhookState = "failed"    // given up
)

// WebhookAttempt is one try of a message.
type WebhookAttempt struct {
	At           time.Time `json:"at"`
	Code         int       `json:"code"`            // HTTP status; 0: none came
	Milliseconds int64     `json:"milliseconds"`    // how long it took
	Error        string    `json:"error,omitempty"` // in a few words; "" for 2xx
}

// keepAttempts is how many attempts of one message are remembered, the newest.
const keepAttempts = 20

const webhookColumns = `id, webhook_id, event_tx, event_id, kind, ticket, body, state, tries, fence, attempts,
	next_attempt_at, created_at, ended_at`

func scanWebhookDelivery(r Rows, d *WebhookDelivery) error {
	return r.Scan(&d.ID, &d.WebhookID, &d.Event.Tx, &d.Event.ID, &d.Kind, &d.Ticket, &d.Body, (*string)(&d.State), &d.Tries,
		&d.Fence, doc(&d.Attempts), at(&d.NextAttemptAt), at(&d.CreatedAt), at(&d.EndedAt))
}

// AddWebhookDelivery adds a message.
func (tx *Tx) AddWebhookDelivery(ctx context.Context, d WebhookDelivery) error {
	return tx.queue(ctx, `INSERT INTO webhook_deliveries (`+webhookColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		d.ID, d.WebhookID, d.Event.Tx, d.Event.ID, d.Kind, d.Ticket, d.Body, string(d.State), d.Tries, d.Fence,
		toJSON(d.Attempts), us(d.NextAttemptAt), us(d.CreatedAt), us(d.EndedAt))
}

// WebhookDelivery gives a message of a webhook. In a transaction that writes it
// stays as it is until the transaction ends.
func (tx *Tx) WebhookDelivery(ctx context.Context, webhookID, id string) (WebhookDelivery, error) {
	sql := `SELECT ` + webhookColumns + ` FROM webhook_deliveries WHERE id = $1 AND webhook_id = $2`
	if tx.write {
		sql += tx.db.dialect.LockRow
	}
	return first(ctx, tx, "message of this webhook", scanWebhookDelivery, sql, id, webhookID)
}

// WebhookDeliveries lists the messages of a webhook, newest first; an empty
// state is any.
func (tx *Tx) WebhookDeliveries(ctx context.Context, webhookID string, state WebhookState, from string, limit int) ([]WebhookDelivery, string, error) {
	var w where
	w.add(`webhook_id = ?`, webhookID)
	if state != "" {
		w.add(`state = ?`, string(state))
	}
	if err := w.after(from, "webhook"); err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	rows, err := list(ctx, tx, scanWebhookDelivery, `SELECT `+webhookColumns+` FROM webhook_deliveries`+w.sql()+
		` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(d WebhookDelivery) cursor { return cursor{Sort: "webhook", ID: d.ID} })
	return rows, next, err
}

// patience is after how many failed tries a message no longer holds back what
// happened to its ticket later.
const patience = 5

// dueWebhook finds what may be sent to webhook $1 at time $2: of each ticket the
// oldest message first, and the next once that one arrived, or failed often
// enough to let it pass.
const dueWebhook = `d.webhook_id = $1 AND d.state = 'waiting' AND d.next_attempt_at <= $2
	AND NOT EXISTS (SELECT 1 FROM webhook_deliveries e WHERE e.webhook_id = d.webhook_id AND e.state = 'waiting'
		AND e.ticket = d.ticket AND e.ticket <> 0 AND e.tries < $3 AND (e.event_tx, e.event_id) < (d.event_tx, d.event_id))`

// WebhooksDue gives the ids of the active webhooks that something may be sent
// to now.
func (tx *Tx) WebhooksDue(ctx context.Context, now time.Time) ([]string, error) {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return nil, err
	}
	var due []string
	for i := range desk.Webhooks {
		w := &desk.Webhooks[i]
		if !w.Active {
			continue
		}
		h, err := tx.WebhookHealth(ctx, w.ID)
		if err != nil {
			return nil, err
		}
		if h.PausedUntil.After(now) {
			continue
		}
		n, err := tx.count(ctx, `SELECT 1 FROM webhook_deliveries d WHERE `+dueWebhook+` LIMIT 1`, w.ID, us(now), patience)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			due = append(due, w.ID)
		}
	}
	return due, nil
}

// pausingFailures is after how many failures in a row a receiver is left alone
// for a while, and then tried with one message.
const pausingFailures = 3

// ClaimWebhookDeliveries lets a worker send at most limit messages to a webhook
// until leaseUntil, and gives them in the order of their events. No two of them
// are of one ticket, and none is given to two workers. A receiver that keeps
// failing is given one message at a time, and none while it is left alone.
func (tx *Tx) ClaimWebhookDeliveries(ctx context.Context, webhookID string, now, leaseUntil time.Time, limit int) ([]WebhookDelivery, error) {
	h, err := tx.health(ctx, webhookID, tx.db.dialect.LockRow)
	if err != nil || h.PausedUntil.After(now) {
		return nil, err
	}
	if h.Failures >= pausingFailures {
		limit = 1
	}
	due, err := list(ctx, tx, scanWebhookDelivery, `SELECT `+webhookColumns+` FROM webhook_deliveries d WHERE `+dueWebhook+`
		ORDER BY d.event_tx, d.event_id, d.id LIMIT $4`, webhookID, us(now), patience, limit)
	if err != nil {
		return nil, err
	}
	due = onePerTicket(due)
	for i := range due {
		due[i].Fence++
		due[i].NextAttemptAt = leaseUntil
		err := tx.queue(ctx, `UPDATE webhook_deliveries SET fence = $2, next_attempt_at = $3 WHERE id = $1`,
			due[i].ID, due[i].Fence, us(leaseUntil))
		if err != nil {
			return nil, err
		}
	}
	return due, nil
}

// onePerTicket leaves out what would overtake an earlier one of the same list.
func onePerTicket(due []WebhookDelivery) []WebhookDelivery {
	seen := map[int64]bool{}
	kept := due[:0]
	for _, d := range due {
		if d.Ticket != 0 && seen[d.Ticket] {
			continue
		}
		seen[d.Ticket] = true
		kept = append(kept, d)
	}
	return kept
}

// WebhookOutcome is what became of an attempt.
type WebhookOutcome struct {
	Attempt   WebhookAttempt
	Delivered bool
	Next      time.Time // when it is tried again; zero, and not delivered: never
	Pause     time.Time // until when the receiver is left alone, should it keep failing
}

// FinishWebhookDelivery writes what came of a claim, and how the receiver is
// doing by it; ok is false, and nothing is written, when the claim is not the
// newest. The first success of a receiver that kept failing has all that waits
// for it tried at once.
func (tx *Tx) FinishWebhookDelivery(ctx context.Context, d WebhookDelivery, o WebhookOutcome) (h WebhookHealth, ok bool, err error) {
	// The receiver's row first, as in a claim, so that nobody waits in a ring.
	if h, err = tx.health(ctx, d.WebhookID, tx.db.dialect.LockRow); err != nil {
		return h, false, err
	}
	have, err := tx.WebhookDelivery(ctx, d.WebhookID, d.ID)
	if IsNotFound(err) || err == nil && (have.Fence != d.Fence || have.State != WebhookWaiting) {
		return h, false, nil
	}
	if err != nil {
		return h, false, err
	}
	if err := tx.writeWebhookDelivery(ctx, have.after(o)); err != nil {
		return h, false, err
	}
	recovered := o.Delivered && h.Failures >= pausingFailures
	h = h.after(o)
	if err := tx.putHealth(ctx, d.WebhookID, h); err != nil || !recovered {
		return h, true, err
	}
	_, err = tx.exec(ctx, `UPDATE webhook_deliveries SET next_attempt_at = $2
		WHERE webhook_id = $1 AND state = 'waiting' AND tries > 0 AND next_attempt_at > $2`, d.WebhookID, us(o.Attempt.At))
	return h, true, err
}

// after is a message after an attempt.
func (d WebhookDelivery) after(o WebhookOutcome) WebhookDelivery {
	d.Tries++
	d.Attempts = append(d.Attempts, o.Attempt)
	d.Attempts = d.Attempts[max(0, len(d.Attempts)-keepAttempts):]
	d.NextAttemptAt = o.Next
	switch {
	case o.Delivered:
		d.State, d.EndedAt = WebhookDelivered, o.Attempt.At
	case o.Next.IsZero():
		d.State, d.EndedAt = WebhookFailed, o.Attempt.At
	}
	return d
}

// after is how a receiver is doing after an attempt.
func (h WebhookHealth) after(o WebhookOutcome) WebhookHealth {
	if o.Delivered {
		return WebhookHealth{DeliveredAt: o.Attempt.At}
	}
	h.Failures++
	if h.FailingSince.IsZero() {
		h.FailingSince = o.Attempt.At
	}
	if h.Failures >= pausingFailures && h.PausedUntil.Before(o.Pause) {
		h.PausedUntil = o.Pause
	}
	return h
}

func (tx *Tx) writeWebhookDelivery(ctx context.Context, d WebhookDelivery) error {
	return tx.touched(ctx, "message of this webhook", `UPDATE webhook_deliveries SET state = $2, tries = $3, fence = $4,
		attempts = $5, next_attempt_at = $6, ended_at = $7 WHERE id = $1`,
		d.ID, string(d.State), d.Tries, d.Fence, toJSON(d.Attempts), us(d.NextAttemptAt), us(d.EndedAt))
}

// RetryWebhookDelivery has a message sent again from the start, whatever became
// of it, under the same id. The receiver is no longer left alone.
func (tx *Tx) RetryWebhookDelivery(ctx context.Context, webhookID, id string, now time.Time) (WebhookDelivery, error) {
	h, err := tx.health(ctx, webhookID, tx.db.dialect.LockRow)
	if err != nil {
		return WebhookDelivery{}, err
	}
	d, err := tx.WebhookDelivery(ctx, webhookID, id)
	if err != nil {
		return d, err
	}
	d.State, d.Tries, d.NextAttemptAt, d.EndedAt = WebhookWaiting, 0, now, time.Time{}
	d.Fence++ // an attempt that is under way counts for nothing
	if err := tx.writeWebhookDelivery(ctx, d); err != nil {
		return d, err
	}
	h.PausedUntil = time.Time{}
	tx.AfterCommit(tx.db.bell.ring)
	return d, tx.putHealth(ctx, webhookID, h)
}

// PruneWebhookDeliveries forgets messages that ended before, and those to
// webhooks that are off that were made before. It tells how many.
func (tx *Tx) PruneWebhookDeliveries(ctx context.Context, before time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM webhook_deliveries WHERE state <> 'waiting' AND ended_at < $1`, us(before))
	if err != nil {
		return 0, err
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return int(n), err
	}
	for _, w := range desk.Webhooks {
		if w.Active {
			continue
		}
		more, err := tx.exec(ctx, `DELETE FROM webhook_deliveries
			WHERE webhook_id = $1 AND state = 'waiting' AND created_at < $2`, w.ID, us(before))
		if n += more; err != nil {
			return int(n), err
		}
	}
	return int(n), nil
}
