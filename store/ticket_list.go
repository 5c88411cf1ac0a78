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
}

func parseOrder(sort string) (ticketOrder, error) {
	if sort == "" {
		sort = "-number"
	}
	o := ticketOrder{name: sort, column: strings.TrimPrefix(sort, "-"), down: strings.HasPrefix(sort, "-")}
	switch o.column {
	case "number", "created_at", "updated_at", "last_incoming_at", "respond_by", "priority":
		return o, nil
	}
	return o, Invalid("sort", "is not a field that tickets are sorted by")
}

// sql gives the ORDER BY clause. An unindexed one sorts what was gathered: no
// database may take it for a reason to walk along the order's index.
func (o ticketOrder) sql(indexed bool) string {
	direction := ""
	if o.down {
		direction = " DESC"
	}
	column, number := o.column, "number"
	if !indexed {
		column, number = column+" + 0", "tickets.number + 0"
	}
	if o.column == "number" {
		return " ORDER BY " + number + direction
	}
	return " ORDER BY " + column + direction + ", " + number + direction
}

// after is the condition of what comes behind a place; none for no place.
func (o ticketOrder) after(p *place) []condition {
	if p == nil {
		return nil
	}
	than := " > "
	if o.down {
		than = " < "
	}
	if o.column == "number" {
		return []condition{{sql: "tickets.number" + than + "?", args: []any{p.number}}}
	}
	return []condition{{sql: "(" + o.column + ", tickets.number)" + than + "(?, ?)", args: []any{p.key, p.number}}}
}

// place is where a ticket stands in an order.
type place struct{ key, number int64 }

func (o ticketOrder) cursor(p place) cursor {
	return cursor{Sort: "tickets " + o.name, Key: p.key, Number: p.number}
}

// parse reads a cursor of this order; nil is the beginning.
func (o ticketOrder) parse(text string) (*place, error) {
	c, ok, err := parseCursor(text, "tickets "+o.name)
	if !ok {
		return nil, err
	}
	return &place{c.Key, c.Number}, nil
}

// Tickets lists tickets. A broken cursor, or one of another order, is
// CodeInvalid with the field cursor; an unknown order one with the field sort.
func (tx *Tx) Tickets(ctx context.Context, f TicketFilter) ([]Ticket, string, error) {
	order, err := parseOrder(f.Sort)
	if err != nil {
		return nil, "", err
	}
	from, err := order.parse(f.Cursor)
	if err != nil {
		return nil, "", err
	}
	conditions, err := tx.ticketConditions(ctx, f)
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(f.Limit)
	l := ticketLister{tx: tx, order: order, conditions: conditions}
	var places []place
	if f.Query == "" {
		places, err = l.list(ctx, from, limit+1)
	} else {
		places, err = l.search(ctx, f.Query, from, limit+1)
	}
	if err != nil {
		return nil, "", err
	}
	places, next := page(places, limit, order.cursor)
	tickets, err := tx.ticketsAt(ctx, places)
	return tickets, next, err
}

// ticketsAt gives the tickets at some places, in that order.
func (tx *Tx) ticketsAt(ctx context.Context, places []place) ([]Ticket, error) {
	numbers := make([]int64, len(places))
	for i, p := range places {
		numbers[i] = p.number
	}
	found, err := tx.TicketsByNumber(ctx, numbers)
	if err != nil {
		return nil, err
	}
	at := make(map[int64]Ticket, len(found))
	for _, t := range found {
		at[t.Number] = t
	}
	tickets := make([]Ticket, 0, len(places))
	for _, n := range numbers {
		if t, ok := at[n]; ok { // else it went between the two questions
			tickets = append(tickets, t)
		}
	}
	return tickets, nil
}
