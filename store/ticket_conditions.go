package store

import (
	"context"
	"strings"
	"time"
)

// condition is one that a list of tickets, or of activities, is cut by. Each ?
// in its texts stands for an argument.
type condition struct {
	sql  string
	args []any
	// from is a SELECT that gives the numbers of the tickets for which the
	// condition holds, out of an index; "" where there is none. It has the
	// arguments of the condition.
	from   string
	column string // that the condition is a span of
}

// only is a condition that an index of the tickets finds.
func only(sql string, args ...any) condition {
	return condition{sql: sql, args: args, from: `SELECT number FROM tickets WHERE ` + sql}
}

// numbers gives from with its arguments.
func (c condition) numbers() (string, []any) {
	return c.from, c.args
}

// all adds conditions to a query.
func (w *where) all(conditions []condition) {
	for _, c := range conditions {
		w.add(c.sql, c.args...)
	}
}

// oneOf is the condition that a column of the tickets is one of the values.
func (tx *Tx) oneOf(column string, values []string) condition {
	if len(values) == 0 {
		return only(`1 = 0`)
	}
	sql, args := inList(column, values, tx.longList)
	return only(sql, args...)
}

// ticketConditions gives those of a filter, but for its query.
func (tx *Tx) ticketConditions(ctx context.Context, f TicketFilter) ([]condition, error) {
	all, err := tx.visible(ctx, f.VisibleTo)
	if err != nil {
		return nil, err
	}
	if f.List == ListMy && f.VisibleTo != "" {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, tx.my(desk, f.VisibleTo))
	}
	if f.ContactID != "" {
		ids, err := tx.contactIDs(ctx, f.ContactID)
		if err != nil {
			return nil, err
		}
		of := tx.oneOf("contact_id", ids)
		of.sql += ` AND contact_id <> ''`
		all = append(all, only(of.sql, of.args...))
	}
	if f.Tag != "" {
		// more than [] or null: what the index holds
		all = append(all, only(`length(tags) > 4 AND `+tx.db.dialect.Tagged("?"), f.Tag))
	}
	all = append(all, f.fields()...)
	all = append(all, f.states()...)
	return append(all, f.spans()...), nil
}

// visible cuts by what an agent may see; "" sees all.
func (tx *Tx) visible(ctx context.Context, agentID string) ([]condition, error) {
	if agentID == "" {
		return nil, nil
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return nil, err
	}
	if a := desk.Agent(agentID); a != nil && a.Role == RoleAdmin {
		return nil, nil
	}
	return []condition{tx.oneOf("channel_id", desk.VisibleChannels(agentID))}, nil
}

// onlyVisible cuts a query of tickets likewise.
func (tx *Tx) onlyVisible(ctx context.Context, w *where, agentID string) error {
	all, err := tx.visible(ctx, agentID)
	w.all(all)
	return err
}

// my is the condition of the list my.
func (tx *Tx) my(desk *Desk, agentID string) condition {
	const watched = `SELECT ticket FROM watchers WHERE agent_id = ?`
	either := []condition{
		only(`owner_id = ? AND owner_id <> ''`, agentID), only(`responsible_id = ? AND responsible_id <> ''`, agentID),
		only(`created_by = ? AND created_by <> ''`, agentID), {sql: `number IN (` + watched + `)`, args: []any{agentID}, from: watched},
	}
	if standard := desk.StandardChannels(agentID); len(standard) > 0 {
		either = append(either, tx.oneOf("channel_id", standard))
	}
	var c condition
	var or, union []string
	for _, e := range either {
		or, union, c.args = append(or, "("+e.sql+")"), append(union, e.from), append(c.args, e.args...)
	}
	c.sql, c.from = "("+strings.Join(or, " OR ")+")", strings.Join(union, " UNION ALL ")
	return c
}

// fields are the conditions on single fields.
func (f TicketFilter) fields() []condition {
	var all []condition
	equal := func(column, value string) {
		if value != "" {
			// The second half lets the database use an index that leaves the
			// many rows without a value out.
			all = append(all, only(column+` = ? AND `+column+` <> ''`, value))
		}
	}
	equal("channel_id", f.ChannelID)
	equal("status_id", f.StatusID)
	if f.OwnerID == NoOwner {
		all = append(all, condition{sql: `owner_id = ''`})
	} else {
		equal("owner_id", f.OwnerID)
	}
	equal("responsible_id", f.ResponsibleID)
	equal("company_id", f.CompanyID)
	equal("marker_id", f.MarkerID)
	switch f.Kind {
	case "":
	case KindEmail: // most are
		all = append(all, condition{sql: `kind = ?`, args: []any{string(f.Kind)}})
	default:
		all = append(all, only(`kind = ? AND kind <> 'email'`, string(f.Kind)))
	}
	if f.FieldID != "" {
		all = append(all, within(`field_values`, `field_id = ? AND value = ?`, f.FieldID, f.Field))
	}
	if f.Priority != "" {
		all = append(all, only(`priority = ?`, rank(f.Priority)))
	}
	if f.WatcherID != "" {
		all = append(all, within(`watchers`, `agent_id = ?`, f.WatcherID))
	}
	return all
}

// within is the condition that another table names the ticket. It is asked of each
// ticket: as a join a database could take it for the way to walk.
func within(table, sql string, args ...any) condition {
	return condition{args: args, from: `SELECT ticket FROM ` + table + ` WHERE ` + sql,
		sql: `COALESCE((SELECT 1 FROM ` + table + ` WHERE ticket = tickets.number AND ` + sql + ` LIMIT 1), 0) = 1`}
}

// states are the conditions on what is or isn't so.
func (f TicketFilter) states() []condition {
	var all []condition
	if f.Open != nil && *f.Open {
		all = append(all, only(`closed_at = 0`))
	} else if f.Open != nil {
		all = append(all, condition{sql: `closed_at <> 0`})
	}
	if f.Held != nil && *f.Held {
		all = append(all, only(heldTickets))
	} else if f.Held != nil {
		all = append(all, condition{sql: `(suggested_ticket = 0 OR merged_into <> 0)`})
	}
	return all
}

// heldTickets is the condition of a held mail's ticket that waits.
const heldTickets = `suggested_ticket <> 0 AND merged_into = 0`

// spans are the conditions on times.
func (f TicketFilter) spans() []condition {
	var all []condition
	span := func(column string, since, until time.Time) {
		var parts []string
		var args []any
		if !since.IsZero() {
			parts, args = append(parts, column+` >= ?`), append(args, us(since))
		}
		if !until.IsZero() {
			parts, args = append(parts, column+` < ?`), append(args, us(until))
		}
		if len(parts) > 0 {
			of := only(strings.Join(parts, ` AND `), args...)
			of.column = column
			all = append(all, of)
		}
	}
	span("created_at", f.CreatedSince, f.CreatedUntil)
	span("updated_at", f.UpdatedSince, f.UpdatedUntil)
	return all
}
