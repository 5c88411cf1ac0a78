package store

import (
	"context"
	"time"
)

// AddMail adds an outgoing mail and a delivery for each recipient. Where the
// ticket is internal, a recipient who is no active agent is CodeForbidden: the
// ledger is the last place that a mail passes, so it holds the seal itself.
func (tx *Tx) AddMail(ctx context.Context, m Mail, deliveries []Delivery) error {
	if err := tx.sealed(ctx, m, deliveries); err != nil {
		return err
	}
	err := tx.queue(ctx, `INSERT INTO mails (id, kind, account_id, activity_id, ticket, created_at, content)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		m.ID, string(m.Kind), m.AccountID, m.ActivityID, m.Ticket, us(m.CreatedAt), toJSON(m.MailContent))
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		err := tx.queue(ctx, `INSERT INTO deliveries (`+deliveryColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
			$22, $23, $24)`,
			d.ID, m.ID, string(m.Kind), m.ActivityID, m.Ticket, d.AccountID, d.Recipient, d.RecipientKey, d.Domain,
			d.ReturnPath, d.MessageID, string(d.State), d.Reason, d.Attempts, d.Fence, us(d.LeaseUntil),
			us(d.NextAttemptAt), d.Warned, d.Bounced, us(d.CreatedAt), us(d.UpdatedAt), d.LastCode, d.LastText,
			us(d.RetriedAt))
		if err != nil {
			return err
		}
	}
	return nil
}

// sealed refuses a mail about an internal ticket to anybody outside.
func (tx *Tx) sealed(ctx context.Context, m Mail, deliveries []Delivery) error {
	if m.Ticket == 0 {
		return nil
	}
	var kind string
	err := tx.query(ctx, func(r Rows) error { return r.Scan(&kind) },
		`SELECT kind FROM tickets WHERE number = $1`, m.Ticket)
	if err != nil || TicketKind(kind) != KindInternal {
		return err
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		if a := desk.AgentByKey(d.RecipientKey); a == nil || !a.Active {
			return Errorf(CodeForbidden, "an internal ticket sends nothing to anybody outside")
		}
	}
	return nil
}

// ClaimDelivery lets a worker send a delivery until leaseUntil, and gives what
// it sends. It is granted where the delivery waits and is due; else ok is
// false. The delivery's Fence then names this claim. One that is not there is
// not granted.
func (tx *Tx) ClaimDelivery(ctx context.Context, id string, now, leaseUntil time.Time) (d Delivery, m Mail, ok bool, err error) {
	if err := tx.ready(true, nil); err != nil {
		return d, m, false, err
	}
	rows, err := list(ctx, tx, scanDelivery, `UPDATE deliveries SET state = 'sending', fence = fence + 1,
		lease_until = $3, updated_at = $2
		WHERE id = $1 AND NOT bounced AND state IN ('queued', 'deferred', 'unknown') AND next_attempt_at <= $2
		RETURNING `+deliveryColumns, id, us(now), us(leaseUntil))
	if err != nil || len(rows) == 0 {
		return d, m, false, err
	}
	m, err = tx.Mail(ctx, rows[0].MailID)
	return rows[0], m, err == nil, err
}

// TakeOverDelivery takes a delivery from a worker whose lease ended at or
// before ended, so that it can be finished in the worker's stead; ok is false
// where there is none. The Fence is one higher than the worker's, whose outcome
// is refused from then on, but for the exception of FinishDelivery.
func (tx *Tx) TakeOverDelivery(ctx context.Context, id string, ended, leaseUntil time.Time) (d Delivery, ok bool, err error) {
	if err := tx.ready(true, nil); err != nil {
		return d, false, err
	}
	rows, err := list(ctx, tx, scanDelivery, `UPDATE deliveries SET fence = fence + 1, lease_until = $3
		WHERE id = $1 AND NOT bounced AND state = 'sending' AND lease_until <= $2
		RETURNING `+deliveryColumns, id, us(ended), us(leaseUntil))
	if err != nil || len(rows) == 0 {
		return d, false, err
	}
	return rows[0], true, nil
}

// ExtendLease lets the worker of a claim go on until leaseUntil; false when
// the claim is not its any more.
func (tx *Tx) ExtendLease(ctx context.Context, id string, fence int64, leaseUntil time.Time) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE deliveries SET lease_until = $3
		WHERE id = $1 AND fence = $2 AND state = 'sending'`, id, fence, us(leaseUntil))
	return n > 0, err
}

// FinishDelivery writes what came of a claim; ok is false, and nothing is
// written, when the claim is not the newest or the delivery is not being sent
// any more. A delivery that bounced meanwhile is failed, whatever o says.
//
// One exception: sent is true however late it comes, so it is taken from a
// worker that was given up for lost, while the delivery is unknown and nobody
// has begun to send it again.
func (tx *Tx) FinishDelivery(ctx context.Context, id string, fence int64, o Outcome) (d Delivery, ok bool, err error) {
	d, err = tx.lockDelivery(ctx, id)
	if err != nil || !d.finishes(fence, o) {
		return d, false, err
	}
	d.State, d.LeaseUntil, d.UpdatedAt = o.State, time.Time{}, tx.db.opt.Now()
	if o.Reason != "" || !o.State.Waiting() {
		d.Reason = o.Reason
	}
	if o.State.Waiting() {
		d.NextAttemptAt = o.NextAttemptAt
	}
	if d.Bounced {
		d.State, d.Reason = Failure, reasonBounced
	}
	if o.Attempt != nil {
		d.Attempts++
		if !d.Bounced {
			d.LastCode, d.LastText = o.Attempt.Code, o.Attempt.Text
		}
		if err := tx.addAttempt(ctx, id, *o.Attempt); err != nil {
			return d, false, err
		}
	}
	if err := tx.writeDelivery(ctx, d); err != nil {
		return d, true, err
	}
	return d, true, tx.tellDelivery(ctx, d)
}

// tellDelivery writes the event of a delivery that came to another state. That
// it is being sent is not told, nor what becomes of notifications: an activity's
// own state doesn't count them either.
func (tx *Tx) tellDelivery(ctx context.Context, d Delivery) error {
	if d.Ticket == 0 || d.Kind == MailNotification {
		return nil
	}
	return tx.AddEvent(ctx, Event{
		Kind: EventDeliveryChanged, Ticket: d.Ticket, ActivityID: d.ActivityID, At: d.UpdatedAt,
		Data: EventData{DeliveryID: d.ID, State: d.State},
	})
}

// finishes tells whether the holder of fence may write o. Taking a delivery
// over counts the fence up by one, and sending it again by one more.
func (d Delivery) finishes(fence int64, o Outcome) bool {
	if d.State == Sending {
		return d.Fence == fence
	}
	return o.State == Sent && d.State == Unknown && (d.Fence == fence || d.Fence == fence+1)
}

// reasonBounced is the Reason of a delivery that a bounce came for.
const reasonBounced = "bounced"

// addAttempt appends to the history of a delivery that is locked.
func (tx *Tx) addAttempt(ctx context.Context, id string, a Attempt) error {
	_, err := tx.exec(ctx, `INSERT INTO attempts (delivery_id, n, at, host, code, enhanced, text)
		SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3, $4, $5, $6 FROM attempts WHERE delivery_id = $1`,
		id, us(a.At), a.Host, a.Code, a.Enhanced, a.Text)
	return err
}

// writeDelivery writes what changes in the life of a delivery.
func (tx *Tx) writeDelivery(ctx context.Context, d Delivery) error {
	_, err := tx.exec(ctx, `UPDATE deliveries SET state = $2, reason = $3, attempts = $4, lease_until = $5,
		next_attempt_at = $6, warned = $7, bounced = $8, updated_at = $9, last_code = $10, last_text = $11,
		retried_at = $12 WHERE id = $1`,
		d.ID, string(d.State), d.Reason, d.Attempts, us(d.LeaseUntil), us(d.NextAttemptAt), d.Warned, d.Bounced,
		us(d.UpdatedAt), d.LastCode, d.LastText, us(d.RetriedAt))
	return err
}

// What ChangeDelivery does.
const (
	ActionRetry   = "retry"   // failed, deferred, unknown -> queued, due now; queued is due now as well
	ActionHold    = "hold"    // queued, deferred, unknown -> held
	ActionRelease = "release" // held -> queued, due now, or when it was written to leave
	ActionCancel  = "cancel"  // queued, deferred, unknown, held -> cancelled
)

// ChangeDelivery does what a person wants with a delivery, one of the Action
// words. A state that does not allow it is CodeConflict, another word
// CodeInvalid.
func (tx *Tx) ChangeDelivery(ctx context.Context, id, action string, now time.Time) (Delivery, error) {
	d, err := tx.lockDelivery(ctx, id)
	if err != nil {
		return d, err
	}
	var allowed bool
	from := d.State
	switch action {
	case ActionRetry:
		allowed = from.Waiting() || from == Failure
		d.State, d.Reason, d.Bounced, d.NextAttemptAt, d.RetriedAt = Queued, "", false, now, now
	case ActionHold:
		allowed = from.Waiting()
		d.State, d.Reason = Held, "by hand"
	case ActionRelease:
		allowed = from == Held
		due := now
		if d.Attempts == 0 && d.CreatedAt.After(now) { // written to leave then
			due = d.CreatedAt
		}
		d.State, d.Reason, d.NextAttemptAt, d.RetriedAt = Queued, "", due, due
	case ActionCancel:
		allowed = from.Waiting() || from == Held
		d.State, d.Reason = Cancelled, "by hand"
	default:
		return d, Invalid("action", "is none that a delivery knows")
	}
	if !allowed {
		return d, Errorf(CodeConflict, "a delivery that is %s does not allow %s", from, action)
	}
	d.UpdatedAt = now
	return d, tx.moveDelivery(ctx, from, d)
}

// moveDelivery writes a delivery, and tells of it where it stood elsewhere before.
func (tx *Tx) moveDelivery(ctx context.Context, from DeliveryState, d Delivery) error {
	err := tx.writeDelivery(ctx, d)
	if err != nil || d.State == from {
		return err
	}
	return tx.tellDelivery(ctx, d)
}

// BounceDelivery notes a bounce. A permanent one fails the delivery, whatever
// is known of it by then; while it is being sent, as soon as that ends. One
// that is not permanent only stands among the attempts.
func (tx *Tx) BounceDelivery(ctx context.Context, id string, code int, enhanced, text string, permanent bool) (Delivery, error) {
	d, err := tx.lockDelivery(ctx, id)
	if err != nil {
		return d, err
	}
	now := tx.db.opt.Now()
	err = tx.addAttempt(ctx, id, Attempt{At: now, Code: code, Enhanced: enhanced, Text: text})
	if err != nil {
		return d, err
	}
	from := d.State
	d.LastCode, d.LastText, d.UpdatedAt = code, text, now
	if permanent {
		d.Bounced = true
		if d.State != Sending {
			d.State, d.Reason = Failure, reasonBounced
		}
	}
	return d, tx.moveDelivery(ctx, from, d)
}

// ExplainWait makes queued deliveries that say nothing deferred, with a reason
// why they wait. It is no attempt, and the others of ids stay as they are.
func (tx *Tx) ExplainWait(ctx context.Context, reason string, now time.Time, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := tx.ready(true, nil); err != nil {
		return err
	}
	waiting, err := list(ctx, tx, scanDelivery, `UPDATE deliveries SET state = 'deferred', reason = $2, updated_at = $3
		WHERE `+tx.db.dialect.In("id", "$1")+` AND state = 'queued' AND reason = '' RETURNING `+deliveryColumns,
		tx.db.dialect.Strings(ids), reason, us(now))
	if err != nil {
		return err
	}
	for _, d := range waiting {
		if err := tx.tellDelivery(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// WarnDelivery notes that the ticket was told that a delivery takes long.
func (tx *Tx) WarnDelivery(ctx context.Context, id string) error {
	return tx.touched(ctx, "delivery", `UPDATE deliveries SET warned = $2 WHERE id = $1`, id, true)
}
