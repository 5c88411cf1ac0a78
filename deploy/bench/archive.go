package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// archive takes rows of the store's tables, in bulk. The daemon is down meanwhile.
type archive interface {
	// add takes rows of a table, with values for its columns.
	add(table *table, rows [][]any) error
	// words is how a search entry's text is kept.
	words(text string) any
	// finish makes everything durable, and the database as it is after months
	// of work: indexed and counted.
	finish() error
}

// table is one of the store's, with the columns that are filled.
type table struct {
	name    string
	columns []string
}

func columns(name, list string) *table { return &table{name, strings.Fields(list)} }

// tables are what the lists read.
type tables struct {
	contacts, emails, companies, tickets, participants, activities, search, attachments, watchers *table
}

// newTables names the tables; search is what a search entry has, activityKey by
// what else than its id an activity goes.
func newTables(search, activityKey string) tables {
	return tables{
		contacts:  columns("contacts", "id name phones company_id external_id provisional created_at updated_at folded"),
		emails:    columns("contact_emails", "key contact_id position address undeliverable"),
		companies: columns("companies", "id name domains parent_id external_id created_at updated_at folded"),
		tickets: columns("tickets", `number id kind subject channel_id status_id priority marker_id contact_id company_id
			owner_id responsible_id created_by account_id merged_into suggested_ticket tags activities files version
			created_at updated_at last_incoming_at last_outgoing_at closed_at`),
		participants: columns("participants", "ticket key address name active trusted"),
		activities: columns("activities", activityKey+` id ticket seq type medium author created_by account_id answers subject
			text html reply_text reply_length message_id raw_hash sender automatic external created_at detail`),
		search:      columns("search", search),
		attachments: columns("attachments", "activity_id id ticket position name type size inline content_id hash"),
		watchers:    columns("watchers", "ticket agent_id"),
	}
}

// batchRows is how many activities are handed over at once, with what goes with
// them.
const batchRows = 20000

// filler turns a history into rows.
type filler struct {
	tables tables
	to     archive
	byN    bool // activities have a number by which the search knows them
	rows   map[*table][][]any
	told   func(tickets int)
	count  int
}

// fill writes the whole history.
func (f *filler) fill(h *history) error {
	f.rows = map[*table][][]any{}
	f.customers(h)
	err := h.run(func(t *oldTicket) error { f.ticket(h, t); return nil }, func(a *oldActivity) error {
		f.activity(a)
		if len(f.rows[f.tables.activities]) < batchRows {
			return nil
		}
		return f.flush()
	})
	if err == nil {
		err = f.flush()
	}
	if err != nil {
		return err
	}
	return f.to.finish()
}

func (f *filler) put(t *table, values ...any) { f.rows[t] = append(f.rows[t], values) }

func (f *filler) flush() error {
	for t, rows := range f.rows {
		if err := f.to.add(t, rows); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		delete(f.rows, t)
	}
	f.told(f.count)
	return nil
}

func (f *filler) customers(h *history) {
	at := h.now.UnixMicro()
	for n := range h.crowd.companies {
		name := fmt.Sprintf("Firm %d", n)
		f.put(f.tables.companies, companyID(n), name, "[]", "", "", at, at, strings.ToLower(name))
	}
	for n := range h.crowd.contacts {
		name := fmt.Sprintf("Person %d", n)
		f.put(f.tables.contacts, contactID(n), name, "[]", companyID(n%h.crowd.companies), "", false, at, at, strings.ToLower(name))
		f.put(f.tables.emails, address(n), contactID(n), int64(0), address(n), false)
	}
}

func (f *filler) ticket(h *history, t *oldTicket) {
	f.count++
	contact := ""
	if t.contact >= 0 {
		contact = contactID(t.contact)
		key := address(t.contact)
		f.put(f.tables.participants, t.number, key, key, "", true, true)
	}
	f.put(f.tables.tickets, t.number, t.id, t.kind, t.subject, t.channel, t.status, int64(t.priority), t.marker, contact, t.company,
		t.owner, t.responsible, "", "", int64(0), int64(0), t.tags, int64(t.activities), int64(t.files), int64(1),
		t.created, t.updated, t.lastIn, t.lastOut, t.end)
	if t.owner != "" && h.rand.Float64() < 0.03 {
		f.put(f.tables.watchers, t.number, t.owner)
	}
}

func (f *filler) activity(a *oldActivity) {
	t := a.ticket
	author := map[string]string{"kind": "contact", "address": a.from}
	medium, sender := "email", ""
	switch a.kind {
	case "incoming":
		sender = "participant"
	case "outgoing":
		author = map[string]string{"kind": "agent", "id": a.author}
	default:
		medium, author = "internal", map[string]string{"kind": "agent", "id": a.author}
	}
	detail := "{}"
	addresses := ""
	if a.from != "" {
		detail = fmt.Sprintf(`{"from":[{"name":"","address":%q}],"to":[{"name":"","address":%q}]}`, a.from, a.to)
		addresses = a.from + " " + a.to
	}
	who, _ := json.Marshal(author) // strings alone
	values := []any{
		a.id, t.number, int64(a.seq), a.kind, medium, string(who), a.author, "", "", a.subject, a.text, "", "", int64(len(a.text)),
		"", "", sender, "", a.kind != "note" && a.kind != "status_change", a.at, detail,
	}
	key := any(a.id)
	if f.byN {
		key, values = a.n, append([]any{a.n}, values...)
	}
	f.put(f.tables.activities, values...)
	if a.fileName != "" {
		f.put(f.tables.attachments, a.id, "1", t.number, int64(0), a.fileName, "application/pdf", int64(1000), false, "", "")
	}
	if a.kind != "status_change" {
		text := fmt.Sprintf("t %d %s %s %s %s", t.number, a.subject, addresses, a.fileName, a.text)
		words := []any{key, f.to.words(plain(text))}
		if !f.byN {
			words = append(words, t.number)
		}
		f.put(f.tables.search, words...)
	}
}

// plain brings a text into the form that the store searches: words alone, with
// single spaces. Ours are in lower case and ASCII.
func plain(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), " ")
}
