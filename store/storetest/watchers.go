package storetest

import (
	"context"
	"slices"
	"testing"

	"ticketgate/store"
)

func testWatchers(t *testing.T, open Open) {
	db := one(t, open)
	add := func(number int64, agent string) (added bool) {
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			added, err = tx.AddWatcher(ctx, number, agent)
			return err
		})
		return added
	}
	if !add(10001, "otto") || !add(10001, "anna") || !add(10002, "anna") || add(10001, "anna") {
		t.Error("whether an agent watches already was told wrongly")
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Watchers(ctx, 10001, 10002, 10003)
		if !slices.Equal(all[10001], []string{"anna", "otto"}) || !slices.Equal(all[10002], []string{"anna"}) || len(all) != 2 {
			t.Errorf("%v", all)
		}
		return err
	})
	remove := func(ctx context.Context, tx *store.Tx) error { return tx.RemoveWatcher(ctx, 10001, "anna") }
	update(t, db, remove)
	wantCode(t, db.Update(t.Context(), remove), store.CodeNotFound, "")
}

func testDigests(t *testing.T, open Open) {
	db := one(t, open)
	for _, d := range []store.Digest{
		{ID: "1", AgentID: "anna", Ticket: 10001, ActivityID: "a", Reason: "new", DueAt: noon(1)},
		{ID: "2", AgentID: "otto", DueAt: noon(2)}, {ID: "3", AgentID: "anna", DueAt: noon(1)}, {ID: "4", AgentID: "anna", DueAt: noon(3)},
	} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddDigest(ctx, d) })
	}
	due := func(at int) (ids []string) {
		view(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			ids, err = tx.DigestsDue(ctx, noon(at), 10)
			return err
		})
		return ids
	}
	if got := due(1); !slices.Equal(got, []string{"anna"}) {
		t.Errorf("due are %v", got)
	}
	take := func(at, limit int) (ids []string) {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			found, err := tx.TakeDigests(ctx, "anna", noon(at), limit)
			for _, d := range found {
				ids = append(ids, d.ID)
				if d.ID == "1" && (d.Ticket != 10001 || d.ActivityID != "a" || d.Reason != "new" || !d.DueAt.Equal(noon(1))) {
					t.Errorf("%+v", d)
				}
			}
			return err
		})
		return ids
	}
	for i, want := range [][]string{{"1"}, {"3"}, nil} {
		if got := take(2, 1); !slices.Equal(got, want) {
			t.Errorf("take %d gave %v, want %v", i, got, want)
		}
	}
	if got := due(9); !slices.Equal(got, []string{"anna", "otto"}) {
		t.Errorf("due are %v", got)
	}
}
