package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

func testReports(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	make := func(channel string, created, closed int) int64 {
		return addTicket(t, db, func(t *store.Ticket) {
			t.ChannelID, t.CreatedAt, t.OwnerID = channel, noon(created), "anna"
			if closed >= 0 {
				t.ClosedAt = noon(closed)
			}
		}).Number
	}
	a := make("support", 0, 30)
	make("support", 10, -1)
	make("sales", 20, -1)
	make("support", 9999999, -1)
	addTicket(t, db, func(t *store.Ticket) { t.MergedInto = a })
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutWorked(ctx, store.Worked{ID: "w", Ticket: a, AgentID: "anna", Minutes: 7, Day: noon(0).Format(time.DateOnly)})
	})
	for _, c := range []struct {
		by   store.ReportBy
		who  string
		want []store.ReportRow
	}{
		{store.ByChannel, "root", []store.ReportRow{{Key: "sales", Created: 1, Open: 1}, {Key: "support", Created: 2, Closed: 1, ResolveMinutes: minutesTo(30), Open: 2, Worked: 7}}},
		{store.ByChannel, "anna", []store.ReportRow{{Key: "support", Created: 2, Closed: 1, ResolveMinutes: minutesTo(30), Open: 2, Worked: 7}}},
		{store.ByOwner, "anna", []store.ReportRow{{Key: "anna", Created: 2, Closed: 1, ResolveMinutes: minutesTo(30), Open: 2, Worked: 7}}},
		{store.ByDay, "anna", []store.ReportRow{{Key: noon(0).Format(time.DateOnly), Created: 2, Closed: 1, ResolveMinutes: minutesTo(30), Worked: 7}}},
	} {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			rows, err := tx.Report(ctx, c.by, store.ReportFilter{VisibleTo: c.who, Since: noon(0).Add(-time.Hour), Until: noon(0).Add(2 * time.Hour)}, time.UTC)
			slices.SortFunc(rows, func(x, y store.ReportRow) int { return strings.Compare(x.Key, y.Key) })
			if !slices.Equal(rows, c.want) {
				t.Errorf("by %s for %s: %+v, want %+v", c.by, c.who, rows, c.want)
			}
			return err
		})
	}
}

func minutesTo(n int) int64 { return int64(noon(n).Sub(noon(0)) / time.Minute) }
