package api

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
)

const (
	csvType = "text/csv"
	// exportPage is how many tickets are read, and held in memory, at once.
	exportPage = 200
	// exportPatience is how long a client may take for a page.
	exportPatience = 30 * time.Second
)

func (a *api) registerExport() {
	add(a, route{id: "export-tickets", method: http.MethodGet, path: "/tickets/export.csv", tag: tagDesk, serves: csvType,
		summary: "The list of tickets as a table (RFC 4180), to its end"}, a.exportTickets)
}

// exportTickets reads the first page before it answers, so that what is refused
// is a problem as anywhere else.
func (a *api) exportTickets(ctx context.Context, c *call, in *TicketSelection) (*huma.StreamResponse, error) {
	if in.List == store.ListDrafts {
		return nil, invalid("list", "drafts are no tickets")
	}
	e := &export{api: a, call: c, in: in}
	if err := e.read(ctx); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: e.answer}, nil
}

// export is one table under way. It belongs to the request's goroutine, and holds
// no transaction while a page is written.
type export struct {
	api    *api
	call   *call
	in     *TicketSelection
	found  []store.Ticket
	about  *mentioned
	fields []store.CustomField // the columns behind the fixed ones
	next   string
}

// read gets the page behind the last one. What the caller may see is asked anew
// each time.
func (e *export) read(ctx context.Context) error {
	return e.api.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		f, err := e.in.selected(ctx, tx, e.call)
		if err != nil {
			return err
		}
		f.Cursor, f.Limit = e.next, exportPage
		if e.found, e.next, err = tx.Tickets(ctx, f); err != nil {
			return err
		}
		e.about, err = mentionsOf(ctx, tx, e.call, e.found)
		return err
	})
}

// answer writes the table. Where it can't go on it breaks the connection off: a
// table that ends early must not look whole.
func (e *export) answer(hc huma.Context) {
	e.fields = e.about.desk.CustomFields
	hc.SetHeader("Content-Type", csvType+"; charset=utf-8; header=present")
	hc.SetHeader("Content-Disposition", contentDisposition("attachment", "tickets.csv"))
	hc.SetStatus(http.StatusOK)
	if hc.Method() == http.MethodHead {
		return
	}
	if r, ok := hc.Context().Value(requestKey{}).(*request); ok {
		r.stream = true
	}
	if err := e.write(hc.Context(), hc.BodyWriter()); err != nil {
		e.api.Log.InfoContext(hc.Context(), "an export broke off", "request_id", requestID(hc.Context()), "error", err)
		panic(http.ErrAbortHandler)
	}
}

func (e *export) write(ctx context.Context, out io.Writer) error {
	patience := func() {}
	if w, ok := out.(http.ResponseWriter); ok {
		control := http.NewResponseController(w)
		patience = func() { _ = control.SetWriteDeadline(time.Now().Add(exportPatience)) } // not every writer has one
		defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	}
	table := csv.NewWriter(out)
	table.UseCRLF = true
	patience()
	if err := table.Write(e.head()); err != nil {
		return err
	}
	for {
		for _, t := range e.found {
			if err := table.Write(e.row(t)); err != nil {
				return err
			}
		}
		if table.Flush(); table.Error() != nil || e.next == "" {
			return table.Error()
		}
		select {
		case <-e.api.Events.Done:
			return errors.New("the server is about to end")
		default:
		}
		if err := e.read(ctx); err != nil {
			return err
		}
		patience()
	}
}

func (e *export) head() []string {
	head := []string{
		"number", "reference", "kind", "subject", "channel", "status", "priority", "marker", "contact", "contact_email", "company",
		"owner", "responsible", "tags", "activities", "files", "minutes",
		"created_at", "updated_at", "last_incoming_at", "last_outgoing_at", "closed_at",
	}
	for _, f := range e.fields {
		head = append(head, "fields."+f.Key)
	}
	return head
}

// row writes names where the list has ids: who reads a table can't ask for them.
func (e *export) row(t store.Ticket) []string {
	s, desk := e.api.shapeWith(t, e.about), e.about.desk
	agent := func(a *store.Agent) string { return a.Name }
	row := []string{
		strconv.FormatInt(s.Number, 10), s.Reference, string(s.Kind), s.Subject,
		nameIn(desk.Channel(t.ChannelID), func(c *store.Channel) string { return c.Name }),
		nameIn(desk.Status(t.StatusID), func(s *store.Status) string { return s.Name }), string(s.Priority),
		nameIn(desk.Marker(t.MarkerID), func(m *store.Marker) string { return m.Name }), "", "", "",
		nameIn(desk.Agent(t.OwnerID), agent), nameIn(desk.Agent(t.ResponsibleID), agent), strings.Join(t.Tags, ", "),
		strconv.Itoa(s.Counts.Activities), strconv.Itoa(s.Counts.Files), strconv.Itoa(s.Counts.Minutes),
		stamp(t.CreatedAt), stamp(t.UpdatedAt), stamp(t.LastIncomingAt), stamp(t.LastOutgoingAt), stamp(t.ClosedAt),
	}
	if s.Contact != nil {
		row[8], row[9] = s.Contact.Name, s.Contact.Email
	}
	if s.Company != nil {
		row[10] = s.Company.Name
	}
	for _, f := range e.fields {
		row = append(row, e.about.fields[t.Number][f.ID])
	}
	for i := range row {
		row[i] = defused(row[i])
	}
	return row
}

// nameIn gives the name of a thing, and none of one that is gone.
func nameIn[T any](v *T, name func(*T) string) string {
	if v == nil {
		return ""
	}
	return name(v)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// defused keeps a spreadsheet from running what somebody wrote into a subject or
// a name: what begins as a formula gets an apostrophe, which makes it text.
func defused(cell string) string {
	if strings.HasPrefix(cell, "'") || strings.IndexAny(strings.TrimLeft(cell, " \u00a0"), "=+-@\t\r\n＝＋－＠|") == 0 {
		return "'" + cell
	}
	return cell
}
