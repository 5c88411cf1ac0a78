package api_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ticketgate/store"
)

// exported gives the rows of the table as a person gets it, by column.
func (f *fixture) exported(who, query string) []map[string]string {
	f.t.Helper()
	r := f.do(who, "GET", "/tickets/export.csv?"+query, nil).is(200)
	if got := r.Header().Get("Content-Type"); got != "text/csv; charset=utf-8; header=present" {
		f.t.Errorf("a table of type %q", got)
	}
	if got := r.Header().Get("Content-Disposition"); got != "attachment; filename=tickets.csv" {
		f.t.Errorf("it is saved as %q", got)
	}
	lines, err := csv.NewReader(r.Body).ReadAll()
	f.must(err)
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestTheListAsATable(t *testing.T) {
	f := newFixture(t)
	f.do("admin", "POST", "/custom-fields", m{"key": "serial", "name": "Serial", "type": "number"}).is(201)
	number, _ := f.mailIn(customersMail)
	f.do("standard", "PATCH", f.ticketPath(number), m{"owner_id": f.agents["standard"], "tags": []string{"a", "b"}, "fields": m{"serial": 4711000}}).is(200)
	f.do("admin", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "secret", "text": "t"}).is(201)
	rows := f.exported("standard", "")
	if len(rows) != 1 {
		t.Fatalf("rows: %v", rows)
	}
	for column, want := range map[string]string{
		"number": "10001", "reference": "T#10001", "kind": "email", "subject": "Printer on fire", "channel": "Support", "priority": "normal",
		"contact": "Carla Customer", "contact_email": "carla@customer.example", "company": "", "owner": "standard", "responsible": "",
		"tags": "a, b", "files": "2", "created_at": "2026-11-22T10:00:00Z", "closed_at": "", "fields.serial": "4711000",
	} {
		if got, ok := rows[0][column]; got != want || !ok {
			t.Errorf("%s is %q, want %q", column, got, want)
		}
	}
	view := f.do("admin", "POST", "/views", m{"name": "x", "filter": m{"tag": "a"}, "shared": "all"}).is(201).text("id")
	for query, want := range map[string]int{"": 2, "tag=a": 1, "tag=c": 0, "q=fire": 1, "view=" + view: 1, "sort=number&channel_id=" + f.sales: 1} {
		if got := f.exported("admin", query); len(got) != want {
			t.Errorf("%q: %d rows, want %d", query, len(got), want)
		}
		if got := f.exported("outsider", query); len(got) != 0 {
			t.Errorf("%q: an outsider gets %v", query, got)
		}
	}
	f.do("admin", "GET", "/tickets/export.csv?list=drafts", nil).is(422).refuses("list")
	f.do("admin", "GET", "/tickets/export.csv?field=none:1", nil).is(422).refuses("field")
	f.do("admin", "GET", "/tickets/export.csv?view=x", nil).is(404)
}

func TestATableGoesOverAllPages(t *testing.T) {
	f := newFixture(t)
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		for i := range 450 {
			number, err := tx.NextNumber(ctx)
			if err != nil {
				return err
			}
			if err := tx.InsertTicket(ctx, store.Ticket{
				Number: number, ID: store.NewID(), Kind: store.KindInternal, Subject: fmt.Sprint(i), ChannelID: f.channel,
				Priority: store.PriorityNormal, CreatedAt: f.clock(), UpdatedAt: f.clock(),
			}); err != nil {
				return err
			}
		}
		return nil
	}))
	rows := f.exported("standard", "sort=priority")
	seen := map[string]bool{}
	for _, row := range rows {
		seen[row["number"]] = true
	}
	if len(rows) != 450 || len(seen) != 450 {
		t.Errorf("%d rows of %d tickets", len(rows), len(seen))
	}
}

// A table that can't go on breaks off: it must not look whole.
func TestATableThatEndsEarlyIsNoAnswer(t *testing.T) {
	f := newFixture(t)
	f.mailIn(customersMail)
	defer func() {
		if failure := recover(); failure != http.ErrAbortHandler {
			t.Errorf("it ended by %v", failure)
		}
	}()
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, "/api/v1/tickets/export.csv", nil)
	f.must(err)
	req.Header.Set("Authorization", "Bearer "+f.tokens["standard"])
	f.handler.ServeHTTP(brokenWriter{http.Header{}}, req)
	t.Error("a broken connection went unnoticed")
}

// brokenWriter is a connection that takes nothing.
type brokenWriter struct{ header http.Header }

func (b brokenWriter) Header() http.Header     { return b.header }
func (brokenWriter) WriteHeader(int)           {}
func (brokenWriter) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }

func TestATableHoldsNoFormulas(t *testing.T) {
	f := newFixture(t)
	for _, subject := range []string{"=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "  =1+1", "＝1", "'=1", "|x"} {
		number := int64(f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": subject, "text": "t"}).is(201).json()["number"].(float64))
		row := f.exported("standard", "")[0]
		kept := f.do("standard", "GET", f.ticketPath(number), nil).is(200).text("subject")
		if !strings.HasPrefix(row["subject"], "'") || strings.TrimPrefix(row["subject"], "'") != kept {
			t.Errorf("%q is written as %q", kept, row["subject"])
		}
	}
	f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "a = b, \"c\"", "text": "t"}).is(201)
	if got := f.exported("standard", "")[0]["subject"]; got != "a = b, \"c\"" {
		t.Errorf("what is no formula is written as %q", got)
	}
}
