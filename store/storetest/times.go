package storetest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"ticketgate/store"
)

func testTimes(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	company := func(t *store.Ticket) { t.CompanyID = "c" }
	a, b := addTicket(t, db, company).Number, addTicket(t, db, func(t *store.Ticket) { t.CompanyID, t.ChannelID = "c", "sales" }).Number
	for _, v := range []store.Worked{
		{ID: "1", Ticket: a, AgentID: "anna", Minutes: 5, Day: "2026-11-20", Comment: "x", CreatedBy: "otto", CreatedAt: noon(1)},
		{ID: "2", Ticket: a, AgentID: "anna", Minutes: 7, Day: "2026-11-21"}, {ID: "3", Ticket: a, AgentID: "otto", Minutes: 1, Day: "2026-11-22"},
		{ID: "4", Ticket: b, AgentID: "anna", Minutes: 100, Day: "2026-11-21"},
	} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutWorked(ctx, v) })
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		v, err := tx.Worked(ctx, a, "1")
		must(t, err)
		if v.Comment != "x" || v.CreatedBy != "otto" || !v.CreatedAt.Equal(noon(1)) || v.Minutes != 5 {
			t.Errorf("%+v", v)
		}
		_, err = tx.Worked(ctx, b, "1")
		wantCode(t, err, store.CodeNotFound, "")
		first, next, err := tx.WorkedOnTicket(ctx, a, "", 2)
		must(t, err)
		rest, _, err := tx.WorkedOnTicket(ctx, a, next, 2)
		if len(first) != 2 || first[0].ID != "3" || len(rest) != 1 || rest[0].ID != "1" {
			t.Errorf("%+v %+v", first, rest)
		}
		must(t, err)
		sums, err := tx.Minutes(ctx, a, b, 99)
		if !maps.Equal(sums, map[int64]int{a: 13, b: 100}) {
			t.Errorf("%v", sums)
		}
		must(t, err)
		for _, c := range []struct {
			who, since, until string
			want              []store.WorkedSum
		}{
			{"root", "", "", []store.WorkedSum{{AgentID: "anna", Minutes: 112}, {AgentID: "otto", Minutes: 1}}},
			{"anna", "", "", []store.WorkedSum{{AgentID: "anna", Minutes: 12}, {AgentID: "otto", Minutes: 1}}},
			{"anna", "2026-11-21", "2026-11-21", []store.WorkedSum{{AgentID: "anna", Minutes: 7}}},
		} {
			if got, err := tx.WorkedFor(ctx, "c", c.who, c.since, c.until); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, %v, want %v", c.who, got, err, c.want)
			}
		}
		return nil
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.DeleteWorked(ctx, a, "3"); err != nil {
			return err
		}
		return tx.MoveWorked(ctx, a, b)
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		sums, err := tx.Minutes(ctx, a, b)
		if !maps.Equal(sums, map[int64]int{b: 112}) {
			t.Errorf("after the move: %v", sums)
		}
		return err
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteWorked(ctx, a, "1") }), store.CodeNotFound, "")
}

func testTicketFiles(t *testing.T, open Open) {
	db := one(t, open)
	number := addTicket(t, db, nil).Number
	a := addActivity(t, db, number, func(a *store.Activity) { a.ID = "a" })
	b := addActivity(t, db, number, func(a *store.Activity) { a.ID = "b" })
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddAttachments(ctx, []store.Attachment{
			{ID: "1", ActivityID: a.ID, Ticket: number, Position: 0}, {ID: "2", ActivityID: a.ID, Ticket: number, Position: 1},
			{ID: "3", ActivityID: b.ID, Ticket: number}, {ID: "4", ActivityID: "other", Ticket: number + 1},
		})
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.HideAttachment(ctx, "a", "2", true) })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		var ids []string
		for cursor := ""; ; {
			found, next, err := tx.TicketFiles(ctx, number, cursor, 1)
			must(t, err)
			for _, f := range found {
				ids = append(ids, f.ID)
				if f.Hidden != (f.ID == "2") {
					t.Errorf("%+v", f)
				}
			}
			if cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(ids, []string{"3", "2", "1"}) {
			t.Errorf("%v", ids)
		}
		f, err := tx.TicketFile(ctx, number, "2")
		if f.ActivityID != "a" || !f.Hidden {
			t.Errorf("%+v", f)
		}
		must(t, err)
		_, err = tx.TicketFile(ctx, number, "4")
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
}
