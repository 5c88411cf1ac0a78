package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ticketgate/store"
)

func testTicketCounts(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	today := noon(0)
	yesterday := today.Add(-25 * time.Hour) // the clock went back
	add := func(change func(*store.Ticket)) int64 { return addTicket(t, db, change).Number }
	add(nil)                                                                                     // new, in support, where anna is a standard subscriber
	add(func(v *store.Ticket) { v.StatusID, v.OwnerID = "other", "anna" })                       // hers, and not new
	add(func(v *store.Ticket) { v.ChannelID, v.OwnerID = "sales", "anna" })                      // hers, where she sees nothing
	add(func(v *store.Ticket) { v.SuggestedTicket = 10001 })                                     // waits
	add(func(v *store.Ticket) { v.SuggestedTicket, v.MergedInto, v.ClosedAt = 1, 1, noon(-60) }) // waits no more
	add(func(v *store.Ticket) { v.ClosedAt = today })
	add(func(v *store.Ticket) { v.ClosedAt = yesterday })
	add(func(v *store.Ticket) { v.ClosedAt = yesterday.Add(-time.Microsecond) })
	add(func(v *store.Ticket) { v.ChannelID, v.SuggestedTicket, v.ClosedAt = "sales", 10001, noon(1) })
	watched := add(nil)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.AddWatcher(ctx, watched, "otto")
		return err
	})
	for agent, want := range map[string]store.TicketCounts{
		"anna": {MyNew: 3, MyAssigned: 1, Open: 4, HandledToday: 1, HandledYesterday: 2, Held: 1,
			Channels: map[string]int{"support": 4}, Statuses: map[string]int{"new": 3, "other": 1}},
		"otto": {MyNew: 1, Open: 4, HandledToday: 1, HandledYesterday: 2, Held: 1,
			Channels: map[string]int{"support": 4}, Statuses: map[string]int{"new": 3, "other": 1}},
		"root": {Open: 5, HandledToday: 2, HandledYesterday: 2, Held: 2,
			Channels: map[string]int{"support": 4, "sales": 1}, Statuses: map[string]int{"new": 4, "other": 1}},
		"nobody": {Channels: map[string]int{}, Statuses: map[string]int{}},
	} {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.TicketCounts(ctx, agent, yesterday, today)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", agent, diff)
			}
			return err
		})
	}
	quarantined := store.Quarantined{ID: "q", Reason: "dkim", CreatedAt: noon(0)}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.InsertQuarantined(ctx, quarantined) })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.QuarantineCount(ctx)
		if n != 1 {
			t.Errorf("%d mails in the quarantine", n)
		}
		return err
	})
}
