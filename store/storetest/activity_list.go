package storetest

import (
	"context"
	"slices"
	"testing"

	"ticketgate/store"
)

// wantActivities checks what a filter gives, in order, over pages of one.
func wantActivities(t *testing.T, db *store.DB, f store.ActivityFilter, ids ...string) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		var got []string
		f.Limit = 1
		for page := 0; page == 0 || f.Cursor != ""; page++ {
			found, next, err := tx.FindActivities(ctx, f)
			if err != nil {
				return err
			}
			for _, a := range found {
				got = append(got, a.ID)
			}
			f.Cursor = next
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%+v: %v, want %v", f, got, ids)
		}
		return nil
	})
}

func testFindActivities(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	support := addTicket(t, db, nil).Number
	sales := addTicket(t, db, func(v *store.Ticket) { v.ChannelID = "sales" }).Number
	add := func(id string, ticket int64, minute int, from, text string) {
		addActivity(t, db, ticket, func(a *store.Activity) {
			a.ID, a.CreatedAt = id, noon(minute)
			a.From = []store.Address{{Name: "x", Address: "other@x.example"}, {Address: from}}
		})
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.AddMessageRefs(ctx, []store.MessageRef{
				{MessageID: id + "@x.example", ActivityID: id, Kind: store.RefTheirs},
				{MessageID: "root@x.example", ActivityID: id, Kind: store.RefNamed},
			}); err != nil {
				return err
			}
			return tx.Index(ctx, store.SearchEntry{ActivityID: id, Text: text, Addresses: []string{from}})
		})
	}
	add("c", support, 1, "Carla@Customer.example", "the printer burns")
	add("a", support, 3, "kim@customer.example", "carla@customer.example says that the printer burns")
	add("b", support, 3, "kim@customer.example", "paper is out")
	add("d", sales, 2, "carla@customer.example", "an offer for a printer")

	wantActivities(t, db, store.ActivityFilter{}, "b", "a", "d", "c")
	wantActivities(t, db, store.ActivityFilter{VisibleTo: "root"}, "b", "a", "d", "c")
	wantActivities(t, db, store.ActivityFilter{VisibleTo: "anna"}, "b", "a", "c")
	wantActivities(t, db, store.ActivityFilter{VisibleTo: "nobody"})
	wantActivities(t, db, store.ActivityFilter{Since: noon(2)}, "b", "a", "d")
	wantActivities(t, db, store.ActivityFilter{Query: "printer"}, "a", "d", "c")
	wantActivities(t, db, store.ActivityFilter{Query: "printer", VisibleTo: "anna"}, "a", "c")
	wantActivities(t, db, store.ActivityFilter{Query: `"printer burns" carla`}, "a", "c")
	wantActivities(t, db, store.ActivityFilter{Query: `"`})
	wantActivities(t, db, store.ActivityFilter{From: "carla@customer.EXAMPLE"}, "d", "c")
	wantActivities(t, db, store.ActivityFilter{From: "carla@customer.example", Query: "burns"}, "c")
	wantActivities(t, db, store.ActivityFilter{From: "carla"})
	wantActivities(t, db, store.ActivityFilter{From: `' OR 1=1--`})
	wantActivities(t, db, store.ActivityFilter{MessageID: "d@x.example"}, "d")
	wantActivities(t, db, store.ActivityFilter{MessageID: "d@x.example", VisibleTo: "anna"})
	wantActivities(t, db, store.ActivityFilter{MessageID: "root@x.example"})
	for _, cursor := range []string{"x", "!"} {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			_, _, err := tx.FindActivities(ctx, store.ActivityFilter{Cursor: cursor})
			wantCode(t, err, store.CodeInvalid, "")
			return nil
		})
	}
}
