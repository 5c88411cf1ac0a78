package store

import (
	"context"
	"strings"
	"time"
)

// The lists of tickets.
const (
	ListMy       = "my"
	ListOverview = "overview"
	ListDrafts   = "drafts" // no tickets yet: Tx.Drafts
)

// NoOwner is the OwnerID of tickets that nobody owns.
const NoOwner = "none"

// TicketFilter chooses tickets; empty fields don't.
type TicketFilter struct {
	VisibleTo string // an agent's id: only what he may see; "": all
	List      string // ListMy: of VisibleTo; ListOverview or "": all that is visible
	ChannelID string
	StatusID  string
	Open      *bool
	OwnerID   string // NoOwner: nobody's
	ContactID string
	CompanyID string
	Kind      TicketKind
	MarkerID  string
	Priority  Priority
	FieldID   string // of a custom field, and the value that it has
	Field     string
	Tag       string // exactly this one
	// Agents.
	ResponsibleID, WatcherID string

	Held *bool // that it is a mail which waits for a decision whether it belongs elsewhere

	// Since is the first time that counts, Until the first that doesn't.
	CreatedSince, CreatedUntil, UpdatedSince, UpdatedUntil time.Time

	Query  string // full text; each word or "quoted phrase" must occur in one activity
	Sort   string // number, created_at, updated_at, last_incoming_at, priority, respond_by; "-" before it: descending; "": -number
	Cursor string
	Limit  int // 1 to 200; 0: 50
}

// ticketOrder is a resolved Sort: ties are broken by the number, in the same
// direction.
type ticketOrder struct {
	name   string
	column string
	down   bool
	key    func(Ticket) int64
}

func parseOrder(sort string) (ticketOrder, error) {
	if sort == "" {
		sort = "-number"
	}
	o := ticketOrder{name: sort, column: strings.TrimPrefix(sort, "-"), down: strings.HasPrefix(sort, "-")}
	switch o.column {
	case "number":
		o.key = func(t Ticket) int64 { return t.Number }
	case "created_at":
		o.key = func(t Ticket) int64 { return us(t.CreatedAt) }
	case "updated_at":
		o.key = func(t Ticket) int64 { return us(t.UpdatedAt) }
	case "last_incoming_at":
		o.key = func(t Ticket) int64 { return us(t.LastIncomingAt) }
	case "respond_by":
		o.key = func(t Ticket) int64 { return answerKey(t.RespondBy) }
	case "priority":
		o.key = func(t Ticket) int64 { return int64(rank(t.Priority)) }
	default:
		return o, Invalid("sort", "is not a field that tickets are sorted by")
	}
	return o, nil
}

// sql gives the ORDER BY clause.
func (o ticketOrder) sql() string {
	direction := ""
	if o.down {
		direction = " DESC"
	}
	if o.column == "number" {
		return " ORDER BY number" + direction
	}
	return " ORDER BY " + o.column + direction + ", number" + direction
}

// after goes on behind a cursor of this order.
func (o ticketOrder) after(w *where, text string) error {
	c, ok, err := parseCursor(text, "tickets "+o.name)
	if !ok {
		return err
	}
	than := " > "
	if o.down {
		than = " < "
	}
	if o.column == "number" {
		w.add("number"+than+"?", c.Key)
		return nil
	}
	w.add("("+o.column+", number)"+than+"(?, ?)", c.Key, c.Number)
	return nil
}

func (o ticketOrder) cursor(t Ticket) cursor {
	return cursor{Sort: "tickets " + o.name, Key: o.key(t), Number: t.Number}
}

// Tickets lists tickets. A broken cursor, or one of another order, is
// CodeInvalid with the field cursor; an unknown order one with the field sort.
func (tx *Tx) Tickets(ctx context.Context, f TicketFilter) ([]Ticket, string, error) {
	order, err := parseOrder(f.Sort)
	if err != nil {
		return nil, "", err
	}
	var w where
	if err := order.after(&w, f.Cursor); err != nil {
		return nil, "", err
	}
	if f.Query != "" && !w.found(tx, f.Query, "number", tx.db.dialect.Match) {
		return nil, "", nil
	}
	if err := tx.onlyVisible(ctx, &w, f); err != nil {
		return nil, "", err
	}
	if err := tx.ofContact(ctx, &w, f.ContactID); err != nil {
		return nil, "", err
	}
	f.fields(&w)
	f.spans(&w)
	if f.Tag != "" {
		w.add(`length(tags) > 4`) // more than [] or null: what the index holds
		w.add(tx.db.dialect.Tagged(w.arg(f.Tag)))
	}
	limit := pageSize(f.Limit)
	rows, err := list(ctx, tx, scanTicket,
		`SELECT `+ticketRow+` FROM tickets`+w.sql()+order.sql()+` LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, order.cursor)
	return rows, next, err
}

// ofContact cuts the list to a contact's tickets, by whichever of the ids that
// lead to it.
func (tx *Tx) ofContact(ctx context.Context, w *where, id string) error {
	if id == "" {
		return nil
	}
	ids, err := tx.contactIDs(ctx, id)
	if err != nil {
		return err
	}
	w.add(w.among(tx, "contact_id", ids))
	w.add(`contact_id <> ''`)
	return nil
}

// onlyVisible cuts the list by what the agent may see, and by what is his.
func (tx *Tx) onlyVisible(ctx context.Context, w *where, f TicketFilter) error {
	if f.VisibleTo == "" {
		return nil
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return err
	}
	if a := desk.Agent(f.VisibleTo); a == nil || a.Role != RoleAdmin {
		w.add(w.among(tx, "channel_id", desk.VisibleChannels(f.VisibleTo)))
	}
	if f.List == ListMy {
		w.add(ofAgent, f.VisibleTo, f.VisibleTo, f.VisibleTo, f.VisibleTo, f.VisibleTo)
	}
	return nil
}

// ofAgent is the condition of the list my; each ? is the agent.
const ofAgent = `(owner_id = ? OR responsible_id = ? OR created_by = ? OR channel_id IN
	(SELECT channel_id FROM subscriptions WHERE agent_id = ? AND type = 'standard')
	OR number IN (SELECT ticket FROM watchers WHERE agent_id = ?))`

// fields adds the conditions on single fields.
func (f TicketFilter) fields(w *where) {
	equal := func(column, value string) {
		if value != "" {
			// The second half lets the database use an index that leaves the
			// many rows without a value out.
			w.add(column+` = ? AND `+column+` <> ''`, value)
		}
	}
	equal("channel_id", f.ChannelID)
	equal("status_id", f.StatusID)
	if f.OwnerID == NoOwner {
		w.add(`owner_id = ''`)
	} else {
		equal("owner_id", f.OwnerID)
	}
	equal("responsible_id", f.ResponsibleID)
	equal("company_id", f.CompanyID)
	equal("kind", string(f.Kind))
	equal("marker_id", f.MarkerID)
	if f.FieldID != "" {
		w.add(`number IN (SELECT ticket FROM field_values WHERE field_id = ? AND value = ?)`, f.FieldID, f.Field)
	}
	if f.Priority != "" {
		w.add(`priority = ?`, rank(f.Priority))
	}
	if f.WatcherID != "" {
		w.add(`number IN (SELECT ticket FROM watchers WHERE agent_id = ?)`, f.WatcherID)
	}
	either := func(chosen *bool, yes, no string) {
		switch {
		case chosen == nil:
		case *chosen:
			w.add(yes)
		default:
			w.add(no)
		}
	}
	either(f.Open, `closed_at = 0`, `closed_at <> 0`)
	either(f.Held, heldTickets, `(suggested_ticket = 0 OR merged_into <> 0)`)
}

// spans adds the conditions on times.
func (f TicketFilter) spans(w *where) {
	span := func(column string, since, until time.Time) {
		if !since.IsZero() {
			w.add(column+` >= ?`, us(since))
		}
		if !until.IsZero() {
			w.add(column+` < ?`, us(until))
		}
	}
	span("created_at", f.CreatedSince, f.CreatedUntil)
	span("updated_at", f.UpdatedSince, f.UpdatedUntil)
}
