package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

// want checks what a filter gives, in order, over pages of two.
func want(t *testing.T, db *store.DB, f store.TicketFilter, numbersWanted ...int64) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		var got []int64
		f.Limit = 2
		for page := 0; page == 0 || f.Cursor != ""; page++ {
			tickets, next, err := tx.Tickets(ctx, f)
			if err != nil {
				return err
			}
			got = append(got, numbers(tickets)...)
			f.Cursor = next
		}
		if !slices.Equal(got, numbersWanted) {
			t.Errorf("%+v: %v, want %v", f, got, numbersWanted)
		}
		return nil
	})
}

func testTicketLists(t *testing.T, open Open) {
	db := one(t, open)
	priorities := []store.Priority{store.PriorityHigh, store.PriorityLow, store.PriorityHigh, store.PriorityUrgent, store.PriorityNormal}
	for i, p := range priorities {
		addTicket(t, db, func(ticket *store.Ticket) {
			ticket.Priority, ticket.UpdatedAt = p, noon(10-i/2)
			ticket.CreatedAt = noon(i % 3)
			if i%2 == 0 {
				ticket.OwnerID, ticket.ContactID, ticket.MarkerID, ticket.ClosedAt = "anna", "c1", "red", noon(3)
				ticket.LastIncomingAt = noon(i)
			} else {
				ticket.ChannelID, ticket.StatusID, ticket.CompanyID, ticket.Kind = "sales", "done", "f1", store.KindEnquiry
			}
		})
	}
	yes, no := true, false
	want(t, db, store.TicketFilter{}, 10005, 10004, 10003, 10002, 10001)
	want(t, db, store.TicketFilter{Sort: "number"}, 10001, 10002, 10003, 10004, 10005)
	want(t, db, store.TicketFilter{Sort: "-priority"}, 10004, 10003, 10001, 10005, 10002)
	want(t, db, store.TicketFilter{Sort: "priority"}, 10002, 10005, 10001, 10003, 10004)
	want(t, db, store.TicketFilter{Sort: "updated_at"}, 10005, 10003, 10004, 10001, 10002)
	want(t, db, store.TicketFilter{Sort: "-updated_at"}, 10002, 10001, 10004, 10003, 10005)
	want(t, db, store.TicketFilter{Sort: "created_at"}, 10001, 10004, 10002, 10005, 10003)
	want(t, db, store.TicketFilter{Sort: "-last_incoming_at"}, 10005, 10003, 10001, 10004, 10002)
	want(t, db, store.TicketFilter{ChannelID: "sales"}, 10004, 10002)
	want(t, db, store.TicketFilter{StatusID: "done", ChannelID: "support"})
	want(t, db, store.TicketFilter{Open: &yes}, 10004, 10002)
	want(t, db, store.TicketFilter{Open: &no}, 10005, 10003, 10001)
	want(t, db, store.TicketFilter{OwnerID: "anna"}, 10005, 10003, 10001)
	want(t, db, store.TicketFilter{ContactID: "c1", Sort: "number"}, 10001, 10003, 10005)
	want(t, db, store.TicketFilter{CompanyID: "f1"}, 10004, 10002)
	want(t, db, store.TicketFilter{Kind: store.KindEnquiry}, 10004, 10002)
	want(t, db, store.TicketFilter{MarkerID: "red", Priority: store.PriorityHigh}, 10003, 10001)

	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, next, err := tx.Tickets(ctx, store.TicketFilter{Limit: 1})
		if err != nil || next == "" {
			t.Errorf("next %q, %v", next, err)
		}
		for _, f := range []store.TicketFilter{{Cursor: "x"}, {Cursor: "!"}, {Cursor: next, Sort: "priority"}} {
			_, _, err := tx.Tickets(ctx, f)
			wantCode(t, err, store.CodeInvalid, "")
		}
		_, _, err = tx.Tickets(ctx, store.TicketFilter{Sort: "subject"})
		wantCode(t, err, store.CodeInvalid, "")
		all, next, err := tx.Tickets(ctx, store.TicketFilter{Limit: 5})
		if len(all) != 5 || next != "" {
			t.Errorf("%d tickets, next %q: a page that is just full has no next one", len(all), next)
		}
		return err
	})
}

func testTicketFilters(t *testing.T, open Open) {
	db := one(t, open)
	odd := `a","b\ 'ü`
	for i := range 4 {
		addTicket(t, db, func(v *store.Ticket) {
			v.CreatedAt, v.UpdatedAt = noon(i), noon(10-i)
			switch i {
			case 0:
				v.Tags, v.ResponsibleID = []string{"vip", odd}, "anna"
			case 1:
				v.Tags, v.OwnerID, v.SuggestedTicket = []string{"VIP"}, "anna", 10001
			case 2:
				v.Tags, v.SuggestedTicket, v.MergedInto = []string{}, 10001, 10001
			}
		})
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.AddWatcher(ctx, 10003, "anna")
		return err
	})
	yes, no := true, false
	want(t, db, store.TicketFilter{Tag: "vip"}, 10001)
	want(t, db, store.TicketFilter{Tag: odd}, 10001)
	for _, tag := range []string{"b", "b\\ 'ü", ",", "vip,", "%", "' OR 1=1--", "null"} {
		want(t, db, store.TicketFilter{Tag: tag})
	}
	want(t, db, store.TicketFilter{OwnerID: store.NoOwner}, 10004, 10003, 10001)
	want(t, db, store.TicketFilter{ResponsibleID: "anna"}, 10001)
	want(t, db, store.TicketFilter{WatcherID: "anna"}, 10003)
	want(t, db, store.TicketFilter{WatcherID: "otto"})
	want(t, db, store.TicketFilter{Held: &yes}, 10002)
	want(t, db, store.TicketFilter{Held: &no}, 10004, 10003, 10001)
	want(t, db, store.TicketFilter{CreatedSince: noon(1), CreatedUntil: noon(3)}, 10003, 10002)
	want(t, db, store.TicketFilter{UpdatedSince: noon(8), UpdatedUntil: noon(9)}, 10003)
}

func testTicketVisibility(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	for i, channel := range []string{"support", "sales", "support", "sales"} {
		addTicket(t, db, func(ticket *store.Ticket) {
			ticket.ChannelID = channel
			switch i {
			case 1, 2: // 10002 in sales, 10003 in support
				ticket.OwnerID, ticket.CreatedBy = "otto", "anna"
			case 3:
				ticket.ResponsibleID = "root"
			}
		})
	}
	want(t, db, store.TicketFilter{VisibleTo: "anna"}, 10003, 10001)
	want(t, db, store.TicketFilter{VisibleTo: "otto"}, 10003, 10001)
	want(t, db, store.TicketFilter{VisibleTo: "root"}, 10004, 10003, 10002, 10001)
	want(t, db, store.TicketFilter{VisibleTo: "nobody"})
	want(t, db, store.TicketFilter{VisibleTo: "otto", ChannelID: "sales"})
	want(t, db, store.TicketFilter{VisibleTo: "otto", OwnerID: "otto"}, 10003)
	// anna is subscribed, otto only looks in; what is his in a channel that he
	// does not see is not shown either.
	want(t, db, store.TicketFilter{VisibleTo: "anna", List: store.ListMy}, 10003, 10001)
	want(t, db, store.TicketFilter{VisibleTo: "otto", List: store.ListMy}, 10003)
	want(t, db, store.TicketFilter{VisibleTo: "root", List: store.ListMy}, 10004)
	want(t, db, store.TicketFilter{VisibleTo: "root", List: store.ListOverview, Sort: "number"}, 10001, 10002, 10003, 10004)
}

func testSearch(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	index := func(activity string, e store.SearchEntry) {
		t.Helper()
		e.ActivityID = activity
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Index(ctx, e) })
	}
	printer := addTicket(t, db, nil).Number
	sales := addTicket(t, db, func(ticket *store.Ticket) { ticket.ChannelID = "sales" }).Number
	first := addActivity(t, db, printer, nil)
	index(first.ID, store.SearchEntry{Reference: "T#10001", Subject: "Drucker Größe",
		Text: "The printer's on fire. SELECT * FROM tickets; naïve 日本語", Addresses: []string{"Anna.Muster@kunde.example"}, Names: []string{"Angebot_2026-03.pdf"}})
	index(addActivity(t, db, sales, nil).ID, store.SearchEntry{Reference: "T#10002", Text: "printer offer, on paper"})
	for _, c := range []struct {
		query string
		want  []int64
	}{
		{"printer", []int64{sales, printer}},
		{"PRINTER fire", []int64{printer}},
		{"T#10001", []int64{printer}},
		{"[T#10002]", []int64{sales}},
		{"anna.muster@kunde.example", []int64{printer}},
		{"kunde", []int64{printer}},
		{"Angebot_2026-03.pdf", []int64{printer}},
		{"groesse", nil},
		{"grosse", nil}, // ß has no accent to lose
		{"GRÖßE", []int64{printer}},
		{"größe", []int64{printer}},
		{"NAIVE", []int64{printer}},
		{"日本語", []int64{printer}},
		{`"on fire"`, []int64{printer}},
		{`"fire on"`, nil},
		{`on printer`, []int64{sales, printer}},
		{`printer OR`, nil},
		{`printer AND NOT`, nil},
		{`"`, nil},
		{`""" ' ; -- ) ( * : ^ ~`, nil},
		{`printer* -fire`, []int64{printer}},
		{`subject:printer`, nil},
		{`NEAR(printer fire)`, nil},
	} {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, _, err := tx.Tickets(ctx, store.TicketFilter{Query: c.query})
			if err != nil || !slices.Equal(numbers(got), c.want) {
				t.Errorf("%q finds %v, %v; want %v", c.query, numbers(got), err, c.want)
			}
			return nil
		})
	}
	want(t, db, store.TicketFilter{Query: "printer", VisibleTo: "anna"}, printer)
	want(t, db, store.TicketFilter{Query: "printer", ChannelID: "sales"}, sales)

	index(first.ID, store.SearchEntry{Text: "quite another word"})
	want(t, db, store.TicketFilter{Query: "fire"})
	want(t, db, store.TicketFilter{Query: "another"}, printer)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.MoveActivity(ctx, first.ID, sales, noon(3))
		return err
	})
	want(t, db, store.TicketFilter{Query: "another"}, sales)
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Unindex(ctx, first.ID) })
	want(t, db, store.TicketFilter{Query: "another"})

	// the end of a long mail is found as its beginning is, and a query without
	// end is no trouble
	index(first.ID, store.SearchEntry{Text: strings.Repeat("so und so ", 7000) + "zuletzt ende@fern.example"})
	want(t, db, store.TicketFilter{Query: "ende@fern.example"}, sales)
	want(t, db, store.TicketFilter{Query: `"` + strings.Repeat("so ", 100000) + `"`})
	// Text that no dictionary holds.
	long := make([]byte, 2<<20)
	for i := range long {
		long[i] = "abcdefghijklmnopqrstuvwxyz0123456789 "[(i*7+i/13*5)%37]
	}
	index(first.ID, store.SearchEntry{Subject: "huge", Text: string(long)})
	want(t, db, store.TicketFilter{Query: "huge"}, sales)
}
