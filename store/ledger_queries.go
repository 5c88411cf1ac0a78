package store

import (
	"context"
	"time"
)

const deliveryColumns = `id, mail_id, kind, activity_id, ticket, account_id, recipient, recipient_key, domain,
	return_path, message_id, state, reason, attempts, fence, lease_until, next_attempt_at, warned, bounced,
	created_at, updated_at, last_code, last_text, retried_at`

// waitingStates is the condition that a delivery has an entry in the queue,
// word for word as the index has it.
const waitingStates = `state IN ('queued', 'deferred', 'unknown')`

// unfinished is the condition of the index by state: what most rows are not.
// SQLite uses such an index only where the query says the same words.
const unfinished = `state NOT IN ('sent', 'cancelled')`

func scanDelivery(r Rows, d *Delivery) error {
	return r.Scan(&d.ID, &d.MailID, (*string)(&d.Kind), &d.ActivityID, &d.Ticket, &d.AccountID, &d.Recipient,
		&d.RecipientKey, &d.Domain, &d.ReturnPath, &d.MessageID, (*string)(&d.State), &d.Reason, &d.Attempts, &d.Fence,
		at(&d.LeaseUntil), at(&d.NextAttemptAt), &d.Warned, &d.Bounced, at(&d.CreatedAt), at(&d.UpdatedAt),
		&d.LastCode, &d.LastText, at(&d.RetriedAt))
}

func scanMail(r Rows, m *Mail) error {
	return r.Scan(&m.ID, (*string)(&m.Kind), &m.AccountID, &m.ActivityID, &m.Ticket, at(&m.CreatedAt), doc(&m.MailContent))
}

// Mail gives an outgoing mail.
func (tx *Tx) Mail(ctx context.Context, id string) (Mail, error) {
	return first(ctx, tx, "mail", scanMail,
		`SELECT id, kind, account_id, activity_id, ticket, created_at, content FROM mails WHERE id = $1`, id)
}

// Delivery gives a row of the ledger.
func (tx *Tx) Delivery(ctx context.Context, id string) (Delivery, error) {
	return first(ctx, tx, "delivery", scanDelivery, `SELECT `+deliveryColumns+` FROM deliveries WHERE id = $1`, id)
}

// lockDelivery gives a row that stays as it is until the transaction ends.
func (tx *Tx) lockDelivery(ctx context.Context, id string) (Delivery, error) {
	return first(ctx, tx, "delivery", scanDelivery,
		`SELECT `+deliveryColumns+` FROM deliveries WHERE id = $1`+tx.db.dialect.LockRow, id)
}

// Attempts gives the tries of deliveries, by delivery id, oldest first.
func (tx *Tx) Attempts(ctx context.Context, deliveryIDs ...string) (map[string][]Attempt, error) {
	all := map[string][]Attempt{}
	if len(deliveryIDs) == 0 {
		return all, nil
	}
	err := tx.query(ctx, func(r Rows) error {
		var id string
		var a Attempt
		err := r.Scan(&id, at(&a.At), &a.Host, &a.Code, &a.Enhanced, &a.Text)
		all[id] = append(all[id], a)
		return err
	}, `SELECT delivery_id, at, host, code, enhanced, text FROM attempts
		WHERE `+tx.db.dialect.In("delivery_id", "$1")+` ORDER BY delivery_id, n`, tx.db.dialect.Strings(deliveryIDs))
	return all, err
}

// DeliveryFilter chooses rows of the ledger; empty fields don't.
type DeliveryFilter struct {
	State      DeliveryState
	ActivityID string
	Ticket     int64
	Kind       MailKind
	VisibleTo  string // an agent's id: only those of tickets that he may see
	Cursor     string
	Limit      int // 1 to 200; 0: 50
}

// Deliveries lists the ledger, newest first.
func (tx *Tx) Deliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, string, error) {
	var w where
	if f.State != "" {
		w.add(`state = ?`, string(f.State))
		if f.State != Sent && f.State != Cancelled {
			w.add(unfinished)
		}
	}
	if f.ActivityID != "" {
		w.add(`activity_id = ?`, f.ActivityID)
	}
	if f.Ticket != 0 {
		w.add(`ticket = ?`, f.Ticket)
	}
	if f.Kind != "" {
		w.add(`kind = ?`, string(f.Kind))
	}
	if err := tx.onlyVisibleDeliveries(ctx, &w, f.VisibleTo); err != nil {
		return nil, "", err
	}
	if err := w.after(f.Cursor, "deliveries"); err != nil {
		return nil, "", err
	}
	limit := pageSize(f.Limit)
	rows, err := list(ctx, tx, scanDelivery,
		`SELECT `+deliveryColumns+` FROM deliveries`+w.sql()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(d Delivery) cursor { return cursor{Sort: "deliveries", ID: d.ID} })
	return rows, next, err
}

func (tx *Tx) onlyVisibleDeliveries(ctx context.Context, w *where, agentID string) error {
	if agentID == "" {
		return nil
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return err
	}
	if a := desk.Agent(agentID); a == nil || a.Role != RoleAdmin {
		w.add(`EXISTS (SELECT 1 FROM tickets t WHERE t.number = deliveries.ticket AND ` +
			w.among(tx, "t.channel_id", desk.VisibleChannels(agentID)) + `)`)
	}
	return nil
}

// gravity says which of two states of one activity's deliveries counts.
func gravity(s DeliveryState) int {
	switch s {
	case Failure:
		return 8
	case Unknown:
		return 7
	case Held:
		return 6
	case Deferred:
		return 5
	case Sending:
		return 4
	case Queued:
		return 3
	case Cancelled:
		return 2
	}
	return 1
}

// DeliveryStates gives the worst state of each activity's own deliveries, by
// activity id; notifications that tell of it don't count. An activity without
// any is not in the map.
func (tx *Tx) DeliveryStates(ctx context.Context, activityIDs ...string) (map[string]DeliveryState, error) {
	all := map[string]DeliveryState{}
	if len(activityIDs) == 0 {
		return all, nil
	}
	err := tx.query(ctx, func(r Rows) error {
		var id, state string
		err := r.Scan(&id, &state)
		if s := DeliveryState(state); all[id] == "" || gravity(s) > gravity(all[id]) {
			all[id] = s
		}
		return err
	}, `SELECT activity_id, state FROM deliveries
		WHERE `+tx.db.dialect.In("activity_id", "$1")+` AND kind <> 'notification'`, tx.db.dialect.Strings(activityIDs))
	return all, err
}

// DueDeliveries gives what the queue should hold: every delivery that waits,
// whenever it is due, by id. It goes on after the given id, "" is the
// beginning; next is "" at the end. Priority is 2 for an answer, 1 for an
// acknowledgement or a rule's answer and 0 for a notification.
func (tx *Tx) DueDeliveries(ctx context.Context, after string, limit int) (rows []Due, next string, err error) {
	rows, err = list(ctx, tx, func(r Rows, d *Due) error {
		var kind string
		err := r.Scan(&d.DeliveryID, &d.Ticket, &d.AccountID, &d.Domain, &kind, &d.Attempt, at(&d.DueAt))
		d.Priority = MailKind(kind).priority()
		return err
	}, `SELECT id, ticket, account_id, domain, kind, attempts, next_attempt_at FROM deliveries
		WHERE `+waitingStates+` AND id > $1 ORDER BY id LIMIT $2`, after, limit)
	if len(rows) == limit && limit > 0 {
		next = rows[limit-1].DeliveryID
	}
	return rows, next, err
}

// QueuedSince gives deliveries that became queued at since or later and still
// are, in that order: new ones, and what somebody retried or released. The next
// page begins behind the last row's UpdatedAt and ID; "" is the beginning.
func (tx *Tx) QueuedSince(ctx context.Context, since time.Time, after string, limit int) ([]Delivery, error) {
	return list(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+` FROM deliveries
		WHERE state = 'queued' AND (updated_at, id) > ($1, $2) ORDER BY updated_at, id LIMIT $3`, us(since), after, limit)
}

// Due is the delivery's entry in the queue.
func (d Delivery) Due() Due {
	return Due{DeliveryID: d.ID, Ticket: d.Ticket, AccountID: d.AccountID, Domain: d.Domain,
		Priority: d.Kind.priority(), Attempt: d.Attempts, DueAt: d.NextAttemptAt}
}

func (k MailKind) priority() int {
	switch k {
	case MailAnswer:
		return 2
	case MailAck, MailTemplate:
		return 1
	}
	return 0
}

// ExpiredLeases gives deliveries that are being sent by a worker whose lease
// has ended, the longest ended first.
func (tx *Tx) ExpiredLeases(ctx context.Context, now time.Time, limit int) ([]Delivery, error) {
	return list(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+` FROM deliveries
		WHERE state = 'sending' AND `+unfinished+` AND lease_until <= $1 ORDER BY lease_until, id LIMIT $2`, us(now), limit)
}

// LedgerCounts tells how many deliveries stand in each state but sent and
// cancelled, and since when the oldest of those that wait does; a zero time
// where none waits.
func (tx *Tx) LedgerCounts(ctx context.Context) (map[DeliveryState]int, time.Time, error) {
	counts := map[DeliveryState]int{}
	err := tx.query(ctx, func(r Rows) error {
		var state string
		var n int
		err := r.Scan(&state, &n)
		counts[DeliveryState(state)] = n
		return err
	}, `SELECT state, COUNT(*) FROM deliveries WHERE `+unfinished+` GROUP BY state`)
	if err != nil {
		return nil, time.Time{}, err
	}
	oldest, err := tx.count(ctx, `SELECT COALESCE(MIN(created_at), 0) FROM deliveries WHERE `+waitingStates)
	return counts, ofUS(oldest), err
}

// CountAutomatic counts the deliveries of these kinds made since a time, to
// one address or, for "", to all; cancelled ones don't count.
func (tx *Tx) CountAutomatic(ctx context.Context, recipientKey string, kinds []MailKind, since time.Time) (int, error) {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	where := `kind <> 'answer' AND ` + tx.db.dialect.In("kind", "$1") + ` AND created_at >= $2 AND state <> 'cancelled'`
	args := []any{tx.db.dialect.Strings(names), us(since)}
	if recipientKey != "" {
		where += ` AND recipient_key = $3`
		args = append(args, recipientKey)
	}
	n, err := tx.count(ctx, `SELECT COUNT(*) FROM deliveries WHERE `+where, args...)
	return int(n), err
}
