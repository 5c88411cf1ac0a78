package store

import (
	"context"
	"slices"
)

const ticketColumns = `number, id, kind, subject, channel_id, status_id, priority, marker_id, contact_id, company_id,
	owner_id, responsible_id, created_by, account_id, merged_into, suggested_ticket, tags, activities, files, version,
	created_at, updated_at, last_incoming_at, last_outgoing_at, closed_at, status_at`

const ticketRow = ticketColumns + `, respond_by`

// ranks are the priorities by the number that they are kept as.
func ranks() []Priority { return []Priority{PriorityLow, PriorityNormal, PriorityHigh, PriorityUrgent} }

// rank is how a priority is kept, so that the database can sort by it. One
// that doesn't exist counts as normal.
func rank(p Priority) int {
	if i := slices.Index(ranks(), p); i >= 0 {
		return i
	}
	return 1
}

func scanTicket(r Rows, t *Ticket) error {
	var priority int
	err := r.Scan(&t.Number, &t.ID, (*string)(&t.Kind), &t.Subject, &t.ChannelID, &t.StatusID, &priority,
		&t.MarkerID, &t.ContactID, &t.CompanyID, &t.OwnerID, &t.ResponsibleID, &t.CreatedBy, &t.AccountID,
		&t.MergedInto, &t.SuggestedTicket, doc(&t.Tags), &t.Activities, &t.Files, &t.Version,
		at(&t.CreatedAt), at(&t.UpdatedAt), at(&t.LastIncomingAt), at(&t.LastOutgoingAt), at(&t.ClosedAt),
		at(&t.StatusAt), answerColumn{&t.RespondBy})
	if all := ranks(); priority >= 0 && priority < len(all) {
		t.Priority = all[priority]
	}
	return err
}

// NextNumber draws a ticket number; the first is 10001. A transaction that is
// undone may leave a gap.
func (tx *Tx) NextNumber(ctx context.Context) (int64, error) {
	if err := tx.ready(true, nil); err != nil {
		return 0, err
	}
	return tx.count(ctx, tx.db.dialect.Number)
}

// InsertTicket adds a ticket, and tells of it. Its counts, Activities and Files, begin with
// what t says, and are kept by InsertActivity and AddAttachments.
func (tx *Tx) InsertTicket(ctx context.Context, t Ticket) error {
	err := tx.queue(ctx, `INSERT INTO tickets (`+ticketColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
		$23, $24, $25, $26)`,
		t.Number, t.ID, string(t.Kind), t.Subject, t.ChannelID, t.StatusID, rank(t.Priority), t.MarkerID, t.ContactID,
		t.CompanyID, t.OwnerID, t.ResponsibleID, t.CreatedBy, t.AccountID, t.MergedInto, t.SuggestedTicket,
		toJSON(t.Tags), t.Activities, t.Files, t.Version, us(t.CreatedAt), us(t.UpdatedAt), us(t.LastIncomingAt),
		us(t.LastOutgoingAt), us(t.ClosedAt), us(t.StatusAt))
	if err != nil {
		return err
	}
	return tx.AddEvent(ctx, Event{Kind: EventTicketCreated, Ticket: t.Number, At: t.CreatedAt})
}

// UpdateTicket writes the whole ticket as t says, but for its counts
// (Activities, Files), which are kept by InsertActivity and AddAttachments,
// and for UpdatedAt where the kept one is later.
func (tx *Tx) UpdateTicket(ctx context.Context, t Ticket) error {
	return tx.touched(ctx, "ticket", `UPDATE tickets SET kind = $2, subject = $3, channel_id = $4, status_id = $5,
		priority = $6, marker_id = $7, contact_id = $8, company_id = $9, owner_id = $10, responsible_id = $11,
		created_by = $12, account_id = $13, merged_into = $14, suggested_ticket = $15, tags = $16, version = $17,
		updated_at = CASE WHEN $18 > updated_at THEN $18 ELSE updated_at END,
		last_incoming_at = $19, last_outgoing_at = $20, closed_at = $21, status_at = $22 WHERE number = $1`,
		t.Number, string(t.Kind), t.Subject, t.ChannelID, t.StatusID, rank(t.Priority), t.MarkerID, t.ContactID,
		t.CompanyID, t.OwnerID, t.ResponsibleID, t.CreatedBy, t.AccountID, t.MergedInto, t.SuggestedTicket,
		toJSON(t.Tags), t.Version, us(t.UpdatedAt), us(t.LastIncomingAt), us(t.LastOutgoingAt), us(t.ClosedAt), us(t.StatusAt))
}

// Ticket gives a ticket. In a transaction that writes it stays as it is until
// the transaction ends, whoever else wants to change it.
func (tx *Tx) Ticket(ctx context.Context, number int64) (Ticket, error) {
	sql := `SELECT ` + ticketRow + ` FROM tickets WHERE number = $1`
	if tx.write {
		sql += tx.db.dialect.LockRow
	}
	return first(ctx, tx, "ticket", scanTicket, sql, number)
}

// TicketsByNumber gives those of the tickets that exist, by number.
func (tx *Tx) TicketsByNumber(ctx context.Context, numbers []int64) ([]Ticket, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	return list(ctx, tx, scanTicket, `SELECT `+ticketRow+` FROM tickets
		WHERE `+tx.db.dialect.In("number", "$1")+` ORDER BY number`, tx.db.dialect.Numbers(numbers))
}

// Suggest has a held mail's ticket, which waits for was, wait for another. It is
// false where it doesn't any more.
func (tx *Tx) Suggest(ctx context.Context, number, was, suggested int64) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE tickets SET suggested_ticket = $3
		WHERE number = $1 AND suggested_ticket = $2 AND merged_into = 0`, number, was, suggested)
	return n > 0, err
}

// AddLink ties two tickets: from sees kind, to sees backKind. A link that is
// there already is no error.
func (tx *Tx) AddLink(ctx context.Context, from, to int64, kind, backKind string) error {
	const sql = `INSERT INTO links (ticket, number, kind) VALUES ($1, $2, $3) ON CONFLICT (ticket, number, kind) DO NOTHING`
	if err := tx.queue(ctx, sql, from, to, kind); err != nil {
		return err
	}
	return tx.queue(ctx, sql, to, from, backKind)
}

// DeleteLink unties two tickets again. A link that is not there is no error.
func (tx *Tx) DeleteLink(ctx context.Context, from, to int64, kind, backKind string) error {
	const sql = `DELETE FROM links WHERE ticket = $1 AND number = $2 AND kind = $3`
	if err := tx.queue(ctx, sql, from, to, kind); err != nil {
		return err
	}
	return tx.queue(ctx, sql, to, from, backKind)
}

// Links gives the ties of a ticket, as seen from it.
func (tx *Tx) Links(ctx context.Context, number int64) ([]Link, error) {
	return list(ctx, tx, func(r Rows, l *Link) error { return r.Scan(&l.Ticket, &l.Number, &l.Kind) },
		`SELECT ticket, number, kind FROM links WHERE ticket = $1 ORDER BY number, kind`, number)
}

// LinksOf gives the ties of tickets, as seen from each.
func (tx *Tx) LinksOf(ctx context.Context, numbers ...int64) ([]Link, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	condition, args := tx.inNumbers("ticket", 1, numbers)
	return list(ctx, tx, func(r Rows, l *Link) error { return r.Scan(&l.Ticket, &l.Number, &l.Kind) },
		`SELECT ticket, number, kind FROM links WHERE `+condition+` ORDER BY ticket, number, kind`, args...)
}
