package storetest

import (
	"context"
	"testing"

	"ticketgate/store"
)

// testSearchFollowsMoves moves an activity in the transaction that indexes it anew,
// or takes it out of the index: both are written at its end.
func testSearchFollowsMoves(t *testing.T, open Open) {
	db := one(t, open)
	from, to := addTicket(t, db, nil).Number, addTicket(t, db, nil).Number
	id := addActivity(t, db, from, nil).ID
	index := func(ctx context.Context, tx *store.Tx, text string) error {
		return tx.Index(ctx, store.SearchEntry{ActivityID: id, Text: text})
	}
	found := func(ctx context.Context, tx *store.Tx, query string, want ...int64) {
		t.Helper()
		tickets, _, err := tx.Tickets(ctx, store.TicketFilter{Query: query})
		must(t, err)
		activities, _, err := tx.FindActivities(ctx, store.ActivityFilter{Query: query})
		must(t, err)
		if len(tickets) != len(want) || len(activities) != len(want) || len(want) > 0 && tickets[0].Number != want[0] {
			t.Errorf("%s is found in %v by %v, want %v", query, tickets, activities, want)
		}
	}
	read := func(query string, want ...int64) {
		t.Helper()
		view(t, db, func(ctx context.Context, tx *store.Tx) error { found(ctx, tx, query, want...); return nil })
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return index(ctx, tx, "first") })
	read("first", from)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := index(ctx, tx, "second"); err != nil {
			return err
		}
		if _, err := tx.MoveActivity(ctx, id, to, noon(50)); err != nil {
			return err
		}
		found(ctx, tx, "first", to) // what waits does not get in the way
		return nil
	})
	read("first")
	read("second", to)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Unindex(ctx, id); err != nil {
			return err
		}
		_, err := tx.MoveActivity(ctx, id, from, noon(51))
		return err
	})
	read("second")
}
